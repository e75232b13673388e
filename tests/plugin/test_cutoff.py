"""Plugin code that keeps the process to itself: it is interrupted whatever it catches, and nothing else ever is."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import uvloop

from overture.plugin.cutoff import Blocked, bounded, inside
from overture.plugin.guard import Guard, Late, Limits, Raised, contained
from overture.plugin.steps import unwatched, watch_tasks

LONG = 30.0  # seconds: a test that is not interrupted fails by that
block = time.sleep
Sync = Callable[[], Any]
Async = Callable[[], Awaitable[Any]]


def sleeps() -> None:
    block(LONG)


def counts() -> None:
    while True:
        pass


def catches() -> str:
    with contextlib.suppress(BaseException):
        block(LONG)
    return "as if nothing had been"


def never_gives_up() -> None:
    while True:
        try:
            try:
                block(LONG)
            except BaseException as error:
                del error
        except BaseException:
            pass


def says_something_else() -> None:
    try:
        block(LONG)
    except BaseException:
        raise ValueError("about something else") from None


@pytest.mark.parametrize("fn", [sleeps, counts, catches, never_gives_up, says_something_else])
def test_what_goes_on_for_too_long_is_interrupted(fn: Sync) -> None:
    with pytest.raises(Blocked, match=r"^The scorer x kept the process to itself for 50 ms") as caught:
        bounded("The scorer x", 0.05, fn)
    assert caught.value.code == "plugin.blocked"
    assert f"in {fn.__name__} (test_cutoff.py, line " in str(caught.value) or fn is catches
    assert sys.gettrace() is None


def test_what_ends_in_time_is_an_ordinary_call() -> None:
    assert bounded("It", 5, divmod, 7, 2) == (3, 1)
    with pytest.raises(KeyError, match="x"):
        bounded("It", 5, {}.__getitem__, "x")


def test_the_inner_of_two_ends_alone_and_the_outer_takes_it_along() -> None:
    def tolerant() -> str:
        with pytest.raises(Blocked, match="inner"):
            bounded("inner", 0.05, sleeps)
        return "went on"

    def patient() -> None:
        bounded("inner", LONG, sleeps)

    assert bounded("outer", 5, tolerant) == "went on"
    with pytest.raises(Blocked, match="outer"):
        bounded("outer", 0.05, patient)


def test_another_thread_is_left_alone() -> None:
    seen: list[object] = []

    def run() -> None:
        seen.append(bounded("It", 0.02, lambda: (block(0.2), inside())[1]))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [False]


def test_a_timer_that_somebody_else_uses_is_left_to_them() -> None:
    code = """
import signal, time
from overture.plugin.cutoff import bounded
mine = lambda *_: print("mine")
signal.signal(signal.SIGALRM, mine)
signal.setitimer(signal.ITIMER_REAL, 0.05)
bounded("It", 0.02, time.sleep, 0.2)
assert signal.getsignal(signal.SIGALRM) is mine
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=LONG)
    assert (done.returncode, done.stdout, done.stderr) == (0, "mine\n", "")


def test_a_process_ends_while_the_timer_goes() -> None:
    code = "from overture.plugin.cutoff import bounded; import time; bounded('It', 5, time.sleep, 0.03)"
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=LONG)
        assert (done.returncode, done.stderr) == (0, b"")


def test_the_timer_stops_when_nothing_is_to_be_watched() -> None:
    bounded("It", 5, time.sleep, 0)
    assert signal.getitimer(signal.ITIMER_REAL)[1] > 0
    block(1)
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_an_import_may_take_longer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "takes_long_to_load.py").write_text("import time; time.sleep(0.3); told = 'loaded'")
    monkeypatch.syspath_prepend(str(tmp_path))

    def imports() -> str:
        return import_module("takes_long_to_load").told

    assert bounded("It", 0.05, imports) == "loaded"


async def then_sleeps() -> None:
    await asyncio.sleep(0)
    block(LONG)


async def catches_and_waits() -> None:
    await asyncio.sleep(0)
    with contextlib.suppress(BaseException):
        block(LONG)
    await asyncio.sleep(LONG)


async def catches_for_ever() -> None:
    await asyncio.sleep(0)
    never_gives_up()


def is_not_asynchronous() -> Awaitable[None]:
    block(LONG)
    return asyncio.sleep(0)


@pytest.mark.parametrize("loop", [uvloop.new_event_loop, asyncio.new_event_loop])
@pytest.mark.parametrize("method", [then_sleeps, catches_and_waits, catches_for_ever, is_not_asynchronous])
def test_an_asynchronous_method_is_interrupted_between_two_awaits(loop: Any, method: Async) -> None:
    beats = 0

    async def beat() -> None:
        nonlocal beats
        while True:
            await asyncio.sleep(0)
            beats += 1

    async def run() -> None:
        beating = asyncio.create_task(beat())
        answer = await contained(method)
        before = beats
        await asyncio.sleep(0.01)
        beating.cancel()
        assert isinstance(answer, Raised)
        assert isinstance(answer.error, Blocked)
        assert beats > before

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(run())


async def test_waiting_is_no_blocking_however_long_and_what_comes_back_is_the_same() -> None:
    async def good(n: int) -> int:
        for _ in range(n):
            await asyncio.sleep(0.1)
        async with asyncio.timeout(5):
            return n + await asyncio.to_thread(lambda: 1)

    async def raises() -> None:
        await asyncio.sleep(0)
        raise KeyError("x")

    assert await contained(good, 6) == 7
    assert isinstance((await contained(raises)).error, KeyError)


async def test_a_cancellation_comes_through() -> None:
    seen: list[str] = []

    async def waits() -> None:
        try:
            await asyncio.sleep(LONG)
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            seen.append("cleaned up")
            raise

    task = asyncio.create_task(contained(waits))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == ["cleaned up"]


async def test_what_is_ours_may_take_its_time_though_a_plugin_waits_for_it() -> None:
    async def ours() -> bool:
        block(0.4)
        await asyncio.sleep(0)
        block(0.4)
        return inside()

    async def plugin() -> tuple[bool, bool]:
        return await unwatched(ours()), inside()

    assert await contained(plugin) == (False, True)


async def test_tasks_that_a_plugin_starts_are_watched_too_and_none_of_ours() -> None:
    loop = asyncio.get_running_loop()
    watch_tasks(loop)
    try:

        async def exits() -> None:
            await asyncio.sleep(0)
            sys.exit("now")

        async def plugin() -> list[Any]:
            return await asyncio.gather(
                asyncio.create_task(then_sleeps(), name="mine"), exits(), return_exceptions=True
            )

        blocked, left = await contained(plugin)
        assert isinstance(blocked, Blocked)
        assert (left.code, str(left.message)) == ("plugin.raised", "A task of a plugin raised SystemExit: now")

        async def ours() -> bool:
            block(0.4)
            return inside()

        assert await asyncio.create_task(ours()) is False
    finally:
        loop.set_task_factory(None)


async def test_one_call_that_blocks_opens_the_breaker_and_ends_the_others() -> None:
    guard = Guard(Limits(timeout=LONG, parallel=2, failures=99, pause=0.1))
    waiting = [asyncio.create_task(guard.call(asyncio.sleep, LONG))]
    await asyncio.sleep(0)
    blocking = asyncio.create_task(guard.call(then_sleeps))
    queued = asyncio.create_task(guard.call(then_sleeps))
    answer = await blocking
    assert isinstance(answer, Raised)
    assert isinstance(answer.error, Blocked)
    assert guard.breaker.state == "open"
    assert (guard.breaker.admit() or 0) > 50
    assert [type(each).__name__ for each in await asyncio.gather(queued, *waiting)] == ["Busy", Late.__name__]
    assert await guard.call(asyncio.sleep, 0, "closing goes on") == "closing goes on"
