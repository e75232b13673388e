"""How much outcomes say for one way being better than another, whenever and however often somebody looks.

A test of a fixed number of contacts may be looked at once. What is looked at all the time, and stopped when it looks
good, finds a winner among equals sooner or later. This does not: see `evidence`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from math import exp, log, log1p
from typing import NamedTuple

BASES = tuple(1 / (1 + exp(-i / 2)) for i in range(-14, 11))  # rates that are thought of: 0.1 % to 99 %
RATIOS = tuple(exp(2.0**i / 100) for i in range(1, 9))  # of odds: 1.02 to 13


class Count(NamedTuple):
    """Of ``n`` contacts, ``x`` did."""

    x: int
    n: int


class Lead(NamedTuple):
    """``certainty`` that ``way`` is better than every other; 0 where nothing speaks for it."""

    way: str
    certainty: float


def evidence(a: Count, b: Count, share: float) -> float:
    """The logarithm of an e-value against "a is no better than b". ``share`` of the contacts of both are sent to a.

    For rates p > q of a and b, and r = share p + (1 − share) q, take the product over all contacts of what the
    outcome has for a probability where the contact was sent, divided by its probability under r. Where in truth
    both have the same rate, whichever that is, each factor is 1 on average, as r is what p and q come to over both;
    where a is worse it is less. So the product is a martingale that begins at 1, or falls, and so is its mean over
    pairs of p and q that are fixed beforehand: whoever stops whenever they like sees it reach 1/α with probability
    at most α (Ville 1939). Nothing is approximated, and nothing is paid for not knowing the rate. After Turner, R.,
    Ly, A., Grünwald, P. (2024), Generic E-variables for exact sequential k-sample tests that allow for optional
    stopping, Journal of Statistical Planning and Inference 230, with the random way of a contact in place of their
    blocks.
    """
    rows = _alternatives(share)
    products = [a.x * ax + (a.n - a.x) * ay + b.x * bx + (b.n - b.x) * by for ax, ay, bx, by in rows]
    most = max(products)
    return most + log(sum(exp(product - most) for product in products) / len(rows))


def lead(ways: Mapping[str, Count], weights: Mapping[str, int]) -> Lead | None:
    """Who does best, and how certain that is against all the others together; None where there is nothing to compare.

    Each of two may falsely be found better than the other, with its part of the whole error (Bonferroni).
    """
    if len(ways) < 2 or not all(count.n for count in ways.values()):
        return None
    questions = len(ways) * (len(ways) - 1)
    best = max(ways, key=lambda way: (ways[way].x / ways[way].n, way))
    least = min(
        evidence(ways[best], count, weights[best] / (weights[best] + weights[way]))
        for way, count in ways.items()
        if way != best
    )
    return Lead(best, max(0.0, 1 - questions * exp(-max(least, 0.0))))


@lru_cache(maxsize=64)
def _alternatives(share: float) -> tuple[tuple[float, float, float, float], ...]:
    """For each pair of rates, what one contact adds: that did and did not on a, and on b."""
    rows: list[tuple[float, float, float, float]] = []
    for q in BASES:
        for ratio in RATIOS:
            p = q * ratio / (1 - q + q * ratio)
            r = share * p + (1 - share) * q
            rows.append((log(p / r), log1p(-p) - log1p(-r), log(q / r), log1p(-q) - log1p(-r)))
    return tuple(rows)
