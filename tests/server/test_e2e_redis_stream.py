"""The source `redis_stream` in a real server: each entry takes effect once, and one that is no fact stops nothing."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from serverkit import Server, eventually, refused

COUNTING = """\
apiVersion: overture/v1
kind: Ruleset
name: counting
facts: {bought: {total: number}}
scores: {spent: {}, bought: {}}
rules:
  bought:
    when: fact.type == "bought"
    then: [{score: {name: spent, add: =fact.total}}, {score: {name: bought, add: 1}}]
"""
FIELDS = """
type = "bought"
contact = { user_id = "user" }
types = { total = "number" }
"""


@pytest.fixture
def stream(store_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(store_url) as client:
        yield client


def configured(directory: Path, store_url: str, more: str) -> Server:
    (directory / "url").write_text(store_url + "\n")
    text = f'[sources.redis_stream]\nurl = "file:{directory / "url"}"\nkey = "shop:orders"\n{more}'
    (directory / "overture.toml").write_text(text)
    return Server(directory, RULESETS="")


def add(stream: redis.Redis, first: int, last: int) -> None:
    with stream.pipeline(transaction=False) as pipe:
        for n in range(first, last):
            pipe.xadd("shop:orders", {"user": f"u{n % 10}", "total": n, "shop": "x"})
        pipe.execute()


def bought(server: Server, contact: str) -> Any:
    found = server.find(contact)
    return 0 if found is None else found["scores"].get("bought", 0)


def test_a_thousand_entries_take_effect_once_whatever_is_killed(
    tmp_path: Path, stream: redis.Redis, store_url: str
) -> None:
    with configured(tmp_path, store_url, FIELDS) as server:
        server.deploy("counting", COUNTING)
        for first, last in ((0, 300), (300, 700)):
            add(stream, first, last)
            eventually(lambda first=first: bought(server, "u0") > first // 10, "it is under way")
            server.stop(signal.SIGKILL)
            server.start()
        add(stream, 700, 1000)
        eventually(lambda: sum(bought(server, f"u{n}") for n in range(10)) >= 1000, "all were read")
        server.drained()
        scores = [server.contact(f"u{n}")["scores"] for n in range(10)]
        assert scores == [{"bought": 100, "spent": sum(range(n, 1000, 10))} for n in range(10)]
        (moment, *_) = server.timeline("u0")
        entry, _ = stream.xrange("shop:orders")[int(moment["fact"]["properties"]["total"])]
        assert moment["fact"]["id"].endswith(":" + entry.decode())
        assert moment["fact"]["properties"]["shop"] == "x"
        assert server.get("/v1/sources/refused") == []


def test_whole_facts_in_a_field_and_what_is_none(tmp_path: Path, stream: redis.Redis, store_url: str) -> None:
    good = {"type": "bought", "contact": {"user_id": "ada"}, "properties": {"total": 2}}
    entries: list[Any] = [
        {"fact": json.dumps(good)},
        {"fact": "{"},
        {"fact": "[]"},
        {"other": "1"},
        {"fact": json.dumps({"type": "bought"})},
        {"fact": b"\xff"},
        {"fact": json.dumps({**good, "id": "own", "occurred_at": "2026-01-02T03:04:05Z"})},
        {"fact": json.dumps({**good, "id": "own", "occurred_at": "2026-01-02T03:04:05Z"})},
    ]
    with configured(tmp_path, store_url, 'json_field = "fact"\n') as server:
        server.deploy("counting", COUNTING)
        ids = [stream.xadd("shop:orders", entry) for entry in [*entries, {"fact": json.dumps(good)}]]
        eventually(lambda: bought(server, "ada") == 3, "the good ones were read")
        told = server.get("/v1/sources/refused")
        assert sorted((each["code"], each["message"]) for each in told) == [
            ("fact.contact_missing", "The fact has no contact."),
            ("source.entry", "The field fact is no JSON object."),
            ("source.entry", "The field fact is no JSON object."),
            ("source.entry", "The field fact is no JSON object."),
            ("source.entry", "There is no field fact."),
        ]
        shown = [json.loads(each["fact"]) for each in told if each["message"] == "There is no field fact."]
        assert shown == [{"entry": ids[3].decode(), "fields": {"other": "1"}}]


def test_fields_of_another_type_are_told(tmp_path: Path, stream: redis.Redis, store_url: str) -> None:
    more = 'type_field = "what"\ncontact = { email = "mail", external = { crm = "no" } }\nid = "n"\n'
    more += 'occurred_at = "at"\nproperties = { total = "sum", tags = "tags" }\n'
    more += 'types = { total = "number", tags = "json" }\nbackfill = true\n'
    whole = {"what": "bought", "mail": "ada@example.org", "no": "7", "at": "2026-01-02T03:04:05Z", "tags": '["a"]'}
    stream.xadd("shop:orders", {**whole, "sum": "much", "n": "n1"})
    stream.xadd("shop:orders", {**whole, "sum": "2.5", "n": "n2"})
    with configured(tmp_path, store_url, more) as server:
        server.deploy("counting", COUNTING)
        eventually(lambda: server.find("external:crm:7"), "it was read")
        (moment,) = server.timeline("external:crm:7")
        assert (moment["fact"]["id"], moment["fact"]["occurred_at"]) == ("n2", "2026-01-02T03:04:05.000Z")
        assert moment["fact"]["properties"] == {"total": 2.5, "tags": ["a"]}
        (told,) = server.get("/v1/sources/refused")
        assert (told["code"], told["message"]) == ("source.entry", "The field sum is not of type number.")


def test_a_stream_that_cannot_be_read_is_told_without_its_password(
    tmp_path: Path, stream: redis.Redis, store_url: str
) -> None:
    stream.set("shop:orders", "no stream")

    def state() -> str:
        offers = [offer for plugin in server.get("/v1/plugins") for offer in plugin["offers"]]
        return next(offer for offer in offers if offer["name"] == "redis_stream")["open"]["redis_stream"]

    with configured(tmp_path, store_url, FIELDS) as server:
        server.deploy("counting", COUNTING)
        eventually(lambda: "The stream cannot be read: ResponseError." in state(), "it says so")
        stream.delete("shop:orders")
        add(stream, 0, 10)
        eventually(lambda: bought(server, "u9") == 1, "it is run again")
    for wrong, more in (
        ("http://:hunter2@somewhere", FIELDS),
        ("redis://:hunter2@somewhere", 'json_field = "a"\ntype = "b"\n'),
        ("redis://:hunter2@somewhere", 'type = "b"\n'),
    ):
        (tmp_path / "wrong").mkdir(exist_ok=True)
        configured(tmp_path / "wrong", wrong, more)
        line = refused(tmp_path / "wrong")
        assert "sources.redis_stream" in line
        assert "hunter2" not in line
