"""What a contact remembers of its facts: each one put into the series that the active rulesets need.

A late fact is put where its ``occurred_at`` says. Single facts are kept as far back from the clock as the longest
window that asks for them, `LONGEST` of one series at most, so that a fact costs the same however long the history.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping
from heapq import merge as in_order
from typing import Any

from overture.decide.work import Work
from overture.match import compile_condition, compile_value
from overture.match.values import in_range
from overture.model import Contact, Fact
from overture.model.series import LONGEST, Series
from overture.rules.series import SeriesDecl
from overture.rules.tree import Field

_NONE = Series()
_NOBODY = Contact("")


class Recorder:
    """Puts facts of one type into one series."""

    def __init__(self, decl: SeriesDecl) -> None:
        self.id = decl.key.id
        self.path = f"history.{self.id}"
        self._keep = decl.keep_ms
        self._number = compile_value(Field("fact", decl.key.field)) if decl.key.field else None
        where = decl.key.where
        self._where: Callable[[Fact, Contact], bool] | None = None if where is None else compile_condition(where)

    def record(self, work: Work, fact: Fact) -> None:
        contact = work.contact
        after = self.add(contact.history.get(self.id, _NONE), fact, contact.clock)
        if after is not None:
            contact.history[self.id] = after
            work.changed.add(self.path)

    def add(self, series: Series, fact: Fact, clock: int) -> Series | None:
        """The series with one more fact; None where the fact is none of it."""
        if self._where is not None and not self._where(fact, _NOBODY):
            return None
        value: float | None = None
        if self._number is not None:
            found = self._number(fact, _NOBODY)
            value = float(found) if in_range(found) else 0.0  # what cannot be counted on adds nothing
        return _with(series, fact.occurred_at, value, clock - self._keep, self._keep > 0)


def recorders(series: Mapping[str, SeriesDecl]) -> dict[str, tuple[Recorder, ...]]:
    """What records facts, by their type."""
    found: dict[str, list[Recorder]] = {}
    for decl in series.values():
        found.setdefault(decl.key.type, []).append(Recorder(decl))
    return {type: tuple(each) for type, each in found.items()}


def evict(contact: Contact, series: Mapping[str, SeriesDecl]) -> None:
    """Forget what has left every window; the clock never goes back, so it is for good."""
    for id, kept in contact.history.items():
        decl = series.get(id)
        left = bisect_right(kept.at, contact.clock - decl.keep_ms) if decl is not None else 0
        if left:
            contact.history[id] = Series(
                kept.n, kept.total, kept.first, kept.last, kept.at[left:], kept.values[left:] if kept.values else []
            )


def drop_unneeded(contact: Contact, series: Mapping[str, SeriesDecl]) -> None:
    """Forget the series that no active ruleset asks for."""
    for id in [id for id in contact.history if id not in series]:
        del contact.history[id]


def merged(a: Series, b: Series) -> Series:
    """The series of two contacts that become one: as if every fact had been one contact's."""
    if not (a.n and b.n):
        return a if a.n else b
    if a.values or b.values:
        pairs = list(in_order(zip(a.at, a.values, strict=True), zip(b.at, b.values, strict=True)))[-LONGEST:]
        at, values = [instant for instant, _ in pairs], [value for _, value in pairs]
    else:
        at, values = list(in_order(a.at, b.at))[-LONGEST:], []
    total = round(a.total + b.total, 6)
    return Series(a.n + b.n, total, min(a.first, b.first), max(a.last, b.last), at, values)


def _with(series: Series, at: int, value: float | None, cut: int, keeps: bool) -> Series:
    """The series with one more fact; of single ones those after ``cut``."""
    first = min(series.first, at) if series.n else at
    last = max(series.last, at) if series.n else at
    total = series.total if value is None else round(series.total + value, 6)
    if not keeps:
        return Series(series.n + 1, total, first, last)
    instants, values = series.at, series.values
    start = bisect_right(instants, cut)
    if at > cut:
        i = bisect_right(instants, at)
        if value is not None:
            # Among facts of one instant the value decides, so that they stand alike in whatever order they came.
            i = bisect_right(values, value, bisect_left(instants, at), i)
            values = _inserted(values, start, i, value)
        instants = _inserted(instants, start, i, at)
    elif start:
        instants, values = instants[start:], values[start:]
    return Series(series.n + 1, total, first, last, instants, values)


def _inserted(items: list[Any], start: int, i: int, item: Any) -> list[Any]:
    rest = items[start:]
    rest.insert(i - start, item)
    return rest[-LONGEST:] if len(rest) > LONGEST else rest
