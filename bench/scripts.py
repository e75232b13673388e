"""`python -m bench.scripts [--json]`: what a call of a script costs: a 10-line script over a contact of 2 KB.

Calls a second and core when they come in batches (one worker: its process, and what this process does for it, on the
clock), the latency of a single call when nothing else goes on, what a session and a worker process cost to begin, in
the jail and out of it.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable

import pydantic_monty as monty
from rich.console import Console

from overture.model.script import Call, Script
from overture.sandbox.lanes import Lanes, launcher

SOURCE = """\
def main(fact, contact):
    pages = contact["pages"]
    points = 0
    for page in pages:
        if page["seconds"] > 20:
            points += 3
    if contact["traits"]["plan"] == "free" and points > 10:
        points += 5
    level = "hot" if points > 20 else "cold"
    return {"score": {"fit": points}, "set": {"level": level}}
"""
DOCUMENTED = SOURCE.replace("    pages =", '    """Reads what\n    was seen."""\n    pages =')
CONTACT = {
    "id": "c_0123456789",
    "traits": {"plan": "free", **{f"trait_{n}": f"value {n}" for n in range(16)}},
    "pages": [{"url": f"https://example.com/pages/{n}", "seconds": n * 5} for n in range(26)],
}
GIVEN = json.dumps({"fact": {"type": "page.viewed", "id": "f_1", "seconds": 12}, "contact": CONTACT})


def call(n: int, source: str = SOURCE) -> Call:
    return Call(Script("bench", "fit", str(hash(source)), source), GIVEN, 1_735_689_600_000, f"f_{n}")


async def throughput(workers: int, source: str, total: int = 30_000, together: int = 512) -> dict[str, float]:
    """Calls a second, and the microseconds of computing a call costs here and in the worker."""
    with Lanes(workers) as lanes:
        await lanes.run([call(n, source) for n in range(2 * together)])
        here = _computed(resource.RUSAGE_SELF)
        began = time.perf_counter()
        for start in range(0, total, together):
            said = await lanes.run([call(start + n, source) for n in range(together)])
            assert not any(each.code for each in said)
        took = time.perf_counter() - began
        here = _computed(resource.RUSAGE_SELF) - here
    return {"calls_a_second": total / took, "host_us": here / total * 1e6}


async def idle(total: int = 400) -> dict[str, float]:
    with Lanes(2) as lanes:
        await lanes.run([call(n) for n in range(64)])
        took: list[float] = []
        for n in range(total):
            await asyncio.sleep(0.005)
            began = time.perf_counter()
            await lanes.run([call(n)])
            took.append((time.perf_counter() - began) * 1e3)
    took.sort()
    return {"p50_ms": statistics.median(took), "p99_ms": took[int(total * 0.99)]}


async def beside(runaways: int = 8, seconds: float = 5.0) -> dict[str, float]:
    """A good script while others never end and, what is worse than in earnest, are never left alone for it."""
    endless = "def main(fact, contact):\n    while True:\n        pass\n"
    with Lanes(2, strikes=1_000_000) as lanes:
        await lanes.run([call(n) for n in range(64)])
        running = [asyncio.create_task(_again(lanes, call(0, f"{endless}# {n}\n"))) for n in range(runaways)]
        late, took = [0.0], list[float]()
        watch = asyncio.create_task(_watch(late))
        until = time.perf_counter() + seconds
        while (began := time.perf_counter()) < until:
            await lanes.run([call(n) for n in range(16)])
            took.append((time.perf_counter() - began) * 1e3)
            await asyncio.sleep(0.01)
        for task in (watch, *running):
            task.cancel()
    took.sort()
    return {"p50_ms": statistics.median(took), "p99_ms": took[int(len(took) * 0.99)], "loop_late_ms": max(late) * 1e3}


async def _again(lanes: Lanes, what: Call) -> None:
    while True:
        await lanes.run([what])


async def _watch(late: list[float]) -> None:
    while True:
        began = time.perf_counter()
        await asyncio.sleep(0.002)
        late.append(time.perf_counter() - began - 0.002)


def beginnings(program: str | None, times: int = 15) -> dict[str, float]:
    """ms until a worker process has answered first; until a further session has, of a process that is there."""
    processes, sessions = [], []
    for _ in range(times):
        with monty.Monty(binary_path=program, max_processes=1) as pool:
            processes.append(_timed(lambda pool=pool: _first(pool)))
            sessions.append(_timed(lambda pool=pool: _first(pool)))
    return {"process_ms": statistics.median(processes), "session_ms": statistics.median(sessions)}


def feeds(program: str | None, total: int = 3000) -> float:
    """µs of a feed that does nothing: what the jail costs a call is the difference."""
    with monty.Monty(binary_path=program, max_processes=1) as pool, pool.checkout() as session:
        session.feed_run("1")
        return _timed(lambda: [session.feed_run("1") for _ in range(total)]) / total * 1e3


def cut_off() -> float:
    """ms until a script is cut off that may take 50."""
    endless = Script("bench", "endless", "endless", "def main():\n    while True:\n        pass\n")
    with Lanes(1, strikes=1000) as lanes:
        ms = [_timed(lambda n=n: lanes.run_now([Call(endless, "{}", 0, str(n))])) for n in range(6)]
    return statistics.median(ms[1:])  # the first is tried a second time, to be sure


def _first(pool: monty.Monty) -> None:
    with pool.checkout() as session:
        session.feed_run("1")


def _timed(what: Callable[[], object]) -> float:
    began = time.perf_counter()
    what()
    return (time.perf_counter() - began) * 1e3


def _computed(whose: int) -> float:
    used = resource.getrusage(whose)
    return used.ru_utime + used.ru_stime


async def main() -> None:
    jailed = str(launcher())
    found = {
        "one worker, batched": await throughput(1, SOURCE),
        "two workers, batched": await throughput(2, SOURCE),
        "one worker, batched, text over lines": await throughput(1, DOCUMENTED),
        "idle, single": await idle(),
        "16 calls, 8 runaways beside": await beside(),
        "in the jail": beginnings(jailed) | {"feed_us": feeds(jailed)},
        "without": beginnings(None) | {"feed_us": feeds(None)},
        "cut off at 50 ms": {"ms": cut_off()},
    }
    if "--json" in sys.argv:
        print(json.dumps(found, indent=1))
        return
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"{os.cpu_count()} cores, {len(GIVEN)} bytes given, load {os.getloadavg()[0]:.1f}")
    for name, figures in found.items():
        told = "  ".join(
            f"{key} {value:,.0f}" if value >= 100 else f"{key} {value:.2f}" for key, value in figures.items()
        )
        console.print(f"{name:40} {told}")


if __name__ == "__main__":
    asyncio.run(main())
