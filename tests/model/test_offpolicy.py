"""What another policy would have come to, where the truth is known: estimates and their intervals are right."""

from __future__ import annotations

import random
from collections.abc import Callable
from statistics import fmean, pvariance

import pytest

from overture.model.offpolicy import Estimate, Row, Weighed, doubly_robust

RATES = {"new": (0.10, 0.30, 0.20), "old": (0.40, 0.15, 0.25)}  # of three variants, by kind of contact
LOGGED = {"new": (0.6, 0.3, 0.1), "old": (0.2, 0.2, 0.6)}  # how often they were shown
OTHER = {"new": (0.1, 0.8, 0.1), "old": (0.7, 0.1, 0.2)}  # and how often another policy would show them
KINDS = ("new", "old")
RUNS, N = 300, 400

Log = list[tuple[str, int, bool]]


def _value(policy: dict[str, tuple[float, ...]]) -> float:
    return fmean(sum(p * r for p, r in zip(policy[kind], RATES[kind], strict=True)) for kind in KINDS)


TRUTH = _value(OTHER)


def log(dice: random.Random) -> Log:
    found: Log = []
    for _ in range(N):
        kind = dice.choice(KINDS)
        (shown,) = dice.choices(range(3), LOGGED[kind])
        found.append((kind, shown, dice.random() < RATES[kind][shown]))
    return found


def sums(log: Log) -> Weighed:
    found = Weighed()
    for kind, shown, good in log:
        found.add(OTHER[kind][shown] / LOGGED[kind][shown], good)
    return found


def rows(log: Log, model: dict[str, tuple[float, ...]]) -> list[Row]:
    expected = {kind: sum(p * m for p, m in zip(OTHER[kind], model[kind], strict=True)) for kind in KINDS}
    return [
        Row(OTHER[kind][shown] / LOGGED[kind][shown], float(good), model[kind][shown], expected[kind])
        for kind, shown, good in log
    ]


WRONG = dict.fromkeys(KINDS, (0.5, 0.1, 0.9))
ESTIMATORS: dict[str, Callable[[Log], Estimate | None]] = {
    "IPS": lambda log: sums(log).ips(),
    "SNIPS": lambda log: sums(log).snips(),
    "DR, a model that is right": lambda log: doubly_robust(rows(log, RATES)),
    "DR, a model that is wrong": lambda log: doubly_robust(rows(log, WRONG)),
}


def over_and_over(estimate: Callable[[Log], Estimate | None]) -> list[Estimate]:
    dice = random.Random(7)
    return [found for _ in range(RUNS) if (found := estimate(log(dice))) is not None]


@pytest.mark.parametrize("name", ESTIMATORS)
def test_estimates_are_right_on_the_average_and_their_intervals_hold_the_truth_as_often_as_they_say(name: str) -> None:
    found = over_and_over(ESTIMATORS[name])
    error = (pvariance([each.value for each in found]) / RUNS) ** 0.5
    bias = 0.004 if name == "SNIPS" else 0.0
    assert abs(fmean(each.value for each in found) - TRUTH) < 4 * error + bias
    held = fmean(each.low <= TRUTH <= each.high for each in found)
    assert 0.90 <= held <= 0.985, "95 %, as near as 300 runs tell"


def test_the_mean_of_what_was_logged_is_another_question() -> None:
    naive = fmean(fmean(good for _, _, good in log(random.Random(n))) for n in range(40))
    assert abs(naive - TRUTH) > 0.03
    assert abs(naive - _value(LOGGED)) < 0.01


def test_a_model_that_is_right_makes_it_surer() -> None:
    spread = {
        name: pvariance([each.value for each in over_and_over(estimate)]) for name, estimate in ESTIMATORS.items()
    }
    assert spread["DR, a model that is right"] < spread["IPS"]


def test_how_much_more_it_is_takes_into_account_that_both_are_of_one_log() -> None:
    dice = random.Random(11)
    logs = [log(dice) for _ in range(RUNS)]
    found = [sums(each).over(sum(good for _, _, good in each)) for each in logs]
    truth = TRUTH - _value(LOGGED)
    held = [each.low <= truth <= each.high for each in found if each is not None]
    assert len(held) == RUNS
    assert 0.90 <= fmean(held) <= 0.985
    same = Weighed()
    for n in range(100):
        same.add(1.0, n % 4 == 0)
    none = same.over(25)
    assert none is not None
    assert none[:3] == pytest.approx((0, 0, 0), abs=1e-9), "the same policy is no better, and that is certain"


def test_nothing_logged_says_nothing() -> None:
    assert Weighed().ips() is Weighed().snips() is Weighed().over(0) is doubly_robust([]) is None
    one = Weighed()
    one.add(2.0, True)
    assert one.snips() == Estimate(1.0, 1.0, 1.0, 1.0)
