"""How good predictions are: how they rank, whether they are as likely as they say, and what the best of them hold.

Examples of one contact resemble each other, so intervals come from drawing contacts, not examples.
"""

# pyright: reportUnknownMemberType=false
# numpy from 2.5 on leaves parts of its own signatures without types.

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    import numpy as np

    Numbers = np.ndarray[Any, Any]

ROUNDS = 200  # draws of contacts for an interval
BINS = 10
TOPS = (0.1, 0.2)


class Interval(msgspec.Struct, frozen=True):
    """A figure, and between what it lies in 95 of 100 such tests."""

    value: float
    low: float
    high: float


class Bin(msgspec.Struct, frozen=True):
    """Examples that were predicted alike: how many, how likely on average, and how many of 1 it was."""

    examples: int
    predicted: float
    observed: float


class Measured(msgspec.Struct, frozen=True):
    """``auc``: of one with the outcome and one without, how often the former stands higher. ``ece``: by how much the
    bins of ``calibration`` are off, on average. ``lift``: by share of the examples, the best predicted first, how many
    times as often they have the outcome. ``over``: the AUC beyond that of what it is compared with.
    """

    auc: Interval
    ece: float
    lift: dict[str, float]
    calibration: list[Bin]
    over: Interval | None = None


def measure(
    said: Sequence[float],
    outcomes: Sequence[bool],
    contacts: Sequence[str],
    seed: int,
    *,
    against: Sequence[float] | None = None,
    probabilities: Sequence[float] | None = None,
) -> Measured:
    """What was ``said`` of examples, more where the outcome is likelier. ``against``: what something else said of the
    same ones; ``probabilities`` where what was said is none. Some have the outcome and some have not."""
    import numpy as np

    s, y = np.asarray(said, dtype=float), np.asarray(outcomes, dtype=float)
    p = s if probabilities is None else np.asarray(probabilities, dtype=float)
    _, group = np.unique(np.asarray(contacts), return_inverse=True)
    mine, theirs = _Ranked(s, y), None if against is None else _Ranked(np.asarray(against, dtype=float), y)
    drawn: list[tuple[float, float]] = []
    random = np.random.default_rng(seed)
    size = int(group.max()) + 1
    for _ in range(ROUNDS):
        weight = np.bincount(random.integers(size, size=size), minlength=size)[group].astype(float)
        if 0 < float(weight @ y) < float(weight.sum()):
            auc = mine.auc(weight)
            drawn.append((auc, auc - theirs.auc(weight) if theirs is not None else 0.0))
    once = np.ones(len(p))
    auc = mine.auc(once)
    bins = _bins(p, y)
    return Measured(
        _interval(auc, [a for a, _ in drawn]),
        sum(b.examples * abs(b.predicted - b.observed) for b in bins) / len(p),
        {f"{share:.0%}": mine.lift(share) for share in TOPS},
        bins,
        None if theirs is None else _interval(auc - theirs.auc(once), [over for _, over in drawn]),
    )


class _Ranked:
    """Examples by what was predicted, in rising order; those predicted alike share a place."""

    def __init__(self, predicted: Numbers, outcomes: Numbers) -> None:
        import numpy as np

        self._outcomes = outcomes
        _, self._place = np.unique(predicted, return_inverse=True)

    def _by_place(self, weight: Numbers) -> tuple[Numbers, Numbers]:
        import numpy as np

        with_it = np.bincount(self._place, weight * self._outcomes)
        return with_it, np.bincount(self._place, weight) - with_it

    def auc(self, weight: Numbers) -> float:
        import numpy as np

        good, bad = self._by_place(weight)
        below = np.cumsum(bad) - bad
        return float((good * (below + bad / 2)).sum() / (good.sum() * bad.sum()))

    def lift(self, share: float) -> float:
        """Of those predicted alike, at the edge, as many count as there is room for."""
        import numpy as np

        good, bad = self._by_place(np.ones(len(self._outcomes)))
        left, held = share * len(self._outcomes), 0.0
        for with_it, all_of in zip(good[::-1], (good + bad)[::-1], strict=True):
            taken = min(left, float(all_of))
            held += taken * float(with_it) / float(all_of)
            left -= taken
            if left <= 0:
                break
        return held / (share * float(good.sum()))


def _bins(p: Numbers, y: Numbers) -> list[Bin]:
    """Of as many examples each, those predicted least first."""
    import numpy as np

    order = np.argsort(p, kind="stable")
    parts = [part for part in np.array_split(order, BINS) if len(part)]
    return [Bin(len(part), float(p[part].mean()), float(y[part].mean())) for part in parts]


def _interval(value: float, drawn: Sequence[float]) -> Interval:
    import numpy as np

    low, high = np.quantile(drawn, [0.025, 0.975]) if drawn else (value, value)
    return Interval(value, float(low), float(high))
