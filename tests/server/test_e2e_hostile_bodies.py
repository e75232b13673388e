"""Bodies and artefacts that mean harm: each is refused by its route, and what was learned goes on being learned."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from serverkit import ADMIN, WRITE, Server, eventually, fact

SHOP = """\
apiVersion: overture/v1
kind: Ruleset
name: shop
facts: {visited: {}, basket: {}, bought: {}}
scores: {likely: {min: 0, max: 1}}
models:
  buys: {predict: fact.type == "bought", within: 7d, features: {baskets: 'count("basket", within="30d")'}}
rules:
  score: {when: fact.type == "visited", then: [{score: {name: likely, by: buys}}]}
"""
DEEP = b"[" * 5_000 + b"]" * 5_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("hostile"), RULESETS="", MOVABLE_CLOCK="true") as server:
        server.deploy("shop", SHOP)
        yield server


@pytest.mark.parametrize(
    ("path", "key", "body"),
    [
        ("/v1/templates/preview", ADMIN, b'{"template": "t", "data": {"fact": {"n": %s}}}'),
        ("/v1/models/shop/buys/pin", ADMIN, b'{"pinned": true, "more": %s}'),
        ("/v1/forms/signup", WRITE, b'{"contact": "ada", "values": {"name": %s}}'),
        ("/v1/keys", ADMIN, b'{"name": "app", "more": %s}'),
        ("/v1/inbox/token", ADMIN, b'{"contact": "ada", "more": %s}'),
    ],
)
def test_a_body_that_is_nested_without_end_is_the_senders_mistake(
    server: Server, path: str, key: str, body: bytes
) -> None:
    answer = server.call("POST", path, body % DEEP, key=key)
    assert answer.status == 400, answer.body
    assert answer.json["code"].endswith(("malformed", "invalid", "too_deep")), answer.json


@pytest.mark.parametrize("at", ["soon", 9e14])
def test_what_an_artefact_notes_for_people_does_not_end_learning(tmp_path: Path, at: Any) -> None:
    with Server(tmp_path, RULESETS="", MOVABLE_CLOCK="true") as server:
        server.deploy("shop", SHOP)
        (state,) = server.get("/v1/models")
        artefact = {"kind": "linear", "edition": state["edition"], "intercept": 0, "weights": {}, "about": {"at": at}}
        first = server.call("PUT", "/v1/models/shop/buys", artefact).json["version"]
        assert server.call("POST", "/v1/models/shop/buys/pin", {"pinned": False}).status == 200
        keen, idle = ([f"{kind}{n}" for n in range(60)] for kind in ("keen", "idle"))
        server.facts(*(fact("basket", c) for c in keen))
        server.facts(*(fact("visited", c) for c in (*keen, *idle)))
        server.facts(*(fact("bought", c) for c in keen))
        server.advance("8d")
        learned = eventually(
            lambda: (found := server.get("/v1/models")[0])["version"] != first and found, "what was learned decides"
        )
        assert learned["examples"] == 120


def test_scripts_that_take_long_to_check_take_it_once_and_not_each(server: Server) -> None:
    deep = "".join(f"{'    ' * n}def f{n}():\n" for n in range(1, 90)) + "    " * 90 + "pass\n"
    slow = [f"def main(fact):\n{deep}    return None\n\n\nX = {n}\n" for n in range(8)]
    document = {
        "apiVersion": "overture/v1",
        "kind": "Ruleset",
        "name": "slow",
        "facts": {"ping": {}},
        "scripts": {f"s{n}": source for n, source in enumerate(slow)},
        "rules": {f"r{n}": {"when": 'fact.type == "ping"', "then": [{"run": f"s{n}"}]} for n in range(8)},
    }
    answer = server.call("POST", "/v1/rulesets/slow/check", document, headers={"Content-Type": "application/yaml"})
    told = [problem["message"] for problem in answer.json["errors"] if problem["code"] == "script.syntax"]
    assert "s0, line 1: To check the source takes too long" in told
    assert "s7, line 1: The scripts before it took too long to check, so this one was not checked" in told


STAMPS = """\
apiVersion: overture/v1
kind: Ruleset
name: stamps
facts: {visited: {}, bought: {}}
traits: {stamp: "number?"}
scores: {likely: {min: 0, max: 1}}
models:
  buys: {predict: fact.type == "bought", within: 7d, features: {stamp: contact.stamp}}
rules:
  score: {when: fact.type == "visited", then: [{score: {name: likely, by: buys}}]}
"""


def test_numbers_as_large_as_facts_may_have_are_learned_from_and_decide(tmp_path: Path) -> None:
    with Server(tmp_path, RULESETS="", MOVABLE_CLOCK="true") as server:
        server.deploy("stamps", STAMPS)
        who = [f"c{n}" for n in range(120)]
        server.facts(*(fact("identify", c, stamp=9e15 * (1 - 2 * (n % 2))) for n, c in enumerate(who)))
        server.facts(*(fact("visited", c) for c in who))
        server.facts(*(fact("bought", c) for c in who[::2]))
        server.advance("8d")
        eventually(lambda: server.get("/v1/models")[0]["version"], "what was learned decides")
        server.stop()
        server.start()
        server.facts(fact("visited", "c0"), fact("visited", "c1"))
        keen, idle = (server.contact(c)["scores"]["likely"] for c in ("c0", "c1"))
        assert keen > 0.5 > idle
