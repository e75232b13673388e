"""Every source of ours that fetches holds the contract of `overture.testing`, against a real other end."""

from __future__ import annotations

import asyncio
import itertools
import json
from typing import Any

import aiosmtplib
import redis
from mailkit import free_port
from test_e2e_bounces import DSN, KEY
from test_e2e_kafka import Broker
from test_e2e_postgres import Database, database, postgres  # noqa: F401  # fixtures

from overture.plugin import PluginManager, PullSourcePlugin
from overture.testing import check_fetching
from overture_channels.returns import ReturnAddress
from overture_sources.bounces import Bounces, BouncesConfig
from overture_sources.kafka import Kafka, KafkaConfig
from overture_sources.postgres import Postgres, PostgresConfig
from overture_sources.redis_stream import RedisStream, StreamConfig

ELSEWHERE = {"hubspot"}  # tests/sources/test_hubspot_source.py


def test_every_one_is_tried_here() -> None:
    manager = PluginManager()
    manager.load()
    fetching = {name for name, source in manager.sources.items() if isinstance(source, PullSourcePlugin)}
    ours = {name for name in fetching if manager.sources[name].config.__module__.startswith("overture_")}
    assert ours - ELSEWHERE == {"redis_stream", "kafka", "postgres", "bounces"}


class Stream:
    def __init__(self, url: str) -> None:
        self._store = redis.Redis.from_url(url)

    async def grow(self, rows: int) -> None:
        for _ in range(rows):
            self._store.xadd("shop:orders", {"user": "ada"})

    def acknowledged(self) -> int:
        return 0


async def test_redis_stream(store_url: str) -> None:
    settings: dict[str, Any] = {
        "url": store_url,
        "key": "shop:orders",
        "type": "bought",
        "contact": {"user_id": "user"},
    }
    config = StreamConfig.model_validate(settings)
    await check_fetching(lambda: RedisStream(config), Stream(store_url))


class Topic:
    def __init__(self) -> None:
        self.broker = Broker()

    async def grow(self, rows: int) -> None:
        for _ in range(rows):
            self.broker.put("orders", json.dumps({"type": "bought", "contact": "ada"}).encode())
        await asyncio.to_thread(self.broker.flush)

    def acknowledged(self) -> int:
        return 0


async def test_kafka() -> None:
    topic = Topic()
    config = KafkaConfig.model_validate({"brokers": topic.broker.address.split(","), "topics": ["orders"]})
    await check_fetching(lambda: Kafka(config), topic)


class Table:
    def __init__(self, at: Database) -> None:
        self._database = at
        self._ids = itertools.count(1)

    async def grow(self, rows: int) -> None:
        made = [f"INSERT INTO customers (id, mail) VALUES ({next(self._ids)}, 'ada@example.org')" for _ in range(rows)]
        await asyncio.to_thread(self._database.run, *made)

    def acknowledged(self) -> int:
        return 0


async def test_postgres(database: Database) -> None:  # noqa: F811
    settings = {
        "url": database.url, "table": "customers", "type": "changed", "contact": {"email": "mail"},
        "every": 0.2, "lag": 0,
    }  # fmt: skip
    config = PostgresConfig.model_validate(settings)
    await check_fetching(lambda: Postgres(config), Table(database))


class Queue:
    """A mail server whose mails come back: it tries each again until somebody takes it."""

    def __init__(self, port: int, to: str) -> None:
        self._port = port
        self._to = to
        self._names = itertools.count(1)
        self._taken = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._stopped = False

    async def grow(self, rows: int) -> None:
        self._tasks += [asyncio.create_task(self._deliver(next(self._names))) for _ in range(rows)]

    def acknowledged(self) -> int:
        return self._taken

    async def stop(self) -> None:
        self._stopped = True
        await asyncio.gather(*self._tasks)

    async def _deliver(self, name: int) -> None:
        mail = DSN.format(
            to=self._to, name=f"m{name}", action="failed", status="5.1.1", told="550 nobody",
            header="X-Overture-Message: f1:welcome:1:aa",
        )  # fmt: skip
        while not self._stopped:
            try:
                await aiosmtplib.send(
                    mail.replace("\n", "\r\n").encode(), sender="mx@example.net", recipients=[self._to],
                    hostname="127.0.0.1", port=self._port, start_tls=False,
                )  # fmt: skip
            except (OSError, aiosmtplib.SMTPException):
                await asyncio.sleep(0.05)
            else:
                self._taken += 1
                return


async def test_bounces() -> None:
    address = "bounces+{token}@example.org"
    config = BouncesConfig.model_validate(
        {"address": address, "key": KEY, "listen": f"127.0.0.1:{(port := free_port())}"}
    )
    queue = Queue(port, ReturnAddress(address, config.key).of("f1:welcome:1:aa"))
    try:
        await check_fetching(lambda: Bounces(config), queue, secret=KEY)
    finally:
        await queue.stop()
