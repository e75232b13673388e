"""Where a contact stands in a journey, what it waits for, how it ended, why it never began: through the live server."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from serverkit import ADMIN, Server, fact, fresh, overture

DOCUMENT = """\
apiVersion: overture/v1
kind: Ruleset
name: carts
facts:
  cart_updated: {cart: string, total: number}
  opened: {n: int}
  paid: {cart: string}
traits:
  timezone: "string?"
scores:
  asked: {}
journeys:
  trolley:
    enter_when: fact.type == "cart_updated" and fact.total >= 20
    key: fact.cart
    exit_when: fact.type == "paid" and fact.cart == journey.key
    steps:
      - {id: pause, wait: {for: 40d, until: fact.type == "opened" and fact.n > 3}}
      - {id: ask, score: {name: asked, add: 1}}
  begun_by_others:
    steps:
      - {id: ask, score: {name: asked, add: 1}}
rules:
  others:
    when: fact.type == "paid" and fact.cart == "others"
    then: [{start: begun_by_others}]
"""


@pytest.fixture(scope="module", autouse=True)
def carts(server: Server) -> None:
    server.deploy("carts", DOCUMENT)


def ask(server: Server, contact: str, journey: str = "trolley", **query: str) -> Any:
    server.drained()
    return server.get(f"/v1/contacts/{contact}/explain?{urlencode({'journey': journey, **query})}")


def test_where_it_stands_and_what_it_waits_for(server: Server) -> None:
    ada = fresh("ada")
    server.facts(
        fact("identify", ada, timezone="Europe/Berlin"),
        fact("cart_updated", ada, cart="c1", total=30),
        fact("opened", ada, n=2),
        fact("cart_updated", ada, cart="c2", total=30),
    )
    why = ask(server, ada)
    first, second = why["positions"]
    assert (why["outcome"], why["journey"], first["key"], second["key"]) == ("under_way", "carts/trolley", "c1", "c2")
    assert why["revision"] == why["active_revision"] == first["revision"]
    assert first["due_local"].endswith(" (Europe/Berlin)")
    standing = server.contact(ada)["journeys"]
    assert first["due"] == next(p["due"] for p in standing if p["journey"] == "carts/trolley")
    assert why["sentence"].startswith("It stands for c1 at step pause since 20")
    assert f'goes on at {first["due_local"]}, or as soon as fact.type == "opened" and fact.n > 3.' in why["sentence"]
    assert "fact.n > 3 did not hold. fact.n was 2; more than 3 would do." in why["sentence"]
    assert [t["operands"][0]["value"] for t in first["until"]["terms"]] == ["opened", 2]
    told = overture("explain", ada, "--journey", "trolley", "--url", server.url, environ={"OVERTURE_ADMIN_KEY": ADMIN})
    assert told.stdout.splitlines()[0] == f"journey carts/trolley, {ada}: under way"
    assert second["sentence"] in told.stdout


def test_how_it_ended_and_by_which_fact(server: Server) -> None:
    ada = fresh("ada")
    paid = fact("paid", ada, cart="c1")
    server.facts(fact("cart_updated", ada, cart="c1", total=30), paid)
    why = ask(server, ada, "carts/trolley")
    assert (why["outcome"], why["fact"]["id"]) == ("ended", paid["id"])
    assert why["sentence"] == "It ended for c1 at step pause: exit_when held."
    assert why["condition"]["holds"]
    assert why["condition"]["terms"][1]["operands"][1] == {
        "text": "journey.key", "value": "c1", "missing": False, "said": '"c1"'
    }  # fmt: skip
    assert [e["after"] for e in why["effects"]] == ["end:exit"]


def test_why_it_never_began(server: Server) -> None:
    ada = fresh("ada")
    assert server.facts(fact("opened", ada, n=1))
    assert ask(server, ada)["outcome"] == "no_fact"
    assert ask(server, ada, "begun_by_others")["sentence"].startswith("It has no enter_when")
    server.facts(fact("cart_updated", ada, cart="c1", total=10))
    why = ask(server, ada)
    assert (why["outcome"], why["state"]) == ("not_entered", "then")
    assert why["sentence"] == (
        "It did not enter. fact.total >= 20 did not hold. fact.total was 10; 20 or more would do."
    )
    assert why["change"]["edits"][0]["value"] == 20


def test_what_became_of_it_at_one_fact(server: Server) -> None:
    ada = fresh("ada")
    begun, opened, again = (
        fact("cart_updated", ada, cart="c1", total=30),
        fact("opened", ada, n=9),
        fact("cart_updated", ada, cart="c1", total=40),
    )
    other = fact("cart_updated", ada, cart="c1", total=50)
    server.facts(begun, other, opened, again)
    at = lambda posted: ask(server, ada, fact=posted["id"])  # noqa: E731
    assert (at(begun)["outcome"], at(begun)["condition"]["holds"]) == ("entered", True)
    assert (at(other)["outcome"], at(other)["sentence"]) == (
        "not_entered", "The condition held, but the contact was on the journey already.",
    )  # fmt: skip
    assert at(opened)["outcome"] == "moved"
    refused = at(again)
    assert refused["outcome"] == "not_entered"
    assert refused["sentence"].endswith("does not let it enter again, or not yet (journey.reentry).")
    missing = server.call("GET", f"/v1/contacts/{ada}/explain?journey=nope")
    assert (missing.status, missing.json["code"]) == (404, "journey.unknown")
    both = server.call("GET", f"/v1/contacts/{ada}/explain?journey=trolley&rule=others")
    assert (both.status, both.json["code"]) == (400, "explain.question")
