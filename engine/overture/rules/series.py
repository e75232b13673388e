"""Series: what contacts must remember of their facts, so that the active rulesets can count them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple

from overture.rules.durations import DAY
from overture.rules.reach import walk
from overture.rules.spelling import spell
from overture.rules.tree import History, Node, SeriesKey, Window

RULESET_SERIES = 200
PROGRAM_SERIES = 500  # of all active rulesets together
"""Each fact is put into every series of its type, and every contact keeps them."""

_CALENDAR = {"": 0, "day": 2 * DAY, "week": 8 * DAY, "month": 32 * DAY}
"""Longer than any such period, in any zone, also in one that the contact moves to."""


@dataclass(frozen=True, slots=True)
class SeriesDecl:
    """One series that the active rulesets need: single facts as far back as ``keep_ms`` before the contact's clock,
    and the figures over all facts ever. 0: only these figures.
    """

    key: SeriesKey
    keep_ms: int = 0


class Since(NamedTuple):
    """The version of the active set since which contacts keep a series, and keep it ``keep_ms`` back, without a gap."""

    keep_ms: int
    version: int
    wide: int


def keeps(series: Mapping[str, SeriesDecl]) -> dict[str, int]:
    """How long single facts of each are kept, in ms."""
    return {id: decl.keep_ms for id, decl in series.items()}


def since(keeps: Mapping[str, int], before: Mapping[str, Sequence[int]], version: int) -> dict[str, Since]:
    """Since when, as of ``version``; ``before``: the same as of the version before it."""
    found: dict[str, Since] = {}
    for id, keep_ms in keeps.items():
        known = Since(*before[id]) if id in before else Since(-1, version, version)
        found[id] = Since(keep_ms, known.version, known.wide if keep_ms <= known.keep_ms else version)
    return found


def series_key(type: str, field: tuple[str, ...] = (), where: Node | None = None) -> SeriesKey:
    id = ":".join((type, *field))
    if where is not None:
        id += "?" + blake2b(spell(where).encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()
    return SeriesKey(id, type, field, where)


def reach_of(window: Window | None) -> int:
    """How far back from the clock a window can reach, in ms."""
    return max(window.ms, _CALENDAR[window.calendar]) if window is not None else 0


def beyond(nodes: Iterable[Node], limit: int) -> History | None:
    """The first place at which these expressions ask for one series more than ``limit``."""
    seen: set[str] = set()
    for node in nodes:
        for part in walk(node):
            if isinstance(part, History):
                seen.add(part.series.id)
                if len(seen) > limit:
                    return part
    return None


def series_of(nodes: Iterable[Node]) -> dict[str, SeriesDecl]:
    """What has to be kept for these expressions, by id."""
    found: dict[str, SeriesDecl] = {}
    for node in nodes:
        for part in walk(node):
            if isinstance(part, History):
                key, keep = part.series, reach_of(part.window)
                known = found.get(key.id)
                if known is None or known.keep_ms < keep:
                    found[key.id] = SeriesDecl(key, keep)
    return found
