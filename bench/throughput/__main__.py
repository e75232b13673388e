"""`python -m bench.throughput`: rates side by side and as ratios, in one run; exit code 1 where a target is missed."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections import defaultdict
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from statistics import median

from rich.console import Console
from rich.table import Table

from bench.throughput import memory, step
from bench.throughput.servers import Target, floor, overture

WAIT = "/v1/facts?wait=true"
ECHO = "(a) aiohttp, nothing behind it"
APPEND = "(b) aiohttp + one durable append"
SINGLE = "(c) Overture, single POST, one process"
SINGLE_2 = "(c) Overture, single POST, two processes"
BATCH = "(d) Overture, NDJSON of 1,000"
BATCH_2 = "(d) Overture, NDJSON of 1,000, two processes"

WAITING = 256  # connections of the load that waits: enough that they are not what limits it

ROWS: dict[str, tuple[Callable[[], AbstractAsyncContextManager[Target]], dict[str, object]]] = {
    ECHO: (lambda: floor(append=False), {}),
    APPEND: (lambda: floor(append=True), {}),
    SINGLE: (lambda: overture(workers="1"), {}),
    SINGLE_2: (lambda: overture(workers="2"), {}),
    BATCH: (lambda: overture(workers="1"), {"batch": 1000, "connections": 4}),
    BATCH_2: (lambda: overture(workers="2"), {"batch": 1000, "connections": 4}),
}


async def rates(rounds: int, seconds: float, console: Console) -> tuple[dict[str, float], dict[str, float]]:
    """Facts/s accepted, and accepted and decided, by row: medians over rounds that take the rows in turn."""
    accepted: defaultdict[str, list[float]] = defaultdict(list)
    decided: defaultdict[str, list[float]] = defaultdict(list)
    for turn in range(rounds):
        for name, (start, options) in ROWS.items():
            async with start() as target:
                await target.load(seconds=1.0, **options)  # warm: code paths, connections, files
                result, until_decided = await target.load(seconds=seconds, **options)
            accepted[name].append(result.facts / result.seconds)
            decided[name].append(result.facts / until_decided)
            console.print(
                f"round {turn + 1} {name}: accepted {accepted[name][-1]:,.0f}/s, decided {decided[name][-1]:,.0f}/s, "
                f"p50 {result.p50:.1f} ms, p99 {result.p99:.1f} ms"
            )
    return {n: median(v) for n, v in accepted.items()}, {n: median(v) for n, v in decided.items()}


async def waiting(rounds: int, seconds: float) -> tuple[float, float, float]:
    """(requests/s, p50 ms, p99 ms) of ``?wait=true`` at half of what the server sustains of such requests."""
    async with overture(workers="1") as target:
        await target.load(seconds=1.0, path=WAIT)
        full = [(await target.load(seconds=seconds, path=WAIT))[0] for _ in range(rounds)]
        rate = median(result.requests / result.seconds for result in full) / 2
        half = [(await target.load(seconds=seconds, path=WAIT, rate=rate))[0] for _ in range(rounds)]
        return rate, median(result.p50 for result in half), median(result.p99 for result in half)


def verdicts(accepted: dict[str, float], decided: dict[str, float], p99: float) -> list[tuple[str, str, str, bool]]:
    """What was promised: name, measured, target, met."""
    echo = accepted[ECHO]
    ratios = [
        ("accept, single POST ÷ (a)", accepted[SINGLE] / echo, 0.9),
        ("decided, single POST, one process ÷ (a)", decided[SINGLE] / echo, 0.45),
        ("decided, single POST, two processes ÷ (a)", decided[SINGLE_2] / echo, 0.8),
        ("decided, NDJSON ÷ single POST, one process", decided[BATCH] / decided[SINGLE], 5.0),
    ]
    lines = [(name, f"{value:.2f}", f"≥ {target:g}", value >= target) for name, value, target in ratios]
    return [*lines, ("p99 of wait=true at half load", f"{p99:.1f} ms", "≤ 20 ms", p99 <= 20)]


async def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.throughput", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often each row is measured (medians are printed)")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of one measurement")
    options = parser.parse_args()
    console = Console(soft_wrap=True, highlight=False)
    accepted, decided = await rates(options.rounds, options.seconds, console)
    rate, p50, p99 = await waiting(options.rounds, options.seconds)
    console.print(_rates_table(accepted, decided))
    console.print(f"wait=true at half load, {rate:,.0f} requests/s: p50 {p50:.1f} ms, p99 {p99:.1f} ms")
    console.print(_step_table(options.seconds / 5))
    for line in await memory.lines():
        console.print(line)
    lines = verdicts(accepted, decided, p99)
    table = Table("target", "measured", "asked", "")
    for name, measured, asked, met in lines:
        table.add_row(name, measured, asked, "met" if met else "MISSED")
    console.print(table)
    return 0 if all(line[3] for line in lines) else 1


def _rates_table(accepted: dict[str, float], decided: dict[str, float]) -> Table:
    table = Table("facts/s (median)", "accepted", "÷ (a)", "decided", "÷ (a)")
    for name, rate in accepted.items():
        own = name not in (ECHO, APPEND)
        done = (f"{decided[name]:,.0f}", f"{decided[name] / accepted[ECHO]:.2f}") if own else ("", "")
        table.add_row(name, f"{rate:,.0f}", f"{rate / accepted[ECHO]:.2f}", *done)
    return table


def _step_table(seconds: float) -> Table:
    table = Table("(e) the pure step alone, facts/s", *(f"{size} rules" for size in step.SIZES))
    for kind in ("durable", "reference"):
        table.add_row(kind, *(f"{step.facts_per_second(kind, size, seconds):,.0f}" for size in step.SIZES))
    return table


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
