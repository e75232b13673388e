"""What a visitor who is not identified answers to a form, in the step: it adds, and changes nothing known."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from decidekit import Show, made, plan

from overture.decide.intrinsic import FIXED
from overture.model import Fact, Step

PLAN = plan("""\
facts: {bought: {}, visited: {}}
traits: {email: "string?", name: "string?", age: "int?", tier: "string?"}
scores: {young: {}}
rules:
  young: {when: 'fact.type == "identify" and fact.age < 18', then: [{score: {name: young, add: 1}}]}
  tiered: {when: 'fact.type == "bought"', then: [{set: {tier: gold}}]}
""")


def answers(n: int, fixed: Any, ids: dict[str, Any] | None = None, **traits: Any) -> Fact:
    return msgspec.structs.replace(made("identify", n, 0, traits), ids=ids or {}, context={"form": {FIXED: fixed}})


def left_out(step: Step) -> list[str]:
    return [effect.name for effect in step.trace.effects if effect.reason == "trait.known"]


def test_only_what_is_not_known_is_added() -> None:
    ada = Show(PLAN)
    ada.fact("identify", name="Ada", age=36)
    outcome = ada.take(answers(2, ["name", "age", "tier"], name="Mallory", age=7, tier="iron"))
    assert ada.contact.traits == {"name": "Ada", "age": 36, "tier": "iron"}
    assert left_out(outcome) == ["name", "age"]
    assert outcome.trace.fact.properties == {"tier": "iron"}
    assert ada.contact.scores == {}, "rules do not see it either"
    assert left_out(ada.take(answers(3, ["name", "age"], name="Ada", age=36))) == []
    assert left_out(ada.take(answers(4, ["age"], age=36.0))) == ["age"]


def test_what_it_may_change_is_changed() -> None:
    ada = Show(PLAN)
    ada.fact("identify", name="Ada", email="ada@example.com")
    ada.take(answers(2, ["email"], name="Ada King", email="mallory@example.com"))
    assert ada.contact.traits == {"name": "Ada King", "email": "ada@example.com"}
    ada.fact("identify", name="Countess")
    assert ada.contact.traits["name"] == "Countess"


def test_two_answers_one_after_the_other_the_first_counts() -> None:
    ada = Show(PLAN)
    ada.take(answers(1, ["name"], name="Ada"))
    ada.take(answers(2, ["name"], name="Mallory"))
    assert ada.contact.traits == {"name": "Ada"}


def test_an_address_that_is_an_identifier_is_known() -> None:
    ada = Show(PLAN)
    typed = {"email": "ada@example.com"}
    assert left_out(ada.take(answers(1, ["email"], typed, **typed))) == []
    assert ada.contact.traits == typed
    bob = Show(PLAN)
    bob.take(msgspec.structs.replace(made("visited", 1), ids=typed))
    assert left_out(bob.take(answers(2, ["email"], email="mallory@example.com"))) == ["email"]
    assert bob.contact.traits == {}


def test_what_rules_have_set_is_known_and_what_was_taken_away_is_not() -> None:
    ada = Show(PLAN)
    ada.fact("bought")
    assert left_out(ada.take(answers(2, ["tier"], tier="iron"))) == ["tier"]
    ada.fact("identify", tier=None)
    ada.take(answers(4, ["tier"], tier="iron"))
    assert ada.contact.traits == {"tier": "iron"}


@pytest.mark.parametrize("fixed", [None, 5, "name", [["name"], 3, None], {"name": 1}])
def test_a_context_that_an_app_has_made_up_is_nothing(fixed: Any) -> None:
    ada = Show(PLAN)
    ada.fact("identify", name="Ada")
    ada.take(answers(2, fixed, name="Ada King"))
    ada.take(msgspec.structs.replace(made("identify", 3, 0, {"age": 3}), context={"form": "landing"}))
    assert ada.contact.traits == {"name": "Ada King", "age": 3}
