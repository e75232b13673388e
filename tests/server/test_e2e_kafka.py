"""The source `kafka` in a real server, against the broker of librdkafka: each message takes effect once."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from serverkit import Server, eventually, refused

from overture.testing import RecordingEmit
from overture_sources.kafka import Kafka, KafkaConfig

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
value = "fields"
type = "bought"
contact = { user_id = "$key" }
properties = { total = "order.total", shop = "shop" }
"""


class Broker:
    """Four partitions a topic, made when something is put there."""

    def __init__(self) -> None:
        self._producer = Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "none"})
        brokers = self._producer.list_topics(timeout=10).brokers.values()
        self.address = ",".join(f"{each.host}:{each.port}" for each in brokers)

    def put(self, topic: str, value: bytes | None, key: str = "", partition: int | None = None) -> None:
        where = {} if partition is None else {"partition": partition}
        self._producer.produce(topic, value, key.encode(), **where)
        self._producer.poll(0)

    def flush(self) -> None:
        assert self._producer.flush(10) == 0


@pytest.fixture
def broker() -> Broker:
    return Broker()


def configured(directory: Path, broker: str, more: str, topics: str = '["orders"]') -> Server:
    (directory / "overture.toml").write_text(f'[sources.kafka]\nbrokers = ["{broker}"]\ntopics = {topics}\n{more}')
    return Server(directory, RULESETS="")


def order(broker: Broker, n: int) -> None:
    value = {"order": {"total": n}, "shop": "x"}
    broker.put("orders", json.dumps(value).encode(), f"u{n % 10}")


def bought(server: Server, contact: str) -> Any:
    found = server.find(contact)
    return 0 if found is None else found["scores"].get("bought", 0)


def total(server: Server) -> Any:
    return sum(bought(server, f"u{n}") for n in range(10))


def test_a_thousand_messages_take_effect_once_whatever_is_killed(tmp_path: Path, broker: Broker) -> None:
    with configured(tmp_path, broker.address, FIELDS) as server:
        server.deploy("counting", COUNTING)
        for n in range(300):
            order(broker, n)
        broker.flush()
        for first, last in ((300, 700), (700, 1000)):
            eventually(lambda first=first: total(server) > first // 2, "it is under way")
            server.stop(signal.SIGKILL)
            for n in range(first, last):
                order(broker, n)
            broker.flush()
            server.start()
        eventually(lambda: total(server) >= 1000, "all were read")
        server.drained()
        scores = [server.contact(f"u{n}")["scores"] for n in range(10)]
        assert scores == [{"bought": 100, "spent": sum(range(n, 1000, 10))} for n in range(10)]
        (moment, *_) = server.timeline("u0")
        assert moment["fact"]["id"].startswith("kafka:")
        assert moment["fact"]["properties"]["shop"] == "x"
        assert server.get("/v1/sources/refused") == []


def test_whole_facts_in_several_topics_and_what_is_none(tmp_path: Path, broker: Broker) -> None:
    good = {"type": "bought", "contact": {"user_id": "ada"}, "properties": {"total": 2}}
    own = {**good, "id": "own", "occurred_at": "2026-01-02T03:04:05Z"}
    with configured(tmp_path, broker.address, "", '["orders", "refunds"]') as server:
        server.deploy("counting", COUNTING)
        for value in (json.dumps(good).encode(), b"{", b"[]", None, b"\xff", b"[" * 100_000, json.dumps(own).encode()):
            broker.put("orders", value, partition=1)
        for value in ({"type": "bought"}, own, good):
            broker.put("refunds", json.dumps(value).encode(), partition=0)
        broker.flush()
        eventually(lambda: bought(server, "ada") == 3, "the good ones were read")
        told = server.get("/v1/sources/refused")
        assert sorted((each["code"], each["message"]) for each in told) == [
            ("fact.contact_missing", "The fact has no contact."),
            *[("source.entry", "The message is no JSON object.")] * 4,
        ]
        places = [json.loads(each["fact"]) for each in told if each["code"] == "source.entry"]
        assert {(each["topic"], each["partition"], each["offset"]) for each in places} == {
            ("orders", "1", offset) for offset in ("1", "2", "4", "5")
        }


def test_a_topic_that_was_made_anew_is_read_from_its_beginning_and_that_is_told(tmp_path: Path) -> None:
    before, after = Broker(), Broker()
    with configured(tmp_path, before.address, FIELDS) as server:
        server.deploy("counting", COUNTING)
        for n in range(100):
            order(before, n)
        before.flush()
        eventually(lambda: total(server) == 100, "all were read")
        server.stop()
        value = {"order": {"total": 1}, "shop": "y"}
        after.put("orders", json.dumps({**value, "at": "2026-01-02T03:04:05Z", "no": "new"}).encode(), "u0", 0)
        after.flush()
        configured(tmp_path, after.address, FIELDS + 'id = "no"\n')
        server.start()
        eventually(lambda: bought(server, "u0") == 11, "the new one was read")
        told = [each for each in server.get("/v1/sources/refused") if each["code"] == "source.gap"]
        assert any("of partition 0 is not there; it is read from 0 on." in each["message"] for each in told)


async def read(address: str, emit: RecordingEmit, until: Callable[[], bool]) -> list[str]:
    """The texts of the facts that it emits, with `begin = "last"`, until so much is."""
    settings = {"brokers": [address], "topics": ["orders"], "begin": "last"}
    source = Kafka(KafkaConfig.model_validate(settings))
    running = asyncio.ensure_future(source.run(emit))
    while not until() and not running.done():
        await asyncio.sleep(0.05)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    await source.close()
    return [fact["text"] for each in emit.emitted for fact in each.facts]


def written(broker: Broker, text: str, partition: int) -> None:
    fact = {"type": "said", "contact": {"user_id": "ada"}, "text": text}
    broker.put("orders", json.dumps(fact).encode(), "", partition)
    broker.flush()


async def test_from_the_last_message_on_none_is_passed_over_afterwards(broker: Broker) -> None:
    written(broker, "before", 0)
    first = RecordingEmit()
    assert await read(broker.address, first, lambda: first.place != "") == []
    written(broker, "while it was away", 0)
    then = RecordingEmit(first.place)
    assert await read(broker.address, then, lambda: bool(then.ids)) == ["while it was away"]


async def test_a_partition_that_comes_later_is_read_from_its_first_message_on(broker: Broker) -> None:
    for partition in range(4):
        written(broker, f"in {partition}", partition)
    emit = RecordingEmit(json.dumps({"orders": {"0": 1, "1": 1, "2": 1}}))
    assert await read(broker.address, emit, lambda: bool(emit.ids)) == ["in 3"]


def test_brokers_that_are_not_there_and_settings_that_cannot_be(tmp_path: Path, broker: Broker) -> None:
    def state() -> str:
        offers = [offer for plugin in server.get("/v1/plugins") for offer in plugin["offers"]]
        return next(offer for offer in offers if offer["name"] == "kafka")["open"]["kafka"]

    login = 'username = "u"\npassword = "hunter2-hunter2"\n'
    with configured(tmp_path, "127.0.0.1:1", FIELDS + login) as server:
        eventually(lambda: "The topics cannot be read: KafkaConnectionError." in state(), "it says so")
        assert "hunter2" not in state()
    for wrong in (
        'username = "u"\n',
        'type = "bought"\n',
        'value = "fields"\ntype = "bought"\n',
        'value = "fields"\ncontact = { email = "mail" }\n',
        'value = "fields"\ntype = "a"\ntype_field = "b"\ncontact = { email = "mail" }\n',
    ):
        configured(tmp_path, broker.address, wrong)
        assert "sources.kafka" in refused(tmp_path)
