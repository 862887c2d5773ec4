"""S17: no pattern of ours takes long over a text made to slow it down: 100 KB in less than 100 ms.

Every call of `re` in our packages is found in the source. From each pattern's own syntax tree come texts that lead it
into each of its repetitions, keep it there, and disappoint it at the end.
"""

import ast
import importlib
import itertools
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from backend.config.settings import ROOT

# What `re` itself makes of a pattern before it compiles it; no public module has it.
op: Any = importlib.import_module("re._constants")
parser: Any = importlib.import_module("re._parser")

SIZE = 100_000
SECONDS = 0.1
TRIES = 3  # somebody else may have had the processor
SURELY = 5  # times the limit: no second try is needed
FUNCTIONS = {"compile", "search", "match", "fullmatch", "split", "findall", "finditer", "sub", "subn"}
ANCHORED = {"match", "fullmatch"}
FLAGS_AT = {"sub": 4, "subn": 4, "split": 3}
ENDLESS = 20  # more repetitions than this may be many
MOST_SIGNS = 7
SIZES = (30, SIZE // 20, SIZE)  # small ones first: what grows with a power is not waited for
SHORT_SHARE = 0.2  # of the limit, for the small ones: over a few ms more is noise than the pattern

# Patterns that are put together when they are used, and why that is safe.
PUT_TOGETHER = {
    "agent_service/pipeline/checking.py": "escaped words with blanks between them, in a text of bounded length",
}


@dataclass(frozen=True)
class Use:
    where: str
    pattern: "re.Pattern[Any]"
    anchored: bool


def sources() -> Iterator[Path]:
    for package in ("backend", "agent_service"):
        yield from sorted(path for path in (ROOT / package).rglob("*.py") if "migrations" not in path.parts)


def uses() -> Iterator[Use]:
    for path in sources():
        tree = ast.parse(path.read_text())
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _function(node)]
        if calls:
            yield from _in_module(path, tree, calls)


def _function(node: ast.Call) -> str:
    """The name of the function of `re` that is called."""
    called = node.func
    of_re = isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name) and called.value.id == "re"
    return called.attr if of_re and isinstance(called, ast.Attribute) and called.attr in FUNCTIONS else ""


def _in_module(path: Path, tree: ast.Module, calls: list[ast.Call]) -> Iterator[Use]:
    name = str(path.relative_to(ROOT))
    module = importlib.import_module(name.removesuffix(".py").replace("/", ".").removesuffix(".__init__"))
    for call in calls:
        where = f"{name}:{call.lineno}"
        try:
            pattern = _compiled(call, vars(module))
        except NameError:
            found = list(_held(vars(module).values()))
            assert found or name in PUT_TOGETHER, f"{where}: put together, and not in PUT_TOGETHER"
            yield from (Use(f"{where}-{number}", held, anchored=False) for number, held in enumerate(found))
        else:
            yield Use(where, pattern, _function(call) in ANCHORED or _only_anchored(call, tree))


def _compiled(call: ast.Call, names: dict[str, Any]) -> "re.Pattern[Any]":
    at = FLAGS_AT.get(_function(call), 1 if _function(call) == "compile" else 2)
    given = [keyword.value for keyword in call.keywords if keyword.arg == "flags"] + call.args[at : at + 1]
    pattern, flags = (_value(node, names) for node in (call.args[0], given[0] if given else ast.Constant(0)))
    return pattern if isinstance(pattern, re.Pattern) else re.compile(pattern, flags)


def _value(node: ast.expr, names: dict[str, Any]) -> Any:
    source = compile(ast.fix_missing_locations(ast.Expression(node)), "<pattern>", "eval")
    return eval(source, dict(names))  # noqa: S307 - an expression of our own source


def _held(values: Iterable[Any]) -> Iterator["re.Pattern[Any]"]:
    """Patterns in tables; those that have a name are found by their call."""
    for value in values:
        if isinstance(value, dict):
            yield from (pattern for pattern in value.values() if isinstance(pattern, re.Pattern))


def _only_anchored(call: ast.Call, tree: ast.Module) -> bool:
    """Whether the name that the pattern gets is used for nothing but matches from a given place on."""
    names = [
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and node.value is call
        for target in node.targets
        if isinstance(target, ast.Name)
    ]
    methods = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in names
    }
    return bool(methods) and methods <= ANCHORED


# --- Texts from a pattern's syntax tree ---


def sample(items: Any) -> str:
    """A text that the sequence matches, as short as possible but for one turn of each repetition."""
    return "".join(_sample(code, argument) for code, argument in items)


def _sample(code: Any, argument: Any) -> str:
    if code in (op.LITERAL, op.NOT_LITERAL):
        return chr(argument if code is op.LITERAL else argument + 1)
    if code is op.IN:
        return members(argument)[0]
    if code in _REPEATS:
        times: int = max(1, argument[0])
        return sample(argument[2]) * times
    if code is op.SUBPATTERN:
        return sample(argument[-1])
    if code is op.BRANCH:
        return sample(argument[1][0])
    return "a" if code is op.ANY else ""


_REPEATS = (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT)
_CATEGORIES = {op.CATEGORY_DIGIT: "0", op.CATEGORY_SPACE: " ", op.CATEGORY_WORD: "a", op.CATEGORY_NOT_SPACE: "a"}
_USUAL = "a0 \n<-\"'_.@!"


def members(items: Any) -> list[str]:
    """Some characters of a class."""
    named = [_member(code, argument) for code, argument in items if code is not op.NEGATE]
    if items[0][0] is op.NEGATE:
        return [sign for sign in _USUAL if sign not in named]
    return named


def _member(code: Any, argument: Any) -> str:
    if code is op.CATEGORY:
        return _CATEGORIES.get(argument, "a")
    return chr(argument[0] if code is op.RANGE else argument)


def pumps(items: Any, before: str = "") -> Iterator[tuple[str, list[str]]]:
    """For each endless repetition: what leads to it, and what it may be fed with."""
    for code, argument in items:
        if code in _REPEATS:
            if argument[1] > ENDLESS:
                yield before, [sample(argument[2]), *_first_signs(argument[2])]
            yield from pumps(argument[2], before)
        elif code is op.SUBPATTERN:
            yield from pumps(argument[-1], before)
        elif code is op.BRANCH:
            for branch in argument[1]:
                yield from pumps(branch, before)
        before += _sample(code, argument)


def _first_signs(items: Any) -> list[str]:
    return [sign for code, argument in items if code is op.IN for sign in members(argument)]


def texts(pattern: "re.Pattern[Any]") -> Iterator[Any]:
    tree = parser.parse(pattern.pattern, pattern.flags & ~re.DEBUG)
    for text in dict.fromkeys(_texts(tree)):
        kept = text.encode("utf-8", "replace")[:SIZE] if isinstance(pattern.pattern, bytes) else text
        yield kept


def _texts(tree: Any) -> Iterator[str]:
    whole = sample(tree)
    signs = list(dict.fromkeys([*whole, " ", "\n", "a", "0"]))[:MOST_SIGNS]
    for unit in (whole, whole[:-1], whole[:1] + whole, *signs, *map("".join, itertools.permutations(signs, 2))):
        if unit:
            yield (unit * (SIZE // len(unit) + 1))[:SIZE]
    for before, bodies in pumps(tree):
        for body, end in itertools.product(filter(None, bodies), ("", "\x00", "!\n")):
            yield before + body * (SIZE // len(body)) + end
            unit = before + body * 50
            yield unit * (SIZE // len(unit)) + end


# --- How long they take ---


def seconds(use: Use, text: Any) -> float:
    begun = time.process_time()
    if use.anchored:
        use.pattern.match(text)
        use.pattern.fullmatch(text)
    else:
        for _ in use.pattern.finditer(text):
            pass
    return time.process_time() - begun


def slowness() -> float:
    """How many times slower this machine is than one that a limit in milliseconds is meant for; at least 1."""
    begun = time.process_time()
    re.fullmatch(r"(?:a|b)*", "ab" * 500_000)
    return max(1.0, (time.process_time() - begun) / 0.05)


def slow(use: Use, *, limit: float) -> str:
    """The first text that takes longer than the limit, each time that it is tried; empty where there is none."""
    for text in texts(use.pattern):
        for size in SIZES:
            if _takes_longer(use, text[:size], limit * max(size / SIZE, SHORT_SHARE)):
                return f"{len(text[:size]):,} characters: {text[:60]!r}…"
    return ""


def _takes_longer(use: Use, text: Any, limit: float) -> bool:
    for _ in range(TRIES):
        taken = seconds(use, text)
        if taken <= limit or taken > limit * SURELY:
            return taken > limit
    return True


FOUND = list(uses())


def test_the_patterns_are_found() -> None:
    assert len(FOUND) > 30
    assert any(use.where.startswith("backend/documents/parser/tags.py") for use in FOUND)


@pytest.mark.parametrize("use", FOUND, ids=lambda use: use.where)
def test_no_text_of_100_kb_keeps_a_pattern_busy(use: Use) -> None:
    assert not (text := slow(use, limit=SECONDS * slowness())), f"{use.pattern.pattern!r} is slow with {text}"


@pytest.mark.parametrize("bad", [r"<!--.*-->", r"\s*\n", r"(\w+\s?)*:", r"(a|aa)+b"])
def test_a_pattern_that_is_slow_is_noticed(bad: str) -> None:
    assert slow(Use("here", re.compile(bad), anchored=False), limit=SECONDS * slowness())
