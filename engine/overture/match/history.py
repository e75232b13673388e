"""What a contact remembers, as values: windows of its history, and scores that decay.

All of it is as of the contact's clock. A window of a duration holds the facts with ``occurred_at > clock − duration``,
a calendar window those since its day, week or month began where the contact lives. Of one series the newest
`overture.model.series.LONGEST` facts are kept, so a windowed ``count`` or ``total`` goes no further.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from math import fsum, inf
from typing import Any

from overture.match.values import bounded
from overture.match.zone import period_start, zone_of
from overture.model import Contact, Fact
from overture.model.decay import read, tidy
from overture.model.series import Series
from overture.rules.tree import Decaying, History, Window

Get = Callable[[Fact, Contact], Any]
_NONE = Series()


def compile_history(node: History) -> Get:
    """Without such a fact ``count`` and ``total`` are 0, ``seen`` is false, ``last`` and ``first`` are missing."""
    id = node.series.id
    first = first_in(node.window)
    match node.kind:
        case "count":
            if first is None:
                return lambda f, c: c.history.get(id, _NONE).n
            return lambda f, c: len(at) - first(at, c) if (at := c.history.get(id, _NONE).at) else 0
        case "seen":
            if first is None:
                return lambda f, c: c.history.get(id, _NONE).n > 0
            return lambda f, c: bool(at := c.history.get(id, _NONE).at) and first(at, c) < len(at)
        case "total":
            if first is None:
                return lambda f, c: _sum(c.history.get(id, _NONE).total)
            return lambda f, c: _sum(_exactly(s.values[first(s.at, c) :])) if (s := c.history.get(id)) else 0
        case "last":
            return lambda f, c: s.last if (s := c.history.get(id)) and s.n else None
        case "first":
            return lambda f, c: s.first if (s := c.history.get(id)) and s.n else None


def first_in(window: Window | None) -> Callable[[list[int], Contact], int] | None:
    """Where in a sorted list of instants the window begins."""
    if window is None:
        return None
    if calendar := window.calendar:
        return lambda at, c: bisect_left(at, period_start(c.clock, calendar, zone_of(c)))
    ms = window.ms
    return lambda at, c: bisect_right(at, c.clock - ms)


def _exactly(values: list[float]) -> float:
    try:
        return fsum(values)
    except OverflowError:
        return inf


def _sum(total: float) -> Any:
    """Rounded as scores are, so that the order in which facts came does not show."""
    return None if bounded(total) is None else tidy(total)


def compile_decaying(node: Decaying) -> Get:
    """A score as everybody reads it at the contact's clock. One declared `per` has no value as a whole."""
    half_life = node.half_life
    match node.field.path:
        case (_, name):
            return lambda f, c: None if type(c.scores.get(name)) is dict else read(c, name, "", c.clock, half_life)
        case (_, name, key):
            return lambda f, c: read(c, name, key, c.clock, half_life)
        case _:
            return lambda f, c: None
