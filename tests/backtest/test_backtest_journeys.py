"""Backtests over contacts on journeys: who is on an earlier revision is decided by it, on both sides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from backtestkit import DAY, START, Live, Past, by_side, replaced

from overture.decide import Plan
from overture.model import Fact
from overture.rules import link, load

FIRST = """\
apiVersion: overture/v1
kind: Ruleset
name: carts
requires: {channels: [email]}
facts: {begun: {}, over: {}}
scores: {points: {}}
journeys:
  j:
    enter_when: fact.type == "begun"
    exit_when: fact.type == "over"
    on_redeploy: finish_on_old
    steps:
      - {id: pause, wait: {for: 48h}}
      - {id: point, score: {name: points, add: 1}}
      - {id: say, send: {channel: email, template: hello, purpose: transactional}}
templates:
  hello: {subject: Hello, text: Hello}
"""
SECOND = replaced(FIRST, ("48h", "72h"), ("add: 1", "add: 10"))
THIRD = replaced(FIRST, ("48h", "1h"), ("add: 1", "add: 100"))


@pytest.fixture
def past(store_url: str, tmp_path: Path) -> Past:
    """Ada begins on the first revision, Bob on the second one; both come to the end, Eve leaves before."""
    first = Plan(link([load(FIRST)], 1), "reference")
    second = Plan(link([load(SECOND)], 2, older=[load(FIRST)]), "reference")
    live = Live(lambda _, at: first if at < START + DAY else second)
    live.activate(1, START)
    live.post(begun("ada", START), begun("eve", START))
    live.activate(2, START + DAY)
    live.post(begun("bob", START + DAY), Fact("over", "over", "eve", START + DAY, START + DAY))
    for day in (2, 4, 5):
        live.wake(START + day * DAY)
    live.post(*(Fact(f"last-{name}", "identify", name, *[START + 6 * DAY] * 2) for name in ("ada", "bob", "eve")))
    assert {name: state.scores for name, state in live.contacts.items()} == {
        "ada": {"points": 1}, "bob": {"points": 10}, "eve": {}
    }  # fmt: skip
    made = Past(store_url, tmp_path)
    made.record(live, (FIRST,), (SECOND,))
    return made


def begun(contact: str, at: int) -> Fact:
    return Fact(f"begun-{contact}", "begun", contact, at, at)


def points(answer: Any) -> dict[str, Any]:
    return {name: told["scores"].get("points") for name, told in answer.contacts.items()}


def test_what_was_decided_by_an_earlier_revision_is_decided_by_it_again(past: Past) -> None:
    answer = past.backtest(SECOND, version=2, baseline="recorded", since="108h")  # a day and a half on
    assert answer.contacts == {}
    assert answer.summary["rules"]["carts/j.point"] == by_side(2, 2)


def test_who_began_before_the_period_finishes_on_the_revision_of_then(past: Past) -> None:
    answer = past.backtest(THIRD, version=2, baseline="recorded", since="108h")
    assert answer.contacts == {}
    assert answer.summary["rules"]["carts/j.point"] == by_side(2, 2)


def test_a_candidate_may_end_the_journey_for_who_is_on_it(past: Past) -> None:
    ends = replaced(THIRD, ("on_redeploy: finish_on_old", "on_redeploy: exit"))
    answer = past.backtest(ends, version=2, baseline="recorded", since="108h")
    assert points(answer) == {"ada": by_side(1, 0), "bob": by_side(10, 0)}
    assert [[m["side"] for m in answer.contacts[name]["messages"]] for name in ("ada", "bob")] == [["baseline"]] * 2


def test_a_candidate_decides_for_who_begins_in_the_period(past: Past) -> None:
    answer = past.backtest(THIRD, version=2, baseline="recorded")
    assert points(answer) == {"ada": by_side(1, 100), "bob": by_side(10, 100), "eve": by_side(0, 100)}
