"""The contract of a source that fetches, as one plain coroutine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from overture.plugin import PullSource
from overture.testing.checking import CANCELLED, PATIENCE, Seen, within
from overture.testing.fakes import RecordingEmit
from overture.testing.valid import check_facts


class Feed(Protocol):
    """The real other end that the source under test fetches from."""

    async def grow(self, rows: int) -> None:
        """Have so many further rows, each of which becomes one fact."""
        ...

    def acknowledged(self) -> int:
        """How many rows it was told that it need not bring again; 0 where nothing of the kind is told."""
        ...


async def check_fetching(open_source: Callable[[], PullSource], feed: Feed, *, secret: str = "") -> None:
    """Run the whole contract of a source that fetches; AssertionError with a sentence where it is broken.

    ``open_source`` opens one on ``feed``, which has no rows yet, with pauses of a second at most; ``secret`` as for
    `check_channel`.
    """
    with Seen() as seen:
        emit = RecordingEmit()
        await feed.grow(3)
        await _run(open_source, emit, 3, seen)
        check_facts([fact for each in emit.emitted for fact in each.facts], own=True)
        assert all(emit.ids), "each fact has an id, so that it takes effect once when it comes again"

        await feed.grow(2)
        later = emit.after_restart()
        await _run(open_source, later, 5, seen)
        assert feed.acknowledged() or not set(later.ids) & set(emit.ids), (
            "after a restart it goes on from the last place: what was taken before that comes no more"
        )

        await feed.grow(2)
        lost = later.after_restart()
        lost.held = True
        await _interrupted(open_source, lost, seen)
        assert feed.acknowledged() <= 5, "nothing is acknowledged to the peer before emit() has returned"
        again = later.after_restart()
        await _run(open_source, again, 7, seen)
        offered = [id for each in lost.offered for id in each.ids]
        assert set(offered) <= again.known, "what emit() had not returned for comes again, with the same ids"

        await feed.grow(2)
        failing = again.after_restart()
        failing.failing = RuntimeError("the store is away")
        await _refused(open_source, failing, seen)
        unused = open_source()
        seen.add(unused)
        await within(unused.close(), "close() of a source that never ran")
        await within(unused.close(), "close() a second time")
    seen.must_not_show(secret)


async def _run(open_source: Callable[[], PullSource], emit: RecordingEmit, facts: int, seen: Seen) -> None:
    """Run it until so many facts were taken in all, then cancel it."""
    source = open_source()
    seen.add(source)
    running = asyncio.ensure_future(source.run(emit))
    try:
        taken = asyncio.ensure_future(emit.wait_for(facts))
        await asyncio.wait({running, taken}, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        if running.done() and not running.cancelled() and (error := running.exception()) is not None:
            raise AssertionError(f"run() raised {error!r} though nothing was wrong") from error
        assert taken.done(), f"{facts} rows did not become facts within {PATIENCE:g} s: {emit.ids!r}"
        assert len(emit.known) == facts, f"{facts} rows are {facts} facts with an id each: {emit.known!r}"
    finally:
        await _cancel(running)
        await within(source.close(), "close()")


async def _interrupted(open_source: Callable[[], PullSource], emit: RecordingEmit, seen: Seen) -> None:
    source = open_source()
    seen.add(source)
    running = asyncio.ensure_future(source.run(emit))
    try:
        await within(emit.wait_for_offer(1), "run() until the first emit()")
    finally:
        await _cancel(running)
        await within(source.close(), "close() after a cancellation")


async def _refused(open_source: Callable[[], PullSource], emit: RecordingEmit, seen: Seen) -> None:
    """What emit() raises ends the run, or it brings the same facts again; it never goes on without them."""
    source = open_source()
    seen.add(source)
    running = asyncio.ensure_future(source.run(emit))
    try:
        again = asyncio.ensure_future(emit.wait_for_offer(2))
        await asyncio.wait({running, again}, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            assert not running.cancelled() and running.exception() is not None, (  # noqa: PT018
                "what emit() raised must come out of run()"
            )
        else:
            assert again.done(), f"run() neither ended nor tried again within {PATIENCE:g} s after emit() raised"
            assert set(emit.offered[0].ids) <= set(emit.offered[1].ids), "facts that emit() refused are not skipped"
    finally:
        await _cancel(running)
        await within(source.close(), "close() after emit() raised")


async def _cancel(running: asyncio.Future[None]) -> None:
    running.cancel()
    done, _ = await asyncio.wait({running}, timeout=CANCELLED)
    assert done, "run() must end when it is cancelled"
    if not running.cancelled():
        running.exception()  # looked at
