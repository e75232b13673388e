"""How sure a difference between two rates is."""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

CONFIDENCE = 0.95
Z = 1.959963984540054  # the 97.5th percentile of the normal distribution: 95 %, both sides
FEW = 30  # in a group: below that nothing is said


class Interval(NamedTuple):
    estimate: float
    low: float
    high: float


def wilson(x: int, n: int) -> tuple[float, float]:
    """Wilson's score interval of a proportion: of ``n`` (at least 1), ``x`` did.

    (2np + z² ± z√(z² + 4npq)) / 2(n + z²), with p = x/n and q = 1 − p: Wilson, E. B. (1927), Probable inference, the
    law of succession, and statistical inference. Journal of the American Statistical Association 22, 209–212.
    """
    p, z2 = x / n, Z * Z
    middle, spread = 2 * x + z2, Z * sqrt(z2 + 4 * x * (1 - p))
    return (middle - spread) / (2 * (n + z2)), (middle + spread) / (2 * (n + z2))


def difference(x1: int, n1: int, x2: int, n2: int) -> Interval | None:
    """``x1/n1 − x2/n2`` of two independent groups, with its interval; None where one has fewer than `FEW`.

    With d = p1 − p2 and Wilson's intervals (l1, u1), (l2, u2) of the two: from d − √((p1 − l1)² + (u2 − p2)²) to
    d + √((u1 − p1)² + (p2 − l2)²). That is method 10 of Newcombe, R. G. (1998), Interval estimation for the difference
    between independent proportions: comparison of eleven methods. Statistics in Medicine 17, 873–890.
    """
    if min(n1, n2) < FEW:
        return None
    p1, p2 = x1 / n1, x2 / n2
    (l1, u1), (l2, u2) = wilson(x1, n1), wilson(x2, n2)
    d = p1 - p2
    return Interval(d, d - sqrt((p1 - l1) ** 2 + (u2 - p2) ** 2), d + sqrt((u1 - p1) ** 2 + (p2 - l2) ** 2))
