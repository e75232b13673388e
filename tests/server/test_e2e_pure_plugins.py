"""Functions and scorers of other people's packages in a real server: wherever rulesets are decided, tested, explained,
and whatever they do instead of answering.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from serverkit import Server, effects, eventually, fact, installed, overture, refused

TALK = """
import time

from pydantic import BaseModel

from overture.plugin import FunctionPlugin, Scored, ScorerPlugin, hookimpl


def mood(text):
    match text:
        case "loop":
            while True:
                pass
        case "doze":
            time.sleep(3600)
        case "exit":
            raise SystemExit("goodbye")
        case "deep":
            return mood(text)
        case "odd":
            return "cheerful"
    return len(text) % 2


class Config(BaseModel):
    share: float
    most: int = 10


class Words:
    def __init__(self, config):
        self.config = config

    def score(self, given):
        text = given.fact.properties["text"]
        if text == "loop":
            while True:
                pass
        words = {word: self.config.share for word in text.split()[: self.config.most]}
        return Scored(sum(words.values()) + given.contact.traits.get("bonus", 0), words)


@hookimpl
def overture_functions():
    yield FunctionPlugin(
        name="mood", parameters=("string",), returns="int", call=mood, doc="Odd or even.", example="mood(fact.text)"
    )


@hookimpl
def overture_scorers():
    yield ScorerPlugin(name="words", config=Config, open=Words, version="2026.1")
"""
SHADOW = """
from overture.plugin import FunctionPlugin, hookimpl


@hookimpl
def overture_functions():
    yield FunctionPlugin(name="len", parameters=("any",), returns="int", call=lambda x: 3)
"""
DOCUMENT = """\
apiVersion: overture/v1
kind: Ruleset
name: talk
requires: {scorers: [words]}
facts: {said: {text: string}}
traits: {bonus: "number?", mood: "int?"}
scores: {talk: {min: 0, max: 50}, heard: {}}
rules:
  odd:
    when: fact.type == "said" and mood(fact.text) == 1
    then:
      - set: {mood: "= mood(fact.text)"}
      - score: {name: talk, by: words, with: {share: 1.5}}
  heard: {when: fact.type == "said", then: [{score: {name: heard, add: 1}}]}
tests:
  - name: three words
    steps:
      - fact: {type: said, text: one two 333}
      - expect: {scores: {talk: 4.5, heard: 1}, traits: {mood: 1}}
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    installed(tmp_path, "talk", TALK)
    installed(tmp_path, "shadow", SHADOW)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))  # scratch processes do not look where the server was started
    return tmp_path


@pytest.fixture
def server(here: Path) -> Iterator[Server]:
    with Server(here, RULESETS="") as running:
        yield running


def plugin(server: Server, name: str) -> Any:
    return next(each for each in server.get("/v1/plugins") if each["name"] == name)


def breakers(server: Server) -> dict[str, str]:
    return {offer["name"]: offer["open"][offer["name"]] for offer in plugin(server, "talk")["offers"]}


def said(server: Server, text: str, contact: str = "ada") -> Any:
    """What the decision of one fact says."""
    server.facts(fact("said", contact, text=text))
    return server.timeline(contact)[-1]


def test_a_ruleset_asks_a_plugin_wherever_it_is_decided(server: Server, here: Path) -> None:
    function, scorer = plugin(server, "talk")["offers"]
    assert (function["kind"], function["name"], function["open"]) == ("function", "mood", {"mood": "closed"})
    assert function["settings"]["description"] == "mood(string) → int · Odd or even. · mood(fact.text)"
    assert (scorer["kind"], scorer["name"], scorer["settings"]["required"]) == ("scorer", "words", ["share"])
    shadow = plugin(server, "shadow")
    assert (shadow["state"], shadow["error"]) == (
        "failed",
        "The language of rulesets has its own len. [plugin.built_in]",
    )

    wrong = DOCUMENT.replace("and mood(fact.text)", "and moode(fact.text)").replace("share: 1.5", "shore: 1.5")
    answer = server.call("PUT", "/v1/rulesets/talk", wrong.encode())
    assert answer.status == 422
    findings = [(d["code"], d["line"], d["column"], d["hint"]) for d in answer.json["errors"]]
    assert findings == [
        ("condition.unknown_function", 10, 35, "Did you mean 'mood'?"),
        ("scorer.config", 13, 46, ""),
        ("scorer.config", 13, 47, "Did you mean 'share'?"),
    ]

    failing = DOCUMENT.replace("talk: 4.5", "talk: 4")
    assert server.activate("talk", server.put("talk", failing)).json["code"] == "ruleset.tests_failed"
    server.deploy("talk", DOCUMENT)
    moment = said(server, "seven77 words")
    assert (
        effects(moment)
        == [
            ("set", "mood", "", 1, ""),
            ("scorer", "words", "talk", {"value": 3.0, "contributions": {"seven77": 1.5, "words": 1.5}}, ""),
            ("score", "talk", "", 3, ""),
            ("score", "heard", "", 1, ""),
        ]
        or effects(moment)[0][0] == "score"
    )
    query = urlencode({"fact": moment["fact"]["id"], "rule": "odd"})
    told = str(server.get(f"/v1/contacts/ada/explain?{query}"))
    assert "mood(fact.text)" in told
    assert "2026.1" in told
    assert "contributions" in told

    once = DOCUMENT.replace("share: 1.5", "share: 2")
    job = server.call("POST", "/v1/rulesets/talk/backtest", once.encode())
    assert job.status == 202, job.body
    done = eventually(lambda: ended(server.get(job.headers["Location"])), "the backtest ends")
    assert done["state"] == "done", done
    (ada,) = server.get(f"{job.headers['Location']}/contacts")["items"]
    assert "'talk'" in str(ada)

    document = here / "talk.yaml"
    document.write_text(DOCUMENT)
    assert overture("check", str(document), cwd=here).returncode == 0
    run = overture("test", str(document), cwd=here)
    assert run.returncode == 0, run.stdout + run.stderr


def ended(job: Any) -> Any:
    return job if job["state"] in ("done", "failed") else None


def test_what_does_not_answer_costs_its_rule_and_not_the_server(server: Server) -> None:
    server.deploy("talk", DOCUMENT)
    failing = [("exit", "raised"), ("deep", "raised"), ("odd", "wrong_answer"), ("loop", "blocked")]
    for n, (text, code) in enumerate(failing, 1):
        assert breakers(server) == {"mood": "closed", "words": "closed"}
        moment = said(server, text)
        assert [(e["kind"], e["name"], e["key"], e["reason"]) for e in moment["effects"]] == [
            ("function", "mood", "talk#/rules/odd/when", f"plugin.{code}")
        ]
        query = urlencode({"fact": moment["fact"]["id"], "rule": "odd"})
        why = server.get(f"/v1/contacts/ada/explain?{query}")
        assert why["outcome"] == "no_match"
        assert "could not be told whether it should: The function mood " in why["sentence"]
        assert [firing["rule"] for firing in moment["firings"]] == ["talk/heard"]
        assert server.contact("ada")["scores"]["heard"] == n
    assert breakers(server) == {"mood": "open", "words": "closed"}, "who blocks once is left alone"
    paused = said(server, "odd one!")
    assert paused["effects"][0]["reason"] == "plugin.left_alone"
    assert server.contact("ada")["scores"] == {"heard": 5}
    trouble = plugin(server, "talk")["offers"][0]["trouble"]["mood"]
    assert trouble["failures"] == 4
    assert server.ready()["ready"]


def test_a_server_without_the_plugin_that_its_rulesets_ask_says_which_function_is_missing(here: Path) -> None:
    with Server(here, RULESETS="") as server:
        server.deploy("talk", DOCUMENT.replace("requires: {scorers: [words]}\n", ""))
        assert said(server, "seven77")["firings"]
    for file in (here / "ov_talk-1.0.dist-info").iterdir():
        file.unlink()
    line = refused(here, RULESETS="")
    assert "refuses the ruleset talk" in line
    assert "condition.unknown_function at 9:35: There is no function 'mood'" in line
