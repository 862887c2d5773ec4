"""Health check of a container: `healthy.py http PORT` or `healthy.py worker`; exit status 0 is healthy.

A worker has no port: it is healthy while workers give their sign of life in the database.
"""

# ruff: noqa: INP001 - started by its path in an image, never imported

import http.client
import os
import sys

SILENT_SECONDS = 60


def answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=4)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == http.client.OK
    except OSError:
        return False


def worker_lives() -> bool:
    import psycopg

    query = "SELECT EXISTS (SELECT FROM procrastinate_workers WHERE last_heartbeat > now() - make_interval(secs => %s))"
    try:
        with psycopg.connect(os.environ["DATABASE_URL"], connect_timeout=4) as connection:
            row = connection.execute(query, [SILENT_SECONDS]).fetchone()
    except psycopg.Error:
        return False
    return row is not None and bool(row[0])


if __name__ == "__main__":
    healthy = worker_lives() if sys.argv[1] == "worker" else answers(int(sys.argv[2]))
    sys.exit(not healthy)
