"""The scorers that ship, held to the contract of scorers and to what they say of themselves."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from overture.model.scoring import ContactView, FactView, ScoreInput, View
from overture.testing import check_scorer
from overture_scoring import fit, half_life

TABLE = {
    "base": 5,
    "traits": {
        "country": {"is": {"DE": 20, "AT": 15}, "otherwise": -5},
        "seats": {"is": {"7": 70}, "at_least": {"10": 15, "50": 30}},
        "vip": {"is": {"true": 8}},
    },
}


def seen(now: int = 0, **traits: Any) -> ScoreInput:
    contact = ContactView("ada", View(traits), View({}), frozenset(), frozenset())
    return ScoreInput(FactView("said", View({}), View({}), now), contact, now)


@pytest.mark.parametrize(
    ("traits", "value", "shares"),
    [
        ({}, 5, {}),
        ({"country": "DE"}, 25, {"country": 20}),
        ({"country": "FR"}, 0, {"country": -5}),
        ({"seats": 9}, 5, {}),
        ({"seats": 10}, 20, {"seats": 15}),
        ({"seats": 49.5}, 20, {"seats": 15}),
        ({"seats": 1000}, 35, {"seats": 30}),
        ({"seats": 7}, 75, {"seats": 70}),
        ({"seats": "many"}, 5, {}),
        ({"seats": True}, 5, {}),
        ({"vip": True}, 13, {"vip": 8}),
        ({"vip": False}, 5, {}),
        ({"country": ["DE"]}, 0, {"country": -5}),
    ],
)
def test_fit_adds_up_what_the_traits_are_worth(traits: dict[str, Any], value: float, shares: dict[str, float]) -> None:
    scored = fit.Fit(fit.FitConfig.model_validate(TABLE)).score(seen(**traits))
    assert (scored.value, dict(scored.contributions)) == (value, shares)


def test_half_life_halves_what_an_instant_is_worth_and_nothing_that_is_still_to_come() -> None:
    scorer = half_life.HalfLife(half_life.HalfLifeConfig(days=2, points={"demo": 40, "visit": 10}))
    day = half_life.DAY
    for at, value in ((10, 40), (12, 20), (16, 5), (9, 40)):
        assert scorer.score(seen(at * day, demo=10 * day)).value == value
    both = scorer.score(seen(12 * day, demo=10 * day, visit=12 * day, other="x"))
    assert (both.value, both.contributions) == (30, {"demo": 20, "visit": 10})
    assert scorer.score(seen(day, demo="yesterday", visit=True)).value == 0


@pytest.mark.parametrize(
    "wrong",
    [{}, {"traits": {}}, {"traits": {"a": {}}}, {"traits": {"a": {"is": {"b": "c"}}}}, {**TABLE, "base": float("nan")}],
)
def test_a_table_that_says_nothing_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        fit.FitConfig.model_validate(wrong)


def test_they_hold_the_contract() -> None:
    (plugin,) = fit.overture_scorers()
    check_scorer(plugin, TABLE, [seen(country="DE"), seen(seats=50)])
    (plugin,) = half_life.overture_scorers()
    given = [seen(5 * half_life.DAY, demo=half_life.DAY), seen(9 * half_life.DAY, demo=half_life.DAY)]
    check_scorer(plugin, {"days": 1, "points": {"demo": 40}}, given)
