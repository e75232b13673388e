"""Threads that plugins ask for are their own: bounded, waited for by nobody else, and not by the end of the process."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator, Callable
from functools import partial
from typing import Any

import pytest

from overture.model.errors import PluginFailed
from overture.plugin.cutoff import bounded
from overture.plugin.guard import Guard, Late, Limits, contained
from overture.plugin.steps import unwatched, watch_tasks
from overture.plugin.threads import Executor, Threads

LONG = 60.0  # seconds: a test that waits for what hangs fails by that


@pytest.fixture
async def let_go() -> AsyncGenerator[threading.Event]:
    """The loop as a server has it; set at the end of the test, so that what hangs in threads need not hang for ever."""
    loop = asyncio.get_running_loop()
    loop.set_default_executor(Executor())
    watch_tasks(loop)
    event = threading.Event()
    yield event
    event.set()
    loop.set_task_factory(None)


def name() -> str:
    return threading.current_thread().name


async def waits(event: threading.Event) -> Any:
    return await asyncio.to_thread(event.wait, LONG)


async def test_who_hangs_in_threads_stops_itself_and_nobody_else(let_go: threading.Event) -> None:
    hanging, other = Guard(Limits(timeout=0.5, parallel=100)), Guard(Limits(timeout=LONG))
    calls = [asyncio.create_task(hanging.call(waits, let_go)) for _ in range(100)]
    await asyncio.sleep(0.1)
    assert await other.call(asyncio.to_thread, name) == "overture-plugin"
    assert await asyncio.to_thread(name) == "overture"
    assert [type(each) for each in await asyncio.gather(*calls)] == [Late] * 100
    assert isinstance(await hanging.call(asyncio.to_thread, name), Late), "all its threads are taken"
    let_go.set()
    assert await hanging.call(asyncio.to_thread, name) == "overture-plugin", "and free again"


async def test_what_a_plugin_starts_asks_for_its_threads_too(let_go: threading.Event) -> None:
    loop = asyncio.get_running_loop()

    async def in_a_task() -> str:
        return await asyncio.create_task(asyncio.to_thread(name))

    async def called_back() -> str:
        asked: asyncio.Future[str] = loop.create_future()

        async def ask() -> None:
            asked.set_result(await loop.run_in_executor(None, name))

        def in_the_thread() -> None:
            loop.call_soon_threadsafe(asyncio.ensure_future, ask())

        await loop.run_in_executor(None, in_the_thread)
        return await asked

    for method in (in_a_task, called_back):
        assert await Guard().call(method) == "overture-plugin"
        assert await contained(method) == "overture-plugin", "also where it is not known whose it is"


async def test_what_is_begun_by_code_that_answers_at_once_is_not_the_servers(let_go: threading.Event) -> None:
    def opened() -> asyncio.Task[str]:
        return asyncio.get_running_loop().create_task(asyncio.to_thread(name))

    assert await bounded("It", 1.0, opened) == "overture-plugin"


async def test_what_is_ours_has_our_threads_though_a_plugin_waits_for_it(let_go: threading.Event) -> None:
    async def ours() -> tuple[str, str]:
        return await asyncio.to_thread(name), await asyncio.create_task(asyncio.to_thread(name))

    async def plugin() -> tuple[tuple[str, str], str]:
        return await unwatched(ours()), await asyncio.to_thread(name)

    assert await Guard().call(plugin) == (("overture", "overture"), "overture-plugin")


async def test_the_loop_closes_without_waiting_for_a_plugin(let_go: threading.Event) -> None:
    assert isinstance(await Guard(Limits(timeout=0.1)).call(waits, let_go), Late)
    begun = threading.Event()
    ended: list[bool] = []

    def own() -> None:
        begun.set()
        ended.append(let_go.wait(0.2))

    work = asyncio.get_running_loop().run_in_executor(None, own)
    await asyncio.to_thread(begun.wait, LONG)
    await asyncio.get_running_loop().shutdown_default_executor()
    assert ended == [False], "what is ours got to its end"
    await work


def test_the_threads_are_bounded_and_reused() -> None:
    threads, event = Threads(most=2), threading.Event()
    hanging = [threads.submit(event.wait) for _ in range(2)]
    waiting = threads.submit(threading.get_ident)
    assert not waiting.done()
    event.set()
    assert all(each.result(LONG) for each in hanging)
    assert len({waiting.result(LONG), *(threads.submit(threading.get_ident).result(LONG) for _ in range(20))}) <= 2
    threads.close(LONG)


def test_what_waits_and_is_cancelled_is_dropped_and_makes_room() -> None:
    threads, event = Threads(most=1, waiting=2), threading.Event()
    done: list[str] = []
    hanging = threads.submit(event.wait)
    while not hanging.running():
        pass
    waiting = [threads.submit(partial(done.append, each)) for each in ("first", "second")]
    with pytest.raises(PluginFailed, match=r"All 1 threads of the plugin are taken, and 2 calls wait for one\."):
        threads.submit(event.wait)
    assert waiting[0].cancel()
    third = threads.submit(partial(done.append, "third"))
    event.set()
    third.result(LONG)
    assert done == ["second", "third"]


@pytest.mark.parametrize("error", [KeyError("no"), SystemExit(3), StopIteration()])
def test_what_is_raised_in_a_thread_comes_out_and_the_thread_goes_on(error: BaseException) -> None:
    def raises() -> None:
        raise error

    threads = Threads(most=1)
    assert threads.submit(raises).exception(LONG) is error
    assert threads.submit(name).result(LONG) == "overture-plugin"


def test_once_closed_nothing_is_begun_and_what_was_taken_is_done() -> None:
    threads, event = Threads(most=1), threading.Event()
    taken = [threads.submit(event.wait), threads.submit(name)]
    threads.close(0.0)
    with pytest.raises(RuntimeError, match="The server has stopped"):
        threads.submit(name)
    event.set()
    assert taken[1].result(LONG) == "overture-plugin"
    threads.close(LONG)


def _hangs(how: str) -> Callable[[], subprocess.CompletedProcess[str]]:
    program = f"""
import asyncio, threading, time
from concurrent.futures import ThreadPoolExecutor
from overture.plugin.guard import Guard, Limits
from overture.plugin.threads import Executor, leave

async def main():
    asyncio.get_running_loop().set_default_executor(Executor())
    print(type(await Guard(Limits(timeout=0.2)).call(plugin)).__name__, flush=True)

async def plugin():
    {how}

asyncio.run(main())
leave(0)
"""
    return partial(
        subprocess.run, [sys.executable, "-c", program], capture_output=True, text=True, timeout=LONG, check=False
    )


@pytest.mark.parametrize(
    "how",
    [
        "await asyncio.to_thread(time.sleep, 600)",
        "await asyncio.get_running_loop().run_in_executor(ThreadPoolExecutor(), time.sleep, 600)",
        "threading.Thread(target=time.sleep, args=(600,)).start(); await asyncio.sleep(600)",
    ],
)
def test_the_process_ends_whatever_hangs_in_threads(how: str) -> None:
    ended = _hangs(how)()
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "Late\n", "")


async def test_an_error_of_a_full_pool_ends_the_call(let_go: threading.Event) -> None:
    async def floods() -> None:
        loop = asyncio.get_running_loop()
        for _ in range(2000):
            loop.run_in_executor(None, let_go.wait, LONG)

    answer = await Guard().call(floods)
    assert isinstance(answer.error, PluginFailed)
    assert answer.error.code == "plugin.raised"
    assert await asyncio.to_thread(name) == "overture"
