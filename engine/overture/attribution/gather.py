"""Recorded facts → touches and conversions of each contact, in the order in which they happened → paths.

What happened when is `when`. Contacts that became known are one contact from the beginning. Nothing grows in memory
with the facts: what was found waits in a file of SQLite's own, which has no name and is gone with the process.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter

from overture.attribution.paths import Path
from overture.attribution.question import Asked
from overture.backtest.period import Period
from overture.model import Fact
from overture.model.ids import IDENTIFIERS
from overture.records import Recorded

LONGEST = 1_000  # touches of a contact between two conversions; of more, the newest
LABELLED = 100  # labels with credit of their own: those with most touches
OTHER = "(other)"
CACHE_KIB = 64 << 10

TOUCH, CONVERSION = 0, 1
Row = tuple[str, int, int, str, float]
"""Contact, when, `TOUCH` or `CONVERSION`, label, value."""


def when(fact: Fact) -> int:
    """When it happened, ms; never later than it was accepted: a sender's clock may be ahead."""
    return min(fact.occurred_at, fact.accepted_at)


@dataclass(slots=True)
class Found:
    """What was counted on the way. ``value`` is a pair like ``conversions``: with touches before them, without;
    ``worthless``: conversions without a value; ``left_out``: touches beyond `LONGEST`.
    """

    conversions: list[int] = field(default_factory=lambda: [0, 0])
    value: list[float] = field(default_factory=lambda: [0.0, 0.0])
    worthless: int = 0
    nulls: int = 0
    left_out: int = 0
    touches: dict[str, int] = field(default_factory=dict[str, int])


class Gathered:
    """Touches and conversions, as they are found; `paths` when everything was."""

    def __init__(self, asked: Asked) -> None:
        self.facts = self.last = 0
        self.types: set[str] = set()  # of those that are asked for, that are on record
        self._asked = asked
        self._db = sqlite3.connect("", isolation_level=None)
        for pragma in ("journal_mode = OFF", "synchronous = OFF", f"cache_size = -{CACHE_KIB}", "temp_store = FILE"):
            self._db.execute(f"PRAGMA {pragma}")
        self._db.execute("CREATE TABLE found (contact TEXT, at INTEGER, kind INTEGER, label TEXT, value REAL)")
        self._db.execute("CREATE TABLE links (weak TEXT PRIMARY KEY, strong TEXT) WITHOUT ROWID")
        self._db.execute("BEGIN")

    def close(self) -> None:
        self._db.close()

    def read(self, partition: Iterable[Recorded]) -> None:
        """All facts of one partition, in their order."""
        linked: dict[str, str] = {}
        begun: set[str] = set()  # contacts with something found, where an erasure has something to take away
        asked, rows = self._asked, list[Row]()
        for recorded in partition:
            fact = recorded.fact
            self.facts += 1
            if fact.type[:1] == "$":
                if fact.type == "$erase":
                    linked.pop(fact.contact, None)
                    if fact.contact in begun:
                        begun.discard(fact.contact)
                        self._keep(rows)
                        self._db.execute("DELETE FROM found WHERE contact = ?", (fact.contact,))
                elif fact.type == "$link" and fact.properties["into"] != fact.contact:
                    linked.setdefault(fact.contact, str(fact.properties["into"]))
                continue
            self.last = max(self.last, when(fact))
            if fact.type in asked.types:
                self.types.add(fact.type)
            if fact.contact in linked:  # handed on: it is found again where it was decided
                continue
            if asked.converts(fact):
                worth = asked.worth(fact) if asked.worth else 0.0
                rows.append((fact.contact, when(fact), CONVERSION, "", -1.0 if worth is None else worth))
            elif asked.touches(fact):
                rows.append((fact.contact, when(fact), TOUCH, asked.label_of(fact), 0.0))
            else:
                continue
            begun.add(fact.contact)
            if len(rows) >= 1_000:
                self._keep(rows)
        self._keep(rows)
        self._db.executemany("INSERT OR REPLACE INTO links VALUES (?, ?)", linked.items())

    def _keep(self, rows: list[Row]) -> None:
        self._db.executemany("INSERT INTO found VALUES (?, ?, ?, ?, ?)", rows)
        rows.clear()

    def paths(self, within: Period, found: Found, *, each: bool) -> Iterator[Path]:
        """The paths that ended in the period. ``each``: a touch like the one before it is another one."""
        span = self._asked.window
        bounds = (within.since - span, within.until)
        for _ in IDENTIFIERS:  # a link leads to a stronger kind
            self._db.execute(
                "UPDATE links SET strong = (SELECT l.strong FROM links l WHERE l.weak = links.strong)"
                " WHERE strong IN (SELECT weak FROM links)"
            )
        ranked = self._db.execute(
            "SELECT label FROM found WHERE kind = 0 AND at >= ? AND at < ?"
            " GROUP BY label ORDER BY count(*) DESC, label LIMIT ?", (*bounds, LABELLED),
        )  # fmt: skip
        known = {label: label for (label,) in ranked}
        rows: Iterator[Row] = self._db.execute(
            "SELECT coalesce(strong, contact) AS whose, at, kind, label, value FROM found LEFT JOIN links"
            " ON weak = contact WHERE at >= ? AND at < ? ORDER BY whose, at, kind, found.rowid",
            bounds,
        )
        for _, its in groupby(rows, itemgetter(0)):
            yield from self._of_one(its, known, within.since, found, each)

    def _of_one(
        self, rows: Iterator[Row], known: dict[str, str], since: int, found: Found, each: bool
    ) -> Iterator[Path]:
        touches: deque[tuple[int, str]] = deque(maxlen=LONGEST)
        for _, at, kind, label, value in rows:
            if kind == TOUCH:
                found.left_out += len(touches) == LONGEST
                touches.append((at, known.get(label, OTHER)))
                continue
            path = self._taken(touches, at, each)
            yield from self._without_end(touches, since, found, each)
            if at < since:
                continue
            worthless, value = value < 0, max(0.0, value)
            found.worthless += worthless
            found.conversions[not path] += 1
            found.value[not path] += value
            if path:
                yield _path(path, at, found, conversions=1, value=value, nulls=0)
        yield from self._without_end(touches, since, found, each)

    def _taken(self, touches: deque[tuple[int, str]], end: int, each: bool) -> list[tuple[int, str]]:
        """Take the touches of a window before an instant; of those alike right after each other the last."""
        path = list[tuple[int, str]]()
        while touches and touches[-1][0] >= end - self._asked.window:
            touch = touches.pop()
            if each or not path or path[-1][1] != touch[1]:
                path.append(touch)
        return path[::-1]

    def _without_end(self, touches: deque[tuple[int, str]], since: int, found: Found, each: bool) -> Iterator[Path]:
        """Paths of touches that no conversion followed in time: each within a window before its last touch."""
        while touches:
            end = touches[-1][0]
            path = self._taken(touches, end, each)
            if end >= since:
                found.nulls += 1
                yield _path(path, end, found, conversions=0, value=0, nulls=1)


def _path(
    touches: list[tuple[int, str]], end: int, found: Found, *, conversions: float, value: float, nulls: float
) -> Path:
    for _, label in touches:
        found.touches[label] = found.touches.get(label, 0) + 1
    ages = tuple(float(end - at) for at, _ in touches)
    return Path(tuple(label for _, label in touches), ages, conversions, value, nulls)
