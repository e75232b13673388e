"""Which of several variants to show: Thompson sampling over what was learned of each, as shares that are known exactly.

What is known of a variant's rate of success is a Beta distribution. Thompson sampling shows a variant as often as it is
probably the best one. Here that probability is integrated once, deterministically, and the draw goes by it: so the
propensity that is logged is the probability by which the draw was made, not an estimate of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from math import exp, log, log1p, sqrt

from overture.model.ids import digest

Belief = tuple[float, float]
"""Parameters a and b of a Beta distribution."""

CELLS = 600  # of the integral, over all variants together
FEWEST = 24  # around each of them
TAIL = 12.0  # standard deviations, or lengths of an exponential tail, beyond which nothing is integrated


def beliefs(counts: Sequence[tuple[float, float]]) -> tuple[Belief, ...]:
    """Of each variant, by how many were successes and how many were not.

    Each begins as if it had one success (or, where most are, one failure) at the rate of all together. A uniform prior
    would take what was hardly shown yet for one that succeeds half of the time, and where one in two hundred does, go
    on showing nothing else.
    """
    good, bad = (1 + sum(each) for each in zip(*counts, strict=True))
    a, b = max(1.0, good / bad), max(1.0, bad / good)
    return tuple((a + x, b + y) for x, y in counts)


def shares(best: Sequence[float], explore: float) -> tuple[float, ...]:
    """How often each is shown: as often as it is the best (`best_of`), but ``explore`` (0 to 1) of all evenly. They sum
    up to 1.
    """
    return tuple((1 - explore) * p + explore / len(best) for p in best)


def drawn(parts: Sequence[float], *seed: str) -> int:
    """Which one, by its share; the same for the same seed."""
    at = int.from_bytes(digest("choice", *seed)[:7], "big") / (1 << 56)
    for i, part in enumerate(parts):
        at -= part
        if at < 0:
            return i
    return max(range(len(parts)), key=lambda i: parts[i])  # what rounding leaves over


@lru_cache(maxsize=256)
def best_of(beliefs: tuple[Belief, ...]) -> tuple[float, ...]:
    """The probability of each to have the highest rate: ∫ f_i Π F_j, over the logarithm of odds.

    Each has a grid of its own, as wide as its distribution, and the integral goes over all of them together; within a
    cell Simpson's rule. To within 0.0005, whatever the counts are; they sum up to 1.
    """
    if len(beliefs) == 1:
        return (1.0,)
    edges = _edges(beliefs)
    known = dict[Belief, list[float]]()
    for each in beliefs:
        if each not in known:
            known[each] = _below(each, edges)
    below = [known[each] for each in beliefs]
    found = [0.0] * len(beliefs)
    for cell in range(len(edges) - 1):
        low = [each[2 * cell] for each in below]
        high = [each[2 * cell + 2] for each in below]
        inside = [i for i in range(len(below)) if high[i] > low[i]]
        if not inside:
            continue
        ends = _others(low), _others([each[2 * cell + 1] for each in below]), _others(high)
        for i in inside:
            found[i] += (high[i] - low[i]) * (ends[0][i] + 4 * ends[1][i] + ends[2][i]) / 6
    total = sum(found)
    return tuple(part / total for part in found)


def _edges(beliefs: Sequence[Belief]) -> list[float]:
    around = max(FEWEST, CELLS // len(set(beliefs)))
    edges = set[float]()
    for a, b in set(beliefs):
        middle, spread = log(a / b), sqrt((a + b) / (a * b))
        low, high = middle - TAIL * max(spread, 1 / a), middle + TAIL * max(spread, 1 / b)
        edges.update(low + (high - low) * i / around for i in range(around + 1))
    return sorted(edges)


def _below(belief: Belief, edges: Sequence[float]) -> list[float]:
    """How much of the distribution lies below each edge, and below the middle of each cell: 2 n + 1 values, 0 to 1."""
    a, b = belief
    mode = log(a / b)

    def height(z: float) -> float:
        """The density of the logarithm of odds, as a part of its highest."""
        return exp(a * (z - mode) - (a + b) * (_softplus(z) - _softplus(mode)))

    total, found = 0.0, [0.0]
    left = height(edges[0])
    for low, high in pairwise(edges):
        middle, right = height((low + high) / 2), height(high)
        width = high - low
        found.append(total + width * (5 * left + 8 * middle - right) / 24 if width else total)
        total += width * (left + 4 * middle + right) / 6
        found.append(total)
        left = right
    return [min(max(part / total, 0.0), 1.0) for part in found]


def _others(values: Sequence[float]) -> list[float]:
    """For each, the product of all others."""
    ahead, product = list[float](), 1.0
    for value in values:
        ahead.append(product)
        product *= value
    product = 1.0
    for i in range(len(values) - 1, -1, -1):
        ahead[i] *= product
        product *= values[i]
    return ahead


def _softplus(z: float) -> float:
    return z + log1p(exp(-z)) if z > 0 else log1p(exp(z))
