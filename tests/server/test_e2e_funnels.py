"""The funnel of a journey over HTTP: exact counts by step, reason, revision and way; and against the holdout."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from serverkit import Mailbox, Server, eventually, fact, fresh

OFFER = """\
apiVersion: overture/v1
kind: Ruleset
name: offers
requires: {channels: [email]}
facts:
  seen: {}
  bought: {}
  went: {}
sending:
  caps: [{max: 1, within: 1d, purposes: [marketing]}]
journeys:
  offer:
    enter_when: fact.type == "seen"
    goal: fact.type == "bought"
    exit_when: fact.type == "went"
    on_redeploy: migrate
    steps:
      - {id: test, split: [{name: short, weight: 50, go: one}, {name: long, weight: 50, go: two}]}
      - {id: one, send: {channel: email, template: hello, purpose: marketing}, then: again}
      - {id: two, send: {channel: email, template: hello, purpose: marketing}, then: again}
      - {id: again, send: {channel: email, template: hello, purpose: marketing, if_held: expire}}
      - {id: later, send: {channel: email, template: hello, purpose: marketing, late: 30d}}
      - {id: rest, wait: {for: 7d}}
templates:
  hello: {subject: Hello, text: hello}
"""
HOLDOUT = """\
apiVersion: overture/v1
kind: Ruleset
name: compared
requires: {channels: [email]}
facts:
  began: {}
  reached: {}
holdout: 50
journeys:
  pair:
    enter_when: fact.type == "began"
    goal: fact.type == "reached"
    steps:
      - {id: write, send: {channel: email, template: hello, purpose: lifecycle}}
      - {id: rest, wait: {for: 7d}}
templates:
  hello: {subject: Hello, text: hello}
"""


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, mailbox: Mailbox) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("funnels"), RULESETS="", SMTP_URL=mailbox.url) as server:
        yield server


def effects(decision: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [e for firing in decision["firings"] for e in firing["effects"] if e["kind"] == kind]


def test_each_step_way_and_reason_has_its_number(alone: Server) -> None:
    server, revision = alone, alone.deploy("offers", OFFER)
    agreed, silent = [fresh("yes") for _ in range(7)], [fresh("no") for _ in range(3)]
    contacts = [*agreed, *silent]
    server.facts(*(fact("identify", c, email=f"{c}@example.com") for c in contacts))
    server.facts(*(fact("consent", c, channel="email", purpose="marketing", state="granted") for c in agreed))
    decisions = server.facts(*(fact("seen", c) for c in contacts))["decisions"]
    went = {
        c: next(e["reason"] for e in effects(d, "journey") if e.get("before") == "test")
        for c, d in zip(contacts, decisions, strict=True)
    }
    n = {way: sum(w == way for w in went.values()) for way in ("short", "long")}
    consented = {way: sum(went[c] == way for c in agreed) for way in ("short", "long")}
    buyers, leavers = contacts[4:9], contacts[:2]
    server.facts(*(fact("bought", c) for c in buyers))
    server.facts(*(fact("went", c) for c in leavers))
    server.facts(fact("seen", contacts[0]))  # it was there: not let in again
    server.settled()

    funnel = server.get("/v1/journeys/offers%2Foffer/funnel")
    assert server.get("/v1/journeys/offer/funnel") == funnel
    whole = {"entered": 10, "under_way": 3, "goal": 5, "ended": {"exit": 2, "goal": 5}}
    assert {name: funnel[name] for name in whole} == whole
    (only,) = funnel["revisions"]
    assert (only["revision"], only["active"]) == (revision, True)
    assert {name: only[name] for name in whole} == whole
    steps = {step["step"]: step for step in only["steps"]}
    assert [*steps] == ["test", "one", "two", "again", "later", "rest"]
    assert {id: (s["came"], s["passed"], s["here"]) for id, s in steps.items()} == {
        "test": (10, 10, 0),
        "one": (n["short"], n["short"], 0),
        "two": (n["long"], n["long"], 0),
        "again": (10, 10, 0),
        "later": (10, 10, 0),
        "rest": (10, 0, 3),
    }
    assert steps["rest"]["left"] == {"exit": 2, "goal": 5}
    for id, way in (("one", "short"), ("two", "long")):
        assert (steps[id]["messages"], steps[id]["sent"]) == (n[way], consented[way])
        missing = n[way] - consented[way]
        assert steps[id]["suppressed"] == ({"consent.missing": missing} if missing else {})
    assert steps["again"]["suppressed"] == {"cap.expired": 7, "consent.missing": 3}
    later = steps["later"]
    assert (later["messages"], later["sent"], later["held"], later["failed"]) == (10, 0, 7, {})
    assert later["waiting"] + sum(later["suppressed"].values()) == 10
    for variant in only["variants"]:
        own = [c for c in contacts if went[c] == variant["way"]]
        ended = {"exit": len(set(leavers) & set(own)), "goal": len(set(buyers) & set(own))}
        assert (variant["split"], variant["entered"], variant["goal"]) == ("test", len(own), ended["goal"])
        assert variant["ended"] == {outcome: count for outcome, count in ended.items() if count}
        assert variant["passed"]["later"] == len(own)
    assert [v["way"] for v in only["variants"]] == sorted(set(went.values()))
    treated = {"entered": 10, "goal": 5, "rate": 0.5}
    nobody = {"entered": 0, "goal": 0, "rate": None}
    assert funnel["comparison"] == {"treated": treated, "held_out": nobody, "difference": None}

    again = server.deploy("offers", OFFER.replace("for: 7d", "for: 8d"))
    moved = eventually(
        lambda: (f := server.get("/v1/journeys/offer/funnel"))["revisions"][0]["moved_in"] == 3 and f, "all have moved"
    )
    assert [(r["revision"], r["entered"], r["moved_out"], r["under_way"]) for r in moved["revisions"]] == [
        (again, 0, 0, 3),
        (revision, 10, 3, 0),
    ]
    assert {name: moved[name] for name in whole} == whole


def test_two_who_become_one_are_on_a_journey_once(alone: Server) -> None:
    server, name, ada = alone, fresh("merging"), fresh("ada")
    facts = f'"{name}.began"', f'"{name}.reached"'
    text = (
        HOLDOUT.replace("name: compared", f"name: {name}").replace('"began"', facts[0]).replace('"reached"', facts[1])
    )
    server.deploy(name, text.replace("  began:", f"  {name}.began:").replace("  reached:", f"  {name}.reached:"))
    visitors = [{"anonymous_id": fresh("cookie")} for _ in range(2)]
    server.facts(fact(f"{name}.began", ada))
    for visitor in visitors:
        server.facts(fact(f"{name}.began", visitor))
        server.facts(fact("identify", {"user_id": ada, **visitor}))
    server.drained()
    between = server.get(f"/v1/journeys/{name}%2Fpair/funnel")
    assert (between["entered"], between["under_way"], between["ended"]) == (3, 1, {"merged": 2})
    server.facts(fact(f"{name}.reached", visitors[0]))
    server.drained()
    after = server.get(f"/v1/journeys/{name}%2Fpair/funnel")
    assert (after["entered"], after["under_way"], after["ended"]) == (3, 0, {"goal": 1, "merged": 2})


def test_goals_are_compared_with_those_of_the_holdout(alone: Server) -> None:
    server = alone
    server.deploy("compared", HOLDOUT)
    contacts = [fresh("c") for _ in range(120)]
    decisions = server.facts(*(fact("began", c) for c in contacts))["decisions"]
    held = [c for c, d in zip(contacts, decisions, strict=True) if "holdout" in str(d)]
    treated = [c for c in contacts if c not in held]
    assert min(len(held), len(treated)) >= 30
    server.facts(*(fact("reached", c) for c in (*treated[:20], *held[:5])))
    server.settled()
    funnel = server.get("/v1/journeys/compared%2Fpair/funnel")
    found = funnel["comparison"]
    assert found["treated"] == {"entered": len(treated), "goal": 20, "rate": 20 / len(treated)}
    assert found["held_out"] == {"entered": len(held), "goal": 5, "rate": 5 / len(held)}
    difference = found["difference"]
    assert difference["estimate"] == pytest.approx(20 / len(treated) - 5 / len(held))
    assert difference["low"] < difference["estimate"] < difference["high"]
    assert difference["confidence"] == 0.95
    write = funnel["revisions"][0]["steps"][0]
    assert write["suppressed"]["holdout"] == len(held)
    assert write["messages"] == len(contacts)


def test_journeys_are_listed_and_one_that_is_not_there_is_told(alone: Server) -> None:
    server = alone
    name = fresh("twin")
    server.deploy(name, HOLDOUT.replace("name: compared", f"name: {name}"))
    other = fresh("twin")
    server.deploy(other, HOLDOUT.replace("name: compared", f"name: {other}"))
    listed = {each["journey"]: each for each in server.get("/v1/journeys")}
    assert listed[f"{name}/pair"]["entered"] == listed[f"{name}/pair"]["under_way"] == 0
    assert [*listed] == sorted(listed)
    unknown, ambiguous = (server.call("GET", f"/v1/journeys/{what}/funnel") for what in ("none", "pair"))
    assert (unknown.status, unknown.json["code"]) == (404, "journey.unknown")
    assert (ambiguous.status, ambiguous.json["code"]) == (400, "journey.ambiguous")
