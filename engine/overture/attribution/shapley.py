"""Shapley values: labels as players of a game in which a coalition is worth what the paths within it brought.

A path is within a coalition where all of its labels belong to it: in what order they came, and how often, does not
matter (the unordered game). A player's value is what it adds to a coalition, averaged over all orders in which the
players may come together (Shapley 1953); all values add up to what all players together are worth.
"""

from __future__ import annotations

from collections import defaultdict
from math import factorial

from overture.attribution.paths import Credit, Credits, Path, Sum, Tally
from overture.model import Refused

PLAYERS = 15  # whose coalitions, 2 to that power, are all looked at


class Shapley:
    """A coalition is worth the conversions of the paths within it (Zhao, Mahboobi, Bagheri: Shapley value methods for
    attribution modeling in online advertising, 2018).

    Each path is then a game of its own that only its labels together win, and each has the same part of it. So the
    values are exact for any number of labels without a look at any coalition, and paths that led to nothing do not
    matter.
    """

    def __init__(self) -> None:
        self._tally = Tally()

    def add(self, path: Path) -> None:
        if path.conversions:
            labels = dict.fromkeys(path.touches)
            for label in labels:
                self._tally.add(label, path.conversions / len(labels), path.value / len(labels))

    def credits(self) -> Credits:
        return self._tally.credits()


class ShapleyRate:
    """A coalition is worth the rate at which the paths within it convert: 0 where there are none.

    So a label earns what it raises the rate by, and one that is there where people do not convert loses: its part is
    negative then. The values add up to the rate of all paths; times their number, that is the conversions. Every
    coalition is looked at, so there may be `PLAYERS` labels at most.
    """

    def __init__(self) -> None:
        self._players: dict[str, int] = {}
        self._sums: defaultdict[int, tuple[Sum, Sum, Sum]] = defaultdict(lambda: (Sum(), Sum(), Sum()))

    def add(self, path: Path) -> None:
        mask = 0
        for label in path.touches:
            mask |= 1 << self._players.setdefault(label, len(self._players))
        if len(self._players) > PLAYERS:
            self._sums.clear()  # there will be no answer
            return
        conversions, value, paths = self._sums[mask]
        conversions.add(path.conversions)
        value.add(path.value)
        paths.add(path.conversions + path.nulls)

    def credits(self) -> Credits:
        """Raises Refused ``attribution.too_many_players``."""
        n = len(self._players)
        if n > PLAYERS:
            raise Refused(
                "attribution.too_many_players",
                f"There are more than {PLAYERS} labels, and the coalitions of so many are too many.",
                "Choose a coarser `by`, or the model shapley, which takes any number.",
                status=422,
            )
        conversions, values, paths = ([0.0] * (1 << n) for _ in range(3))
        for mask, sums in self._sums.items():
            conversions[mask], values[mask], paths[mask] = (each.value for each in sums)
        for each in (conversions, values, paths):
            _within(each, n)
        if not n or not paths[-1]:
            return {}
        rates, worths = (
            [x / of if of else 0.0 for x, of in zip(xs, paths, strict=True)] for xs in (conversions, values)
        )
        return {
            label: Credit(_value(rates, n, i) * paths[-1], _value(worths, n, i) * paths[-1])
            for label, i in self._players.items()
        }


def _within(sums: list[float], n: int) -> None:
    """Of each coalition and nothing else → of each coalition and all that are part of it."""
    for i in range(n):
        bit = 1 << i
        for mask in range(len(sums)):
            if mask & bit:
                sums[mask] += sums[mask ^ bit]


def _value(worth: list[float], n: int, player: int) -> float:
    bit, total = 1 << player, Sum()
    weights = [factorial(size) * factorial(n - size - 1) / factorial(n) for size in range(n)]
    for mask in range(len(worth)):
        if not mask & bit:
            total.add(weights[mask.bit_count()] * (worth[mask | bit] - worth[mask]))
    return total.value
