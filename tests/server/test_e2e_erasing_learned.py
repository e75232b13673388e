"""Who is erased is not in what was learned: a text that only few had is counted without being kept."""

from __future__ import annotations

from pathlib import Path

from erasekit import erased, found
from serverkit import Server, eventually, fact

SHOP = """\
apiVersion: overture/v1
kind: Ruleset
name: shop
facts: {visited: {}, bought: {}}
traits: {city: "string?"}
scores: {likely: {}}
models:
  buys: {predict: fact.type == "bought", within: 7d, features: {city: contact.city}}
rules:
  score: {when: fact.type == "visited", then: [{score: {name: likely, by: buys}}]}
"""


def test_a_text_of_one_erased_contact_is_not_in_what_was_learned(tmp_path: Path) -> None:
    with Server(tmp_path, RULESETS="", MOVABLE_CLOCK="true") as server:
        server.deploy("shop", SHOP)
        cities = {"zoe": "Quixelgrund", **{f"c{n}": "Bremen" for n in range(6)}}
        server.facts(*(fact("identify", who, city=city) for who, city in cities.items()))
        server.facts(*(fact("visited", who) for who in cities))
        server.advance("8d")
        eventually(lambda: server.get("/v1/models")[0]["examples"] == 7, "all have counted")
        erased(server, "zoe")
        assert found(server, tmp_path, "quixelgrund") == []
        assert found(server, tmp_path, "city=bremen"), "what many have is learned by its name"
