"""A split finds its winner by itself, live: counted by HTTP, announced through the log, and there after a kill."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

from serverkit import Server, eventually, fact

OFFERS = """\
apiVersion: overture/v1
kind: Ruleset
name: offers
facts:
  seen: {}
  bought: {}
  other: {}
journeys:
  offer:
    enter_when: fact.type == "seen"
    goal: fact.type == "bought"
    steps:
      - id: test
        split: [{name: plain, weight: 50, go: rest}, {name: code, weight: 50, go: rest}]
        winner: {within: 7d, certainty: 0.95}
      - {id: rest, wait: {for: 10d}}
"""


def contest(server: Server) -> Any:
    (only,) = server.get("/v1/journeys/offer/funnel")["contests"]
    return only


def enter(server: Server, *contacts: str) -> dict[str, str]:
    """Which way each has gone."""
    decisions = server.facts(*(fact("seen", c) for c in contacts))["decisions"]
    effects = [[e for firing in d["firings"] for e in firing["effects"]] for d in decisions]
    return {
        c: next(e["reason"] for e in found if e.get("before") == "test")
        for c, found in zip(contacts, effects, strict=True)
    }


def test_the_better_way_wins_and_whoever_comes_later_goes_it(tmp_path: Path) -> None:
    with Server(tmp_path, RULESETS="", MOVABLE_CLOCK="true") as server:
        revision = server.deploy("offers", OFFERS)
        ways = enter(server, *(f"early{n}" for n in range(60)))
        assert {*ways.values()} == {"plain", "code"}
        buyers = [c for c, way in ways.items() if way == "code"]
        server.facts(*(fact("bought", c) for c in buyers))
        nothing = {"leader": None, "certainty": 0.0, "winner": None}
        before = contest(server)
        assert {name: before[name] for name in nothing} == nothing, "nobody counts before a week has passed"
        assert [way["counted"] for way in before["ways"]] == [0, 0]

        server.advance("7d")
        after = eventually(lambda: (found := contest(server))["winner"] and found, "there is a winner")
        n = len(buyers)
        assert after["ways"] == [
            {"way": "plain", "counted": 60 - n, "reached": 0, "rate": 0.0},
            {"way": "code", "counted": n, "reached": n, "rate": 1.0},
        ]
        assert (after["winner"], after["leader"], after["asked"], after["within"]) == ("code", "code", 0.95, "7d")
        assert after["certainty"] > 0.95
        assert server.get("/v1/rulesets/offers")["active"] == revision, "the revision is the same"

        later = [f"later{n}" for n in range(20)]
        assert {*enter(server, *later).values()} == {"code"}
        stayed = next(c for c, way in ways.items() if way == "plain")
        (position,) = server.contact(stayed)["journeys"]
        assert position["variants"] == {"test": "plain"}

        server.stop(signal.SIGKILL)
        server.start()
        assert contest(server) == after
        assert {*enter(server, *(f"last{n}" for n in range(20))).values()} == {"code"}
        told = server.get(f"/v1/contacts/{later[0]}/explain?journey=offer")
        assert told["sentence"].endswith(" At test it went the way code, which has won.")
        told = server.get(f"/v1/contacts/{stayed}/explain?journey=offer")
        assert told["sentence"].endswith(" At test it went the way plain, and has been counted.")

        server.deploy("offers", OFFERS.replace("  other: {}", "  other: {}\n  more: {}"))
        assert contest(server)["winner"] == "code", "the journey says what it said"
        server.deploy("offers", OFFERS.replace("for: 10d", "for: 11d"))
        assert contest(server) == {**before, "split": "test"}, "another journey, another question"
