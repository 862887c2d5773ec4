"""Django's PostgreSQL with a pool that looks whether a connection is alive, without asking the server.

Django's own check is a round trip each time that a connection is taken, which is four times in every answer.
"""

import select
from typing import Any

from django.db.backends.base.base import NO_DB_ALIAS
from django.db.backends.postgresql import base
from psycopg import Connection, OperationalError
from psycopg_pool import ConnectionPool


def check_alive(connection: "Connection[Any]") -> None:
    """Raises OperationalError for one that the server has ended. Nothing may have come on an idle connection: where
    something has, be it the end, the server is asked.
    """
    if connection.closed:
        raise OperationalError("the connection is closed")
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    if poll.poll(0):
        ConnectionPool.check_connection(connection)


class DatabaseWrapper(base.DatabaseWrapper):
    @property
    def pool(self) -> "ConnectionPool[Any] | None":
        """As Django's, which leaves no choice of the check. The first of two threads wins; an unopened pool holds
        nothing."""
        options = self.settings_dict["OPTIONS"].get("pool")
        if self.alias == NO_DB_ALIAS or not options:
            return None
        pools: dict[str, ConnectionPool[Any]] = self._connection_pools  # type: ignore[attr-defined]
        if self.alias not in pools:
            pool = ConnectionPool(
                kwargs={**self.get_connection_params(), "autocommit": True},
                open=False,
                configure=self._configure_connection,  # type: ignore[attr-defined]
                check=check_alive,
                **options,
            )
            pools.setdefault(self.alias, pool)
        return pools[self.alias]
