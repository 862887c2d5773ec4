from django.urls.converters import IntConverter


class PositiveConverter(IntConverter):
    """1 to 999,999,999: what fits a PostgreSQL integer, so that a larger one is a 404 and never an overflow."""

    regex = "[1-9][0-9]{0,8}"
