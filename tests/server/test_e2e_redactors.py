"""Redactors in a real server: what they take out is nowhere, and without them nothing is stored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import hookkit
from serverkit import WRITE, Server, eventually, fact

CARDS = """
class NoCards:
    def __init__(self, config):
        if mode("open") == "raise":
            raise RuntimeError("it cannot be opened")

    def redact(self, fact):
        trouble("redact")
        if fact.properties.get("poison"):
            raise ValueError("not this one")
        match mode("redact"):
            case "hang":
                time.sleep(30)
            case "wrong":
                return None
            case "other":
                return replace(fact, type="something_else")
        kept = {name: value for name, value in fact.properties.items() if name != "card"}
        return replace(fact, properties=kept)


@hookimpl
def overture_redactors():
    yield RedactorPlugin(name="no_cards", config=Config, open=NoCards)
"""
CARD = "4111-1111-1111-1111"


def post(server: Server, *facts: Any) -> tuple[int, Any]:
    answer = server.call("POST", "/v1/facts?wait=true", facts[0] if len(facts) == 1 else list(facts), key=WRITE)
    return answer.status, answer.json


def test_what_it_takes_out_is_nowhere(tmp_path: Path) -> None:
    with hookkit.server(tmp_path, CARDS) as server:
        paid = fact("paid", "ada", card=CARD, total=[{"eur": 5}])
        assert server.facts(paid)["accepted"] == 1
        assert server.facts(paid)["duplicates"] == 1
        (moment,) = server.timeline("ada")
        assert moment["fact"]["properties"] == {"total": [{"eur": 5}]}
    stored = [path for path in server.data.rglob("*") if path.is_file()]
    assert len(stored) > 3
    assert not [path for path in stored if CARD.encode() in path.read_bytes()]


def test_while_it_fails_nothing_is_stored_and_all_can_be_sent_again(tmp_path: Path) -> None:
    with hookkit.server(tmp_path, CARDS) as server:
        paid = fact("paid", "ada", card=CARD)
        for how, said in (
            ("raise", "raised RuntimeError: it is broken today"),
            ("wrong", "answered what cannot be used"),
            ("other", "the id and the type of a fact cannot be changed"),
        ):
            (tmp_path / "redact").write_text(how)
            status, told = post(server, paid)
            assert (status, told["code"]) == (503, "redactor.failing")
            assert said in told["detail"]
        assert server.find("ada") is None
        (tmp_path / "redact").unlink()
        assert post(server, paid)[0] == 200
        assert hookkit.offer(server, "redactor", "no_cards")["trouble"]["no_cards"]["failures"] == 3


def test_one_that_hangs_is_interrupted(tmp_path: Path) -> None:
    (tmp_path / "redact").write_text("hang")
    with hookkit.server(tmp_path, CARDS) as server:
        status, told = post(server, fact("paid", "ada", card=CARD))
        assert (status, told["code"]) == (503, "redactor.failing")
        assert server.find("ada") is None
        assert hookkit.offer(server, "redactor", "no_cards")["open"] == {"no_cards": "open"}


def test_a_fact_that_it_fails_at_costs_itself_alone(tmp_path: Path) -> None:
    with hookkit.server(tmp_path, CARDS) as server:
        good, bad = fact("paid", "ada", card=CARD), fact("paid", "ada", card=CARD, poison=True)
        status, told = post(server, good, bad)
        assert (status, told["accepted"]) == (200, 1)
        assert [(r["index"], r["code"]) for r in told["rejected"]] == [(1, "fact.unredacted")]
        assert told["ids"] == [good["id"], None]
        many = [fact("paid", "ada", card=CARD, **({"poison": True} if 1 <= n <= 6 else {})) for n in range(20)]
        status, told = post(server, *many)
        assert (status, told["accepted"]) == (200, 14)
        assert [(r["index"], r["code"]) for r in told["rejected"]] == [(n, "fact.unredacted") for n in range(1, 7)]


def test_what_a_source_brought_is_not_kept_as_refused_either(tmp_path: Path) -> None:
    with hookkit.server(tmp_path, CARDS) as server:
        events = [
            {"type": "track", "event": "paid", "userId": "ada", "messageId": f"m{n}", "properties": properties}
            for n, properties in enumerate([{"card": CARD}, {"card": CARD, "poison": True}])
        ]
        assert server.call("POST", "/v1/batch", {"batch": events}, key=WRITE).status == 200
        (refused,) = eventually(lambda: server.get("/v1/sources/refused"), "it is recorded")
        assert (refused["code"], refused["fact"]) == ("fact.unredacted", "")
        assert CARD not in json.dumps(server.timeline("ada"))


def test_one_that_cannot_be_opened_lets_nothing_in(tmp_path: Path) -> None:
    (tmp_path / "open").write_text("raise")
    with hookkit.server(tmp_path, CARDS) as server:
        status, told = post(server, fact("paid", "ada", card=CARD))
        assert (status, told["code"]) == (503, "redactor.failing")


def test_one_that_is_named_in_the_settings_is_never_done_without(tmp_path: Path) -> None:
    body = "raise RuntimeError('the package is broken')\n"
    with hookkit.server(tmp_path, body, "[redactors.no_cards]\n") as server:
        status, told = post(server, fact("paid", "ada", card=CARD))
        assert (status, told["code"]) == (503, "redactor.failing")
        assert "no plugin that could be loaded offers it" in told["detail"]
