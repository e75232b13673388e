"""What is attributed: paths of touches, each of which ended in conversions or in nothing; and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol


class Path(NamedTuple):
    """Touches by their labels, oldest first, at least one; ``ages``: ms from each of them to the end of the path.

    ``conversions`` is how many people went this path and converted, ``value`` what that was worth in all, not negative;
    ``nulls`` is how many went it to no end.
    """

    touches: tuple[str, ...]
    ages: tuple[float, ...]
    conversions: float = 1
    value: float = 0
    nulls: float = 0


class Credit(NamedTuple):
    """What one label is given: of the conversions, and of their value."""

    conversions: float
    value: float


Credits = Mapping[str, Credit]
"""By label. What one model gives adds up to the conversions, and to their value."""


class Model(Protocol):
    """Shown every path once, in any order; then it has its answer."""

    def add(self, path: Path) -> None: ...

    def credits(self) -> Credits:
        """Raises Refused where the paths are beyond what it can take."""
        ...


class Sum:
    """A sum of floats without the error that grows with their number (Neumaier 1974)."""

    __slots__ = ("_lost", "_total")

    def __init__(self) -> None:
        self._total = self._lost = 0.0

    def add(self, x: float) -> None:
        total = self._total + x
        if abs(self._total) >= abs(x):
            self._lost += (self._total - total) + x
        else:
            self._lost += (x - total) + self._total
        self._total = total

    @property
    def value(self) -> float:
        return self._total + self._lost


class Tally:
    """Credits, as they come together."""

    def __init__(self) -> None:
        self._sums: dict[str, tuple[Sum, Sum]] = {}

    def add(self, label: str, conversions: float, value: float) -> None:
        sums = self._sums.get(label)
        if sums is None:
            sums = self._sums[label] = Sum(), Sum()
        sums[0].add(conversions)
        sums[1].add(value)

    def credits(self) -> Credits:
        return {label: Credit(a.value, b.value) for label, (a, b) in self._sums.items()}


def shared_out(effects: Mapping[str, float], values: Mapping[str, float], conversions: float, value: float) -> Credits:
    """Conversions and their value in proportion to effects, none of them negative."""
    whole, worth = sum(effects.values()), sum(values.values())
    return {
        label: Credit(conversions * effect / whole if whole else 0.0, value * values[label] / worth if worth else 0.0)
        for label, effect in effects.items()
    }
