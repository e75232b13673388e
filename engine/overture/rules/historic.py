"""History functions and durations as they are written in expressions: ``count("page_viewed", within="7d")``."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from overture.rules.durations import CALENDAR, DAY, duration, window
from overture.rules.series import reach_of, series_key
from overture.rules.tree import History, Kind, Literal, Node, Place, Window

HISTORY: dict[str, Kind] = {"count": "count", "total": "total", "last": "last", "first": "first", "seen": "seen"}
LOCAL_FIELDS = ("hour", "minute", "weekday", "day", "month", "year", "date")
LONGEST_WINDOW = 732 * DAY  # two years, one of them a leap year

_USAGE = {
    "count": 'count("page_viewed", within="7d")',
    "total": 'total("order_completed", "total", within="30d")',
    "last": 'last("order_completed")',
    "first": 'first("order_completed")',
    "seen": 'seen("page_viewed", within="today")',
}


@dataclass(frozen=True, slots=True)
class Texts:
    """A literal text inside an expression. ``parse`` reads it as an expression itself, None where that failed."""

    value: str
    parse: Callable[[], Node | None]


class Refuse(Protocol):
    def __call__(self, n: ast.expr, code: str, message: str, hint: str = "") -> Node: ...


def days(n: ast.Call, texts: Callable[[ast.expr], Texts | None], refuse: Refuse, place: Place) -> Node:
    """``days("3d")`` is a number of milliseconds, whatever the unit."""
    text = texts(n.args[0]) if len(n.args) == 1 else None
    ms = duration(text.value) if text else None
    if not ms:
        return refuse(n, "condition.duration", "`days` takes a duration", 'Write days("3d"): s, m, h, d or w.')
    return Literal(ms, place)


def history(name: str, n: ast.Call, texts: Callable[[ast.expr], Texts | None], refuse: Refuse, place: Place) -> Node:
    kind, usage = HISTORY[name], f"Write {_USAGE[name]}."
    named: dict[str, ast.expr] = {}
    known = ("within", "where") if kind in ("count", "total", "seen") else ("where",)
    for keyword in n.keywords:
        which = keyword.arg or "**"
        if which not in known or which in named:
            return refuse(keyword.value, "condition.arguments", f"`{name}` does not take {which!r} here", usage)
        named[which] = keyword.value
    if len(n.args) != (2 if kind == "total" else 1):
        what = "a fact type and a field" if kind == "total" else "a fact type"
        return refuse(n, "condition.arguments", f"`{name}` takes {what}", usage)
    said: dict[str, Texts] = {}
    for key, value in (*zip(("type", "field"), n.args, strict=False), *named.items()):
        text = texts(value)
        if text is None:
            return refuse(value, "condition.arguments", "A literal text is needed here", usage)
        said[key] = text
    over: Window | None = None
    if "within" in said:
        over = window(said["within"].value)
        if over is None:
            hint = f'Write "7d" (s, m, h, d or w), or {", ".join(CALENDAR)}.'
            return refuse(named["within"], "condition.duration", f"{said['within'].value[:80]!r} is no window", hint)
        if reach_of(over) > LONGEST_WINDOW:
            message = "The window is longer than what a contact remembers"
            return refuse(named["within"], "history.too_long", message, "At most two years (732d).")
    where = said["where"].parse() if "where" in said else None
    if "where" in said and where is None:
        return Literal(True)  # reported
    field = tuple(said["field"].value.split(".")) if kind == "total" else ()
    return History(kind, series_key(said["type"].value, field, where), over, place)
