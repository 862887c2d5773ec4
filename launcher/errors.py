"""What the launcher tells a person in one line instead of a traceback."""


class LauncherError(RuntimeError):
    """Something on this machine stands in the way; the message names it and what to do."""


class PostgresError(LauncherError):
    """The embedded PostgreSQL could not be started; the message says why and what to do."""
