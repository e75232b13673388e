"""What is made of what /t.js posts: facts that intake takes, whatever comes."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trackkit
from hypothesis import given, settings
from hypothesis import strategies as st
from trackkit import HOSTILE, JSON, NOW, usable

from overture.plugin import Posted
from overture_sources.tracker import Tracker, TrackerConfig

SOURCE = Tracker(TrackerConfig())
FACT = {"id": "1-2-3-4", "at": NOW - 5_000, "type": "Basket Filled", "anonymous": "c", "properties": {"sku": "a"}}


def posted(*facts: Any, **more: Any) -> Posted:
    return trackkit.posted(SOURCE, {"key": "k", "sent": NOW, "facts": list(facts), **more}, "/t")


def test_a_fact():
    answer = posted(FACT)
    assert answer.key == "k"
    assert answer.facts == [
        {
            "id": "t:1-2-3-4",
            "type": "basket_filled",
            "contact": {"anonymous_id": "c"},
            "occurred_at": "2026-03-27T09:59:55+00:00",
            "properties": {"sku": "a"},
            "context": {"library": "t.js"},
        }
    ]


@pytest.mark.parametrize(("ahead", "minutes"), [(0, 0), (59_999, 0), (90_000, 1), (3 * 86_400_000, 4_320)])
def test_a_clock_that_is_ahead(ahead: int, minutes: int):
    """By whole minutes, so that what is sent again a little later says the same."""
    at = NOW + minutes * 60_000
    for late in (0, 5_000):
        (fact,) = posted({**FACT, "at": at}, sent=NOW + ahead + late % 1_000).facts
        assert fact["occurred_at"] == "2026-03-27T10:00:00+00:00"


def test_who_somebody_says_to_be():
    said = {**FACT, "type": "identify", "user": " ada ", "properties": {"email": "Ada@Example.org"}}
    (fact,) = posted(said).facts
    assert fact["contact"] == {"user_id": "ada", "anonymous_id": "c", "email": "Ada@Example.org"}
    (fact,) = posted({**FACT, "properties": {"email": "ada@example.org"}}).facts
    assert fact["contact"] == {"anonymous_id": "c"}


@pytest.mark.parametrize(
    "wrong", [7, None, [], {}, {"id": "a"}, {**FACT, "at": "noon"}, {**FACT, "id": ""}, {**FACT, "at": 1e300}]
)
def test_what_is_no_fact_does_not_touch_the_others(wrong: Any):
    answer = posted(wrong, FACT)
    assert [fact["id"] for fact in answer.facts] == ["t:1-2-3-4"]
    assert [each.code for each in answer.refused] == ["source.unread"]


@pytest.mark.parametrize("body", HOSTILE, ids=range(len(HOSTILE)))
def test_whatever_is_posted_it_is_facts_or_refused(body: bytes):
    usable(SOURCE, body, "/t")


@given(facts=st.lists(JSON | st.fixed_dictionaries(dict.fromkeys((*FACT, "user"), JSON)), max_size=3), sent=JSON)
@settings(max_examples=100)
def test_whatever_a_page_says_nothing_fails(facts: list[Any], sent: Any):
    usable(SOURCE, json.dumps({"key": "k", "sent": sent, "agent": sent, "facts": facts}).encode(), "/t")
