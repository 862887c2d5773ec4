"""After a transactional test Django empties every table by TRUNCATE; the ledger refuses, and the price book is data."""

import importlib
from collections.abc import Callable
from typing import Any

from django.apps import apps
from django.db import connection
from django.db.models.signals import post_migrate

price_book = importlib.import_module("backend.credits.migrations.0003_price_book")
passages = importlib.import_module("backend.credits.migrations.0007_price_of_passages")
plans = importlib.import_module("backend.credits.migrations.0004_plans")


def allow_emptying() -> None:
    """Let Django's own flush, and no other statement, past the triggers; refill price book and plans after it."""
    connection.execute_wrappers.append(_as_replica)
    post_migrate.connect(_refill, sender=apps.get_app_config("credits"))


def _as_replica(execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
    if not (isinstance(sql, str) and sql.startswith("TRUNCATE") and "credits_entry" in sql and "users_user" in sql):
        return execute(sql, params, many, context)
    # The queue's tables are none of Django's own: without this, one test's jobs wait for the next test's worker.
    return execute(
        f"SET LOCAL session_replication_role = replica; TRUNCATE procrastinate_jobs CASCADE; {sql}",
        params,
        many,
        context,
    )


def _refill(**_: Any) -> None:
    price_book.fill(apps, None)
    passages.fill(apps, None)
    plans.fill(apps, None)
