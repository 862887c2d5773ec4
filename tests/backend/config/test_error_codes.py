"""docs/api.md lists every code that a client may be told, with its status, and none that is not told."""

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

import agent_service
import backend
import backend.config.urls  # first: it registers what the others' addresses are written with
from agent_service import errors as agent
from backend.core.errors import ChatSphereError
from backend.documents.failures import FAILURES as DOCUMENT_FAILURES
from backend.fetching import errors as fetching
from backend.telegram.failures import FAILURES as TELEGRAM_FAILURES

ROOT = Path(__file__).resolve().parents[3]
DOCS = (ROOT / "docs" / "api.md").read_text()
CODE = re.compile(r"[a-z_0-9]+")
ROW = re.compile(r"^\| `([a-z_0-9]+)` \|(?: ([0-9, ]+) \|)?", re.MULTILINE)

FIRST, SECOND = slice(1), slice(1, 2)
PLACE = {
    **dict.fromkeys(("ArchiveRefused", "ExtractionFailed", "Failure", "FetchFailed", "Reason", "SourceInvalid"), FIRST),
    **dict.fromkeys(("SyncFailed", "TelegramFailed", "Told", "Unreadable"), FIRST),
    **dict.fromkeys(("Result", "SyncPostponed"), SECOND),
    "_refusal": slice(1, 3),
}
# Of a field, in `details.fields`.
NOT_OURS = {"ValidationError"}
# Spoken between the backend and the agent, or to whoever has no place here: no client of the API meets them.
BETWEEN_THE_TWO = {"caller_left", "forbidden", "internal_error", "invalid_request", "method_not_allowed", "not_found",
                   "request_timeout", "request_too_large", "service_token_invalid", "tool_call_unknown",
                   "unknown_namespaces", "misconfigured"}  # fmt: skip
# Of the admin's forms and of what works by itself: whoever calls the service catches them.
OF_THE_SERVICES = {"agent_refused", "hold_not_found", "invalid_amount", "price_conflict", "reference_reused",
                   "source_invalid", "vectors_remain"}  # fmt: skip
QUOTAS = {"quota_bots", "quota_files", "quota_bytes"}
OF_DJANGO = {"authentication_failed", "method_not_allowed", "not_acceptable", "not_authenticated", "parse_error",
             "permission_denied", "unsupported_media_type"}  # fmt: skip


@cache
def trees() -> list[ast.Module]:
    files = [path for path in (ROOT / "backend").rglob("*.py") if "migrations" not in path.parts]
    return [ast.parse(path.read_text()) for path in files]


def nodes() -> Iterator[ast.AST]:
    for tree in trees():
        yield from ast.walk(tree)


def name_of(node: ast.AST | None) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def import_all(package: ModuleType) -> None:
    """So that its errors are known, whatever other tests have imported."""
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not {"migrations", "management", "parser"} & set(module.name.split(".")):
            importlib.import_module(module.name)


def classes(base: type[Exception]) -> Iterator[type[Exception]]:
    for one in base.__subclasses__():
        yield one
        yield from classes(one)


def refusals() -> set[tuple[str, int]]:
    """Code and status of every error that is raised somewhere, and is not the base of others alone."""
    import_all(backend)
    used = {name_of(node.exc) for node in nodes() if isinstance(node, ast.Raise)}
    used |= {name_of(node.func) for node in nodes() if isinstance(node, ast.Call)}
    told = [one for one in classes(ChatSphereError) if one.__name__ in used and not names_its_code_itself(one)]
    pairs = {(one.code, int(one.status)) for one in told}  # type: ignore[attr-defined]
    return {(code, status) for code, status in pairs if code not in OF_THE_SERVICES}


def names_its_code_itself(one: type[Exception]) -> bool:
    """Given when it is made: see `words`."""
    return "code" not in vars(one) and "__init__" in vars(one)


def words() -> set[str]:
    """Codes that are told without being a class's."""
    found = {*DOCUMENT_FAILURES, *TELEGRAM_FAILURES, *fetching._SENTENCES, *QUOTAS}
    found |= {code for _, code, _, _ in agent._KINDS.values()}
    import_all(agent_service)
    found |= {one.code for one in classes(agent.AgentServiceError)} - BETWEEN_THE_TWO  # type: ignore[attr-defined]
    return found | {word for node in nodes() for word in strings(given_by(node))}


def given_by(node: ast.AST) -> list[ast.AST]:
    """What is written where a code is given."""
    if isinstance(node, ast.Call) and name_of(node.func) not in NOT_OURS:
        place = PLACE.get(name_of(node.func), slice(0))
        return [*node.args[place], *(one.value for one in node.keywords if one.arg == "code")]
    if isinstance(node, ast.FunctionDef):
        assigned = [one for one in ast.walk(node) if isinstance(one, ast.Assign) and name_of(one.targets[0]) == "code"]
        return [one.value for one in assigned]
    return []


def strings(given: list[ast.AST]) -> Iterator[str]:
    for value in given:
        branches = [value.body, value.orelse] if isinstance(value, ast.IfExp) else [value]
        words = (one.value for one in branches if isinstance(one, ast.Constant) and isinstance(one.value, str))
        yield from filter(CODE.fullmatch, words)


def documented() -> dict[str, set[int]]:
    table: dict[str, set[int]] = {}
    for code, statuses in ROW.findall(DOCS[DOCS.index("## Codes") :]):
        table.setdefault(code, set()).update(int(status) for status in statuses.split(",") if status.strip())
    return table


def test_every_refusal_is_listed_with_its_status() -> None:
    listed = {(code, status) for code, statuses in documented().items() for status in statuses}
    assert sorted(refusals() - listed) == []


def test_every_other_code_is_listed() -> None:
    assert sorted((words() | OF_DJANGO) - documented().keys()) == []


def test_nothing_is_listed_that_is_not_told() -> None:
    told = words() | {code for code, _ in refusals()} | OF_DJANGO
    assert sorted(documented().keys() - told) == []
