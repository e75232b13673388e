"""The virtual clock: hours in no time, each timer at its own instant."""

from __future__ import annotations

import asyncio

import pytest
import uvloop

from overture.testing import VirtualClock, WebhookReceiver


async def test_what_sleeps_wakes_at_its_own_instant() -> None:
    seen: list[tuple[str, int]] = []
    async with VirtualClock("2026-03-27T10:00:00Z") as clock:
        began = clock.now()

        async def every(name: str, seconds: float) -> None:
            while True:
                await asyncio.sleep(seconds)
                seen.append((name, (clock.now() - began) // 1000))

        tasks = [asyncio.create_task(every("hour", 3600)), asyncio.create_task(every("half", 1800))]
        await clock.advance(3599)
        assert seen == [("half", 1800)]
        await clock.advance(3601)
        assert sorted(seen[1:]) == [("half", 3600), ("half", 5400), ("half", 7200), ("hour", 3600), ("hour", 7200)]
        assert [at for _, at in seen] == sorted(at for _, at in seen)
        assert clock.text() == "2026-03-27T12:00:00.000+00:00"
        for task in tasks:
            task.cancel()
    assert began == 1_774_605_600_000


async def test_timeouts_go_by_it_and_connections_do_not() -> None:
    async with WebhookReceiver() as receiver, VirtualClock() as clock:
        reader, writer = await asyncio.open_connection("127.0.0.1", receiver.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
        writer.close()

        async def waits() -> str:
            try:
                async with asyncio.timeout(600):
                    await asyncio.Event().wait()
            except TimeoutError:
                return "after ten minutes"
            return ""

        task = asyncio.create_task(waits())
        await clock.advance(599)
        assert not task.done()
        await clock.advance(1)
        assert await task == "after ten minutes"
    loop = asyncio.get_running_loop()
    before = loop.time()
    await asyncio.sleep(0.01)
    assert loop.time() > before


def test_another_loop_is_refused_in_a_sentence() -> None:
    async def run() -> None:
        async with VirtualClock():
            pass

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner, pytest.raises(RuntimeError, match="event loop"):
        runner.run(run())
