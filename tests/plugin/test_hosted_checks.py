"""Health checks and observers that do not do well: at once left alone, and seen to be."""

from __future__ import annotations

import asyncio
import contextlib

from pydantic import BaseModel

from overture.plugin import HealthCheckPlugin, ObserverPlugin
from overture.plugin.checking import HostedCheck
from overture.plugin.observing import Event, HostedObserver, MessageOutcome

OUTCOME = MessageOutcome(
    message="m", contact="ada", channel="email", template="t", state="sent", reason="", detail="", at=0
)


class Config(BaseModel):
    pass


class Ill:
    well = False
    asked = 0

    async def check(self) -> None:
        self.asked += 1
        if not self.well:
            raise OSError("the disk is full")

    async def close(self) -> None:
        pass


async def test_a_check_that_fails_is_left_alone_at_once_and_no_longer_than_it_would_be_anyway() -> None:
    ill = Ill()
    plugin = HealthCheckPlugin(name="ill", config=Config, open=lambda config: ill, every=0.1)
    check = HostedCheck("ill", plugin, ill)
    assert "the disk is full" in await check.error()
    assert (check.state, check.failures) == ("open", 1)
    assert "the disk is full" in check.last
    assert "the disk is full" in await check.error(), "what was wrong is told all the while"
    assert ill.asked == 1
    ill.well = True
    await asyncio.sleep(0.11)
    assert (await check.error(), check.state, ill.asked) == ("", "closed", 2)


class Deaf:
    def __init__(self) -> None:
        self.go = asyncio.Event()

    async def observe(self, event: Event) -> None:
        while not self.go.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await self.go.wait()

    async def close(self) -> None:
        pass


async def test_one_that_hangs_and_cannot_be_cancelled_is_shown_as_stuck() -> None:
    plugin = ObserverPlugin(name="deaf", config=Config, open=lambda config: Deaf(), timeout=0.05, queue=2)
    deaf = Deaf()
    observer = HostedObserver("deaf", plugin, deaf)
    assert observer.state == "closed"
    running = asyncio.create_task(observer.run())
    try:
        for _ in range(3):
            observer.offer(OUTCOME)
            await asyncio.sleep(0.1)
        assert observer.state == "stuck"
        assert observer.dropped >= 1, "what it was not told of is counted"
        assert "did not answer within" in observer.last
    finally:
        deaf.go.set()
        running.cancel()


class Slow:
    def __init__(self) -> None:
        self.told = 0

    async def observe(self, event: Event) -> None:
        self.told += 1
        if self.told == 1:
            await asyncio.sleep(60)

    async def close(self) -> None:
        pass


async def test_one_that_was_too_slow_once_misses_nothing_else() -> None:
    slow = Slow()
    plugin = ObserverPlugin(name="slow", config=Config, open=lambda config: slow, timeout=0.2)
    observer = HostedObserver("slow", plugin, slow)
    for _ in range(10):
        observer.offer(OUTCOME)
    await observer.drain(5.0)
    assert (slow.told, observer.dropped, observer.failures) == (10, 0, 1)
