"""Models that look at one path alone: each is a rule for the weights of its touches, which add up to 1."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from overture.attribution.paths import Credits, Path, Tally

Weigh = Callable[[Path], Sequence[float]]


class ByPath:
    """Credits by weights: the conversions of a path go to its touches, each its weight's part."""

    def __init__(self, weigh: Weigh) -> None:
        self._weigh = weigh
        self._tally = Tally()

    def add(self, path: Path) -> None:
        if path.conversions:
            for label, weight in zip(path.touches, self._weigh(path), strict=True):
                if weight:
                    self._tally.add(label, path.conversions * weight, path.value * weight)

    def credits(self) -> Credits:
        return self._tally.credits()


def first(path: Path) -> Sequence[float]:
    """All to the touch that began the path."""
    return [1.0] + [0.0] * (len(path.touches) - 1)


def last(path: Path) -> Sequence[float]:
    """All to the touch right before the conversion."""
    return [0.0] * (len(path.touches) - 1) + [1.0]


def linear(path: Path) -> Sequence[float]:
    """To each touch the same; a label with two touches has two parts."""
    n = len(path.touches)
    return [1 / n] * n


def decaying(half_life: float) -> Weigh:
    """A touch that was ``half_life`` ms earlier than another one has half of its weight: 2^(-age / half life), of the
    sum of all.
    """

    def weigh(path: Path) -> Sequence[float]:
        # Counted from the youngest, so that a path that ended long before is not nothing divided by nothing.
        youngest = min(path.ages)
        weights = [2.0 ** ((youngest - age) / half_life) for age in path.ages]
        whole = sum(weights)
        return [weight / whole for weight in weights]

    return weigh


def by_position(beginning: float, middle: float, end: float) -> Weigh:
    """So much to the first touch, so much to the last, and ``middle`` in equal parts to those between; the three add up
    to 1. Of two touches each has its part of what both ends have together (half, where that is nothing); a single
    touch has all.
    """

    def weigh(path: Path) -> Sequence[float]:
        between = len(path.touches) - 2
        if between < 0:
            return [1.0]
        if not between:
            ends = beginning + end
            return [beginning / ends, end / ends] if ends else [0.5, 0.5]
        return [beginning, *[middle / between] * between, end]

    return weigh
