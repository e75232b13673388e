"""The scorers that ship, held to the contract of scorers and to what they say of themselves."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from overture.decide import Plan, step
from overture.model import Contact, Fact
from overture.model.decay import all_scores
from overture.model.scoring import ContactView, FactView, ScoreInput, View
from overture.plugin import PluginManager, Scored
from overture.rules import link, load
from overture.testing import check_scorer, score_input
from overture_scoring import fit, half_life, points, rfm

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


POINTS = {"facts": {"viewed": {"points": 2, "cap": 5}, "asked": 40, "ordered": {"points": 0.5, "times": "total"}}}


@pytest.mark.parametrize(
    ("type", "before", "properties", "after"),
    [
        ("viewed", 0, {}, 2),
        ("viewed", 4, {}, 5),
        ("viewed", 9, {}, 9),
        ("asked", 1.5, {}, 41.5),
        ("ordered", 1, {"total": 30}, 16),
        ("ordered", 1, {"total": "thirty"}, 1),
        ("ordered", 1, {}, 1),
        ("unheard of", 7, {}, 7),
    ],
)
def test_points_lead_to_the_cap_and_no_further(
    type: str, before: float, properties: dict[str, Any], after: float
) -> None:
    scorer = points.Points(points.PointsConfig.model_validate(POINTS))
    for scores, key in (({"deeds": {type: before, "more": 3}}, type), ({"deeds": before}, "")):
        scored = scorer.score(score_input(type, properties, scores=scores, score="deeds", key=key))
        assert (scored.value, dict(scored.contributions)) == (after, {"before": before, type: after - before})


def test_points_of_all_kinds_are_added_up_and_the_largest_told() -> None:
    scorer = points.Points(points.PointsConfig(of="deeds"))
    assert scorer.score(score_input(scores={"deeds": {"viewed": 5, "asked": 20, "left": -3, "gone": 0}})) == Scored(
        22, {"asked": 20, "viewed": 5, "left": -3}
    )
    many = scorer.score(score_input(scores={"deeds": {f"kind {n}": n for n in range(100)}}))
    assert (many.value, len(many.contributions), many.contributions["all others"]) == (4950, 61, 780)
    assert scorer.score(score_input(scores={"deeds": 3})).value == 0


RFM = {
    "recency": {"trait": "last", "days": [7, 30, 90, 180]},
    "frequency": {"trait": "orders", "at_least": [2, 4, 8, 16]},
    "monetary": {"trait": "spent", "at_least": [50, 100, 250, 500]},
}


@pytest.mark.parametrize(
    ("days", "orders", "spent", "value", "segment"),
    [
        (0, 20, 1000, 555, "champions"),
        (7, 16, 249.99, 553, "loyal"),
        (7.01, 4, 100, 433, "loyal"),
        (2, 1, 49, 511, "new"),
        (90, 2, 50, 322, "promising"),
        (181, 9, 600, 145, "cannot lose"),
        (91, 4, 10, 231, "at risk"),
        (180, 3, 10, 221, "hibernating"),
        (400, 1, 10, 111, "lost"),
        (0, None, "much", 511, "new"),
    ],
)
def test_rfm_grades_each_part_and_names_the_segment(
    days: float, orders: Any, spent: Any, value: int, segment: str
) -> None:
    scorer = rfm.Rfm(rfm.RfmConfig.model_validate(RFM))
    scored = scorer.score(seen(500 * rfm.DAY, last=round((500 - days) * rfm.DAY), orders=orders, spent=spent))
    grades = dict(zip(("recency", "frequency", "monetary"), map(int, str(value)), strict=True))
    assert (scored.value, dict(scored.contributions)) == (value, {**grades, f"segment {segment}": 1})
    assert scorer.score(seen()).value == 0, "who never bought"


@pytest.mark.parametrize(
    ("model", "wrong"),
    [
        (points.PointsConfig, {}),
        (points.PointsConfig, {**POINTS, "of": "deeds"}),
        (points.PointsConfig, {"facts": {"left": {"points": -2, "cap": 5}}}),
        (rfm.RfmConfig, {**RFM, "recency": {"trait": "last", "days": [7, 7, 90, 180]}}),
        (rfm.RfmConfig, {**RFM, "frequency": {"trait": "orders", "at_least": [1, 2, 3]}}),
    ],
)
def test_settings_that_mean_nothing_are_refused(model: type[BaseModel], wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        model.model_validate(wrong)


def test_points_and_rfm_hold_the_contract() -> None:
    (plugin,) = points.overture_scorers()
    given = [score_input("viewed", score="lead"), score_input("asked", scores={"lead": 3}, score="lead")]
    check_scorer(plugin, POINTS, given)
    check_scorer(plugin, {"of": "deeds"}, [score_input(scores={"deeds": {"viewed": n}}) for n in (1, 2)])
    (plugin,) = rfm.overture_scorers()
    check_scorer(plugin, RFM, [seen(500 * rfm.DAY, last=rfm.DAY), seen(rfm.DAY, last=rfm.DAY)])


def test_points_fade_and_meet_their_caps_in_a_ruleset() -> None:
    plugins = PluginManager()
    plugins.load()
    document = """\
apiVersion: overture/v1
kind: Ruleset
name: a
facts: {viewed: {}, asked: {}}
scores:
  deeds: {per: type, decay: {half_life: 10d}}
  lead: {max: 30, decay: {half_life: 10d}}
rules:
  deeds:
    when: fact.type in ["viewed", "asked"]
    then:
      - score: {name: deeds, by: points, per: = fact.type, with: {facts: {viewed: {points: 2, cap: 5}, asked: 24}}}
      - score: {name: lead, by: points, with: {of: deeds}}
"""
    plan = Plan(link([load(document, plugins.pure())], 1))
    contact = Contact("ada")

    def happens(type: str, day: int) -> float:
        nonlocal contact
        fact = Fact(f"{type}{day}{contact.seq}", type, "ada", day * half_life.DAY, day * half_life.DAY)
        contact = step(contact, fact, plan, fact.accepted_at).contact
        return all_scores(contact, plan.half_lives, contact.clock)["lead"]  # type: ignore[return-value]

    assert [happens("viewed", 1) for _ in range(4)] == [2, 4, 5, 5]
    assert happens("asked", 1) == 29
    assert happens("asked", 1) == 30
    assert happens("viewed", 11) == 2.5 + 24 + 2, "each kind has faded by half; of views there is room for two points"
