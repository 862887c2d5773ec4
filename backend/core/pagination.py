from rest_framework.pagination import CursorPagination


class NewestFirst(CursorPagination):
    """Pages by id, which sorts by creation (`ids.uuid7`): stable while rows are added, fast on every page."""

    ordering = "-id"
    page_size = 25
    page_size_query_param = "page_size"
    max_page_size = 100
