"""What comparing, ordering, containing and calculating mean; ``None`` is *missing* (see `overture.rules.tree`)."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, cast

from overture.model.numbers import NUMBER_LIMIT


def same(a: Any, b: Any) -> bool:
    """Like with like: text, number (never a boolean), boolean, list, object; lists and objects member by member."""
    kind = a.__class__
    if kind is str:
        return a == b
    if kind is int or kind is float:
        return is_number(b) and a == b
    if kind is list and type(b) is list:
        xs, ys = cast("list[Any]", a), cast("list[Any]", b)
        return len(xs) == len(ys) and all(map(same, xs, ys))
    if kind is dict and type(b) is dict:
        left, right = cast("dict[str, Any]", a), cast("dict[str, Any]", b)
        return left.keys() == right.keys() and all(same(v, right[k]) for k, v in left.items())
    return a is b


def equal(a: Any, b: Any) -> bool:
    return a is not None and b is not None and same(a, b)


def unequal(a: Any, b: Any) -> bool:
    return a is not None and b is not None and not same(a, b)


def inside(part: Any, whole: Any) -> bool:
    """An element of a list, or a part of a text; anything else contains nothing."""
    if part is None:
        return False
    if type(whole) is list:
        return any(same(part, x) for x in cast("list[Any]", whole))
    return type(whole) is str and type(part) is str and part in whole


def outside(part: Any, whole: Any) -> bool:
    return part is not None and whole is not None and not inside(part, whole)


def is_number(x: Any) -> bool:
    return type(x) is int or type(x) is float


def _ordering(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def ordered(a: Any, b: Any) -> bool:
        if type(a) is str:
            return type(b) is str and compare(a, b)
        return is_number(a) and is_number(b) and compare(a, b)

    return ordered


COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "==": equal,
    "!=": unequal,
    "<": _ordering(operator.lt),
    "<=": _ordering(operator.le),
    ">": _ordering(operator.gt),
    ">=": _ordering(operator.ge),
    "in": inside,
    "not in": outside,
}


def bounded(x: Any) -> Any:
    """A number within ±2^53 as it is; missing otherwise, also for NaN."""
    return x if -NUMBER_LIMIT <= x <= NUMBER_LIMIT else None


def in_range(x: Any) -> bool:
    """Whether it is a number within ±2^53."""
    return is_number(x) and bounded(x) is not None


def _calculation(calculate: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def calculated(a: Any, b: Any) -> Any:
        if not (is_number(a) and is_number(b)):
            return None
        try:
            return bounded(calculate(a, b))
        except (ZeroDivisionError, OverflowError):
            return None

    return calculated


ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": _calculation(operator.add),
    "-": _calculation(operator.sub),
    "*": _calculation(operator.mul),
    "/": _calculation(lambda a, b: a / b),
    "%": _calculation(operator.mod),
}
