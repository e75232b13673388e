"""Bounds for the scorer ``rfm`` that leave about a fifth of the buyers in each grade, found in recorded facts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from overture.backtest.period import Bound
from overture.model import Refused
from overture.training.examples import last_of
from overture.training.facts import Source

DAY = 86_400_000  # ms
GRADES = 5


class Bounds(NamedTuple):
    """Four bounds each, rising: days since the last fact, how many there were, what their field comes to."""

    buyers: int
    days: list[float]
    orders: list[float]
    spent: list[float]


def bounds(source: Source, type: str, field: str, since: Bound) -> Bounds:
    """As of the end of the record, over contacts with such a fact ``since``.

    Raises Refused ``train.too_few`` where there are fewer than ten for each grade.
    """
    _, end = last_of(source)
    start = since.counted(end + 1)
    days: list[float] = []
    orders: list[float] = []
    spent: list[float] = []
    for part in range(source.parts):
        known: dict[str, list[float]] = {}  # contact → last, how many, sum
        for fact in source.facts(part):
            if fact.type == type and fact.instant >= start:
                value = fact.properties.get(field)
                mine = known.setdefault(fact.contact, [0.0, 0.0, 0.0])
                mine[0] = max(mine[0], fact.instant)
                mine[1] += 1
                mine[2] += value if isinstance(value, int | float) else 0
        for last, count, total in known.values():
            days.append((end - last) / DAY)
            orders.append(count)
            spent.append(total)
    if len(days) < 10 * GRADES:
        raise Refused("train.too_few", f"Only {len(days)} contacts have a {type} in that time.", "Take a longer one.")
    return Bounds(len(days), _fifths(days, 0.1), _fifths(orders, 1), _fifths(spent, 0.01))


def _fifths(values: Sequence[float], step: float) -> list[float]:
    """Where as many lie on one side as on the other, in whole steps; where many are alike, the next step."""
    ordered = sorted(values)
    found: list[float] = []
    for n in range(1, GRADES):
        steps = round(ordered[n * len(ordered) // GRADES] / step)
        if found:
            steps = max(steps, round(found[-1] / step) + 1)
        found.append(round(steps * step, 2))
    return found
