"""What a number in a condition is: an instant, a duration, or just a number; and values as a person reads them."""

from __future__ import annotations

import json
from typing import Any
from typing import Literal as OneOf

from overture.match.values import is_number
from overture.match.zone import EARLIEST, LATEST
from overture.model.clock import to_text
from overture.rules.durations import UNITS
from overture.rules.tree import Arithmetic, Call, Compare, Field, History, Node

Unit = OneOf["", "instant", "duration"]

SAID = 200  # characters of one value


def unit_of(node: Node) -> Unit:
    """``instant`` and ``duration`` are in milliseconds; empty for everything else."""
    match node:
        case Field("fact", ("occurred_at",)) | Call("now", ()) | History("first" | "last"):
            return "instant"
        case Call("age"):
            return "duration"
        case Call("min" | "max" | "round", (first, *_)):
            return unit_of(first)
        case Arithmetic("-", left, right) if unit_of(left) == unit_of(right) == "instant":
            return "duration"
        case Arithmetic("+" | "-", left, right):
            units = {unit_of(left), unit_of(right)}
            return "instant" if "instant" in units else "duration" if "duration" in units else ""
        case _:
            return ""


def unit_in(test: Node, operand: Node) -> Unit:
    """The unit of an operand as the test reads it: what is compared with an instant is one."""
    if isinstance(test, Compare) and operand in (test.left, test.right):
        return unit_of(test.left) or unit_of(test.right)
    return unit_of(operand)


def said(value: Any, unit: Unit = "") -> str:
    """A value as a person reads it, and no more of it than a person reads."""
    if value is None:
        return "missing"
    if is_number(value):
        if unit == "instant" and EARLIEST <= value <= LATEST:
            return to_text(int(value))
        if unit == "duration" and abs(value) <= LATEST:
            return _span(int(value))
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SAID else f"{text[:SAID]}…"


def _span(ms: int) -> str:
    """``3d``, ``2d 3h``, ``1.5s``: two units at most, down to the second."""
    if ms < 0:
        return f"-{_span(-ms)}"
    found: list[str] = []
    for unit in "dhms":
        n, rest = divmod(ms, UNITS[unit])
        if n:
            found.append(f"{n}{unit}")
            ms = rest
        if len(found) == 2 or (found and not ms):
            return " ".join(found)
    return " ".join([*found, f"{ms / 1000:g}s"] if ms or not found else found)
