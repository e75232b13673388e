"""Decisions that somebody waits for: published with the commit, received by the process that took the fact."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable
from typing import Any, cast

import msgspec
import redis.asyncio
from redis.exceptions import RedisError

from overture.state import keys
from overture.state.lease import Command

log = logging.getLogger("overture.worker")

_encode = msgspec.msgpack.Encoder().encode


def publish(decided: Iterable[tuple[str, str, dict[str, Any]]]) -> list[Command]:
    """Commands that tell processes of decisions; each is (process, fact id, decision)."""
    by_process: dict[str, list[Any]] = {}
    for process, fact, decision in decided:
        by_process.setdefault(process, []).append((fact, decision))
    return [("PUBLISH", keys.DECIDED + process, _encode(items)) for process, items in by_process.items()]


class Replies:
    """The decisions that requests of this process wait for."""

    def __init__(self, url: str, process: str) -> None:
        self.process = process
        self._url = url
        self._waiting: dict[str, asyncio.Future[dict[str, Any]]] = {}

    def expect(self, fact: str) -> asyncio.Future[dict[str, Any]]:
        """A future for the decision on a fact; ask before the fact is appended."""
        future = self._waiting.get(fact)
        if future is None:
            future = self._waiting[fact] = asyncio.get_running_loop().create_future()
            future.add_done_callback(lambda _: self._waiting.pop(fact, None))
        return future

    async def run(self) -> None:
        """Receive decisions for ever; a lost connection is made again (what was published meanwhile is missed)."""
        while True:
            client: Any = cast(Any, redis.asyncio.Redis).from_url(self._url)
            try:
                async with client.pubsub() as pubsub:
                    await pubsub.subscribe(keys.DECIDED + self.process)
                    async for message in pubsub.listen():
                        if message["type"] == "message":
                            for fact, decision in msgspec.msgpack.decode(message["data"]):
                                self.settle(fact, decision)
            except (RedisError, OSError) as error:
                log.warning("Decisions cannot be received, trying again: %s", error)
                await asyncio.sleep(0.2)
            finally:
                with contextlib.suppress(RedisError, OSError):
                    await client.aclose()

    def settle(self, fact: str, decision: dict[str, Any]) -> None:
        """Hand a decision to who waits for it, if anyone still does."""
        future = self._waiting.get(fact)
        if future is not None and not future.done():
            future.set_result(decision)
