"""What another way to choose would have come to, from what was shown and with which probability.

Each outcome that another way would have chosen more often than it was chosen weighs more, by the quotient of the two
probabilities. That is right on the average whatever the outcomes follow from, as long as all that the other way may
choose was chosen sometimes; what is seldom chosen makes it uncertain, and the interval says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import NamedTuple

from overture.model.intervals import Z


class Estimate(NamedTuple):
    """A mean outcome, and between what it lies with 95 %; ``weight``: how many equal outcomes that rests on."""

    value: float
    low: float
    high: float
    weight: float


@dataclass(slots=True)
class Weighed:
    """Sums over ``n`` outcomes, each 0 or 1, with its weight: all that the two estimators need."""

    n: int = 0
    w: float = 0.0
    wr: float = 0.0  # of those that are 1
    w2: float = 0.0  # squares of weights
    w2r: float = 0.0

    def add(self, weight: float, good: bool) -> None:
        self.n += 1
        self.w += weight
        self.w2 += weight * weight
        if good:
            self.wr += weight
            self.w2r += weight * weight

    def ips(self) -> Estimate | None:
        """Inverse propensity scores: unbiased. None where there is nothing."""
        if not self.n:
            return None
        value = self.wr / self.n
        spread = max(self.w2r / self.n - value * value, 0.0) / self.n
        return _estimate(value, spread, self._weight())

    def snips(self) -> Estimate | None:
        """Divided by the sum of the weights in place of their number: surer, with a bias that goes as it grows."""
        if self.w <= 0:
            return None
        value = self.wr / self.w
        spread = (self.w2r * (1 - 2 * value) + value * value * self.w2) / (self.w * self.w)
        return _estimate(value, spread, self._weight())

    def over(self, reached: int) -> Estimate | None:
        """How much more than what came of all ``n`` outcomes, ``reached`` of which were 1: by `snips`, its covariance
        with that mean included.
        """
        if self.w <= 0:
            return None
        value, mean = self.wr / self.w, reached / self.n
        own = (self.w2r * (1 - 2 * value) + value * value * self.w2) / (self.w * self.w)
        whole = mean * (1 - mean) / self.n
        shared = (self.wr * (1 - mean - value) + value * mean * self.w) / (self.w * self.n)
        return _estimate(value - mean, own + whole - 2 * shared, self._weight())

    def _weight(self) -> float:
        """Kish's effective number."""
        return self.w * self.w / self.w2 if self.w2 else 0.0


class Row(NamedTuple):
    """One logged outcome. ``weight``: probability of what was chosen, by the other way, divided by that by which it
    was; ``model``: what a model of outcomes says of it, and ``expected`` of what the other way would choose.
    """

    weight: float
    reward: float
    model: float
    expected: float


def doubly_robust(rows: Sequence[Row]) -> Estimate | None:
    """What the model expects, and its error weighed: right if the propensities or the model are (Dudík et al. 2011)."""
    n = len(rows)
    if n < 2:
        return None
    values = [row.expected + row.weight * (row.reward - row.model) for row in rows]
    value = sum(values) / n
    spread = sum((each - value) ** 2 for each in values) / (n - 1) / n
    w, w2 = sum(row.weight for row in rows), sum(row.weight**2 for row in rows)
    return _estimate(value, spread, w * w / w2 if w2 else 0.0)


def _estimate(value: float, variance: float, weight: float) -> Estimate:
    half = Z * sqrt(max(variance, 0.0))
    return Estimate(value, value - half, value + half, weight)
