"""What is published with a commit: decisions that somebody waits for, received by the process that took the fact; and
who has been erased, for what each process remembers; for whose inbox something came.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Callable, Iterable
from typing import Any, cast

import msgspec
import redis.asyncio
from redis.exceptions import RedisError

from overture.state import keys
from overture.state.lease import Command

log = logging.getLogger("overture.worker")

PAUSE = 0.02  # seconds; well below the workers' own, so that what they commit after an outage is not missed

_encode = msgspec.msgpack.Encoder().encode


def publish(decided: Iterable[tuple[str, dict[str, Any]]]) -> list[Command]:
    """Commands that tell other processes of decisions; each is (token, decision)."""
    by_process: dict[str, list[Any]] = {}
    for token, decision in decided:
        by_process.setdefault(token.partition("/")[0], []).append((token, decision))
    return [("PUBLISH", keys.DECIDED + process, _encode(items)) for process, items in by_process.items()]


class Reply:
    """A place to wait for one decision. ``token`` travels with the fact; `forget` when nobody waits any more."""

    __slots__ = ("_waiting", "future", "token")

    def __init__(self, token: str, waiting: dict[str, Reply]) -> None:
        self.token = token
        self.future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting = waiting
        waiting[token] = self

    @property
    def decision(self) -> dict[str, Any] | None:
        """None while undecided."""
        return self.future.result() if self.future.done() and not self.future.cancelled() else None

    def forget(self) -> None:
        self._waiting.pop(self.token, None)
        self.future.cancel()


class Replies:
    """The decisions that requests of this process wait for."""

    def __init__(self, url: str, process: str) -> None:
        self._process = process
        self._url = url
        self._waiting: dict[str, Reply] = {}
        self._numbers = itertools.count()
        self.on_erased: Callable[[str], None] = lambda _: None  # called with a contact; empty: any may have been
        self.on_kept: Callable[[str], None] = lambda _: None  # likewise

    def expect(self) -> Reply:
        """A place for the decision on a fact that is about to be appended."""
        return Reply(f"{self._process}/{next(self._numbers)}", self._waiting)

    def is_own(self, token: str) -> bool:
        """Whether the token was made by this process: then there is no need to publish."""
        return token.startswith(self._process)

    async def run(self) -> None:
        """Receive decisions for ever; a lost connection is made again (what was published meanwhile is missed)."""
        while True:
            client: Any = cast(Any, redis.asyncio.Redis).from_url(self._url)
            try:
                async with client.pubsub() as pubsub:
                    await pubsub.subscribe(keys.DECIDED + self._process, keys.ERASED, keys.KEPT)
                    self.on_erased("")
                    self.on_kept("")
                    async for message in pubsub.listen():
                        if message["type"] == "message" and message["channel"] == keys.ERASED.encode():
                            self.on_erased(message["data"].decode())
                        elif message["type"] == "message" and message["channel"] == keys.KEPT.encode():
                            self.on_kept(message["data"].decode())
                        elif message["type"] == "message":
                            for token, decision in msgspec.msgpack.decode(message["data"]):
                                self.settle(token, decision)
            except (RedisError, OSError) as error:
                log.warning("Decisions cannot be received, trying again: %s", error)
                await asyncio.sleep(PAUSE)
            finally:
                with contextlib.suppress(RedisError, OSError):
                    await client.aclose()

    def settle(self, token: str, decision: dict[str, Any]) -> None:
        """Hand a decision to who waits for it, if anyone still does."""
        reply = self._waiting.get(token)
        if reply is not None and not reply.future.done():
            reply.future.set_result(decision)
