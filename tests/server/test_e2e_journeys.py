"""Journeys live over HTTP: a wait ends by itself, a deploy leaves who is under way where it says."""

from __future__ import annotations

from typing import Any

from serverkit import Server, eventually, fact, fresh

DOCUMENT = """\
apiVersion: overture/v1
kind: Ruleset
name: {name}
facts:
  {name}.begun: {{cart: string}}
  {name}.over: {{cart: string}}
scores:
  {name}_points: {{}}
journeys:
  cart:
    enter_when: fact.type == "{name}.begun"
    key: fact.cart
    exit_when: fact.type == "{name}.over" and fact.cart == journey.key
    on_redeploy: {policy}
    steps:
      - {{id: {step}, wait: {{for: {wait}}}}}
      - {{id: point, score: {{name: {name}_points, add: {points}}}}}
"""


def deployed(server: Server, name: str, wait: str, points: int) -> None:
    text = DOCUMENT.format(name=name, wait=wait, points=points, step="pause", policy="finish_on_old")
    server.deploy(name, text)


def standing(server: Server, contact: str) -> list[dict[str, Any]]:
    return server.contact(contact)["journeys"]


def has(server: Server, contact: str, name: str, points: int) -> None:
    eventually(lambda: server.contact(contact)["scores"].get(f"{name}_points", 0) == points, f"{points} points")


def test_a_wait_ends_by_itself_and_who_has_left_gets_nothing(server: Server) -> None:
    name, ada = fresh("journey").replace("-", "_"), fresh("ada")
    deployed(server, name, "2s", 1)
    server.facts(*(fact(f"{name}.begun", ada, cart=cart) for cart in ("c1", "c2")))
    there = standing(server, ada)
    assert [(p["journey"], p["key"], p["step"]) for p in there] == [(f"{name}/cart", c, "pause") for c in ("c1", "c2")]
    assert all(p["due"] > p["since"] == p["entered_at"] for p in there)
    (left,) = server.facts(fact(f"{name}.over", ada, cart="c1"))["decisions"]
    assert left["firings"][0]["effects"] == [
        {"kind": "journey", "name": f"{name}/cart", "key": "c1", "before": "pause", "after": "end:exit"}
    ]
    has(server, ada, name, 1)
    assert standing(server, ada) == []
    last = server.timeline(ada)[-1]
    assert last["fact"]["type"] == "$tick"
    assert last["fact"]["occurred_at"] == there[1]["due"]


def test_a_deploy_leaves_who_is_under_way_on_the_old_revision_or_says_who_is_stranded(server: Server) -> None:
    name, ada, bob = fresh("journey").replace("-", "_"), fresh("ada"), fresh("bob")
    deployed(server, name, "4s", 1)
    server.facts(fact(f"{name}.begun", ada, cart="c1"))
    deployed(server, name, "1s", 10)
    server.facts(fact(f"{name}.begun", bob, cart="c1"))
    has(server, bob, name, 10)
    has(server, ada, name, 1)

    deployed(server, name, "1h", 1)
    server.facts(fact(f"{name}.begun", ada, cart="c2"))
    text = DOCUMENT.format(name=name, wait="1h", points=1, step="gone", policy="migrate")
    answer = server.activate(name, server.put(name, text))
    assert answer.json["stranded"] == {"cart.pause": 1}
    eventually(lambda: standing(server, ada) == [], "its journey has ended")


def test_a_rollback_leaves_everybody_on_the_revision_that_they_entered_and_explains_it(server: Server) -> None:
    name = fresh("journey").replace("-", "_")
    ada, bob, carl = fresh("ada"), fresh("bob"), fresh("carl")
    deployed(server, name, "40d", 1)
    server.facts(fact(f"{name}.begun", ada, cart="c1"))
    deployed(server, name, "3s", 10)
    server.facts(fact(f"{name}.begun", bob, cart="c1"))
    revisions = {standing(server, contact)[0]["revision"] for contact in (ada, bob)}
    assert len(revisions) == 2
    assert server.call("POST", f"/v1/rulesets/{name}/rollback").status == 200
    server.facts(fact(f"{name}.begun", carl, cart="c1"))
    assert standing(server, carl)[0]["revision"] == standing(server, ada)[0]["revision"] != ""
    has(server, bob, name, 10)  # who began on what was rolled back comes to its end there

    deployed(server, name, "3s", 100)
    server.facts(fact(f"{name}.over", ada, cart="c1"))
    why = server.get(f"/v1/contacts/{ada}/explain?journey={name}/cart")
    assert (why["outcome"], why["sentence"]) == ("ended", "It ended for c1 at step pause: exit_when held.")
    assert why["condition"]["holds"], "decided again from the record, by the revision of then"
    assert (standing(server, carl)[0]["step"], server.contact(carl)["scores"]) == ("pause", {})
