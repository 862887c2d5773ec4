"""Arithmetic by an evaluator of our own: it knows numbers, operators and a few functions, and bounds everything."""

import ast
import math
import operator
from collections.abc import Callable
from decimal import Decimal, DecimalException, Inexact, localcontext
from typing import Any

from backend.tools.errors import ToolFailed

MAX_CHARS = 500
MAX_NODES = 200
MAX_DIGITS = 50
SHOWN_DIGITS = 30
MAX_EXPONENT = 1_000
MAX_DEPTH = 40

Number = Decimal


class NotArithmetic(ToolFailed):
    """This is not an expression of numbers, + - * / // % ** ( ) and min, max, sum, abs, round, sqrt, ln, log10, exp."""

    code = "not_arithmetic"


class OutOfBounds(ToolFailed):
    """The expression is too long, or its value too large, or it has none."""

    code = "out_of_bounds"


def calculate(expression: str) -> str:
    """The value in decimal notation. Raises NotArithmetic, OutOfBounds."""
    text = expression.strip().replace("×", "*").replace("÷", "/").replace("−", "-").replace("^", "**")
    if len(text) > MAX_CHARS:
        raise OutOfBounds
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as exc:
        raise NotArithmetic from exc
    if sum(1 for _ in ast.walk(tree)) > MAX_NODES:
        raise OutOfBounds
    try:
        with localcontext() as context:
            context.prec = MAX_DIGITS
            context.Emax, context.Emin = MAX_EXPONENT, -MAX_EXPONENT
            context.traps[Inexact] = False
            return _written(_value(tree.body, 0))
    except (DecimalException, ArithmeticError, ValueError) as exc:
        raise OutOfBounds from exc


_BINARY: dict[type[ast.operator], Callable[[Number, Number], Number]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: lambda a, b: (a / b).to_integral_value("ROUND_FLOOR"),
    ast.Mod: lambda a, b: a - b * (a / b).to_integral_value("ROUND_FLOOR"),
    ast.Pow: lambda a, b: _power(a, b),
}
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "min": min,
    "max": max,
    "sum": lambda *numbers: sum(numbers, Decimal(0)),
    "abs": abs,
    "round": lambda number, places=Decimal(0): round(number, int(places)),
    "sqrt": lambda number: number.sqrt(),
    "ln": lambda number: number.ln(),
    "log10": lambda number: number.log10(),
    "exp": lambda number: _bounded(number).exp(),
}
_CONSTANTS = {"pi": Decimal(str(math.pi)), "e": Decimal(str(math.e))}


def _value(node: ast.AST, depth: int) -> Number:
    if depth > MAX_DEPTH:
        raise OutOfBounds
    match node:
        case ast.Constant(value=bool()):
            raise NotArithmetic
        case ast.Constant(value=int() | float() as number):
            return Decimal(str(number))
        case ast.Name(id=name) if name in _CONSTANTS:
            return _CONSTANTS[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, depth + 1)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _value(operand, depth + 1)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            return _BINARY[type(op)](_value(left, depth + 1), _value(right, depth + 1))
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in _FUNCTIONS:
            return _called(name, [_value(argument, depth + 1) for argument in arguments])
    raise NotArithmetic


def _called(name: str, arguments: list[Number]) -> Number:
    try:
        return Decimal(_FUNCTIONS[name](*arguments))
    except TypeError as exc:
        raise NotArithmetic from exc


def _power(base: Number, exponent: Number) -> Number:
    return base ** _bounded(exponent)


def _bounded(exponent: Number) -> Number:
    if abs(exponent) > MAX_EXPONENT:
        raise OutOfBounds
    return exponent


def _shortened(number: Number) -> Number:
    """Without the digits in which a root or a quotient is no longer exact."""
    with localcontext() as context:
        context.prec = SHOWN_DIGITS
        return +number


def _written(number: Number) -> str:
    if not number.is_finite():
        raise OutOfBounds
    rounded = (number if number == number.to_integral_value() else _shortened(number)).normalize()
    shown = f"{rounded:f}" if abs(rounded.adjusted()) < MAX_DIGITS else f"{rounded:E}"
    return shown if len(shown) <= 2 * MAX_DIGITS else f"{rounded:.20E}"
