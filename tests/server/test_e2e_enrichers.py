"""Enrichers in a real server: what they answer is on record with the fact, and a bad one holds up nothing."""

from __future__ import annotations

import json
from pathlib import Path

import hookkit
import pytest
from serverkit import WRITE, eventually, fact

PLACES = """
class Places(Closes):
    def __init__(self, config):
        self.word = config.word

    def key(self, fact):
        trouble("key")
        return fact.properties.get("city")

    async def enrich(self, fact):
        told("asked", fact.properties["city"])
        match mode("enrich"):
            case "raise":
                raise RuntimeError("it is broken today")
            case "hang":
                await asyncio.sleep(30)
            case "large":
                return {"text": "x" * 5000}
            case "wrong":
                return ["no", "mapping"]
        return {"country": fact.properties["city"] + self.word, "by": fact.source}


@hookimpl
def overture_enrichers():
    yield EnricherPlugin(name="places", config=Config, open=Places)
"""


def asked(here: Path) -> list[str]:
    file = here / "asked"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def test_what_it_answers_is_part_of_the_fact_and_remembered_by_its_key(tmp_path: Path) -> None:
    with hookkit.server(tmp_path, PLACES, "[enrichers.places]\nword = '-land'\n") as server:
        facts = [fact("visited", "ada", city="oslo", n=n) for n in range(3)] + [fact("visited", "ada")]
        assert server.facts(*facts)["accepted"] == 4
        server.facts(fact("visited", "ada", city="oslo"), fact("visited", "ada", city="rome"))
        moments = server.timeline("ada")
        assert [m["fact"]["context"].get("places", {}).get("country") for m in moments] == [
            "oslo-land", "oslo-land", "oslo-land", None, "oslo-land", "rome-land",
        ]  # fmt: skip
        assert asked(tmp_path) == ["oslo", "rome"]


def test_a_fact_that_is_sent_again_is_the_same_whatever_is_answered_then(tmp_path: Path) -> None:
    with hookkit.server(tmp_path, PLACES) as server:
        one = fact("visited", "ada", city="oslo")
        assert server.facts(one)["accepted"] == 1
        (tmp_path / "enrich").write_text("raise")
        assert server.facts(one)["duplicates"] == 1


def test_what_a_sender_says_in_its_name_is_not_believed(tmp_path: Path) -> None:
    with hookkit.server(tmp_path, PLACES) as server:
        one = {**fact("visited", "ada"), "context": {"places": {"country": "elsewhere"}, "own": 1}}
        server.facts(one)
        (moment,) = server.timeline("ada")
        assert moment["fact"]["context"] == {"own": 1}


@pytest.mark.parametrize("how", ["raise", "hang", "large", "wrong"])
def test_one_that_fails_or_is_late_costs_the_fact_nothing_but_what_it_knows(tmp_path: Path, how: str) -> None:
    (tmp_path / "enrich").write_text(how)
    with hookkit.server(tmp_path, PLACES) as server:
        facts = [fact("visited", "ada", city=f"city{n}") for n in range(50)]
        assert server.facts(*facts)["accepted"] == 50
        assert all("places" not in m["fact"]["context"] for m in server.timeline("ada"))
        found = hookkit.offer(server, "enricher", "places")
        trouble = found["trouble"]["places"]
        assert (trouble["dropped"], trouble["failures"] >= 5) == (50, True)
        assert trouble["last"].startswith("The enricher places ")
        assert found["open"] == {"places": "open"}


def test_a_key_that_raises_costs_no_more(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("raise")
    with hookkit.server(tmp_path, PLACES) as server:
        server.facts(fact("visited", "ada", city="oslo"))
        (moment,) = server.timeline("ada")
        assert moment["fact"]["context"] == {}
        assert hookkit.offer(server, "enricher", "places")["trouble"]["places"]["dropped"] == 1
        (tmp_path / "key").unlink()
        server.facts(fact("visited", "ada", city="oslo"))
        assert server.timeline("ada")[1]["fact"]["context"]["places"]["country"] == "oslo"


RULES = """\
apiVersion: overture/v1
kind: Ruleset
name: places
facts: {visited: {city: string?}}
scores: {north: {}, seen: {}}
rules:
  north:
    when: fact.type == "visited" and fact.context.places.country == "oslo"
    then: [{score: {name: north, add: 1}}]
  any:
    when: fact.type == "visited" and has(fact.context.places.country)
    then: [{score: {name: seen, add: 1}}]
tests:
  - name: from the north
    steps:
      - fact: {type: visited, city: oslo}
      - expect: {scores: {north: 0}}
      - fact: {type: visited, city: oslo, context: {places: {country: oslo}}}
      - expect: {scores: {north: 1, seen: 1}}
"""


@pytest.mark.parametrize("matcher", ["durable", "reference"])
def test_rules_read_what_they_answer(tmp_path: Path, matcher: str) -> None:
    with hookkit.server(tmp_path, PLACES, MATCHER=matcher) as server:
        server.deploy("places", RULES)
        server.facts(fact("visited", "ada", city="oslo"), fact("visited", "ada", city="rome"), fact("visited", "ada"))
        assert server.contact("ada")["scores"] == {"north": 1, "seen": 2}


def test_also_of_facts_that_sources_bring(tmp_path: Path) -> None:
    with hookkit.server(tmp_path, PLACES) as server:
        body = {"type": "track", "event": "visited", "userId": "ada", "messageId": "m1", "properties": {"city": "oslo"}}
        assert server.call("POST", "/v1/track", body, key=WRITE).status == 200
        found = eventually(lambda: server.timeline("ada"), "it is decided")
        assert found[0]["fact"]["context"]["places"]["country"] == "oslo"
