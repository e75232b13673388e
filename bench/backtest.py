"""How fast a backtest replays a year of purchases, next to the live path on the same facts: `python -m bench.backtest`.

Live: `overture replay` into a server until everything is decided and committed. Backtest: the same facts, each decided
twice and compared, by the process that a server starts for it; by the seconds that it computes, and those on the wall.
Exit code 1 where a core does not replay 20,000 facts a second with the scoring ruleset alone.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from statistics import median

import aiohttp
import msgspec
from rich.console import Console
from rich.table import Table

from bench.throughput.servers import ADMIN_KEY, KEY, Target, overture
from overture.backtest.job import Job
from overture.backtest.run import Spec
from overture.cli.replay import replay
from overture.rules import load

PARTITIONS = 16
TARGET = 20_000  # facts per second of one core

SCORING = Path(__file__).with_name("regulars.yaml").read_text()  # the tests have the same
CANDIDATE = SCORING.replace("fact.total >= 60", "fact.total >= 40").replace("points >= 150", "points >= 120")


@dataclass
class Rates:
    """Facts per second."""

    live: float
    wall: list[float]
    core: list[float]
    changed: int = 0


async def measure(rounds: int, **settings: str) -> Rates:
    """A server of its own with the scoring ruleset active, beside what the settings make active."""
    with tempfile.TemporaryDirectory(prefix="overture-bench-") as folder:
        async with overture(data_dir=folder, **settings) as target:
            version = await _deploy(target)
            quiet = Console(file=StringIO())
            url = f"http://127.0.0.1:{target.port}"
            posted = await asyncio.to_thread(replay, "completejourney", url, KEY, admin_key=ADMIN_KEY, console=quiet)
            rates = Rates(posted.facts / posted.decide_seconds, [], [])
            for n in range(rounds):
                job = Job(Path(folder) / "backtests" / f"bt-{n:08x}")
                job.directory.mkdir(parents=True)
                archive = str(Path(folder) / "archive")
                spec = Spec(str(job.directory), target.store_url, archive, PARTITIONS, version, {"regulars": CANDIDATE})
                wall, core = await asyncio.to_thread(_run, spec)
                summary = job.summary()
                if summary is None:
                    raise SystemExit(f"The backtest failed: {job.failure()}")
                facts = summary["facts"]["compared"]
                rates.wall.append(facts / wall)
                rates.core.append(facts / core)
                rates.changed = summary["contacts"]["changed"]
            return rates


async def _deploy(target: Target) -> int:
    headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
    address = f"http://127.0.0.1:{target.port}/v1/rulesets/regulars"
    async with aiohttp.ClientSession(headers=headers, raise_for_status=True) as http:
        async with http.put(address, data=SCORING):
            pass
        async with http.post(f"{address}/revisions/{load(SCORING).revision}/activate") as response:
            return (await response.json())["version"]


def _run(spec: Spec) -> tuple[float, float]:
    """Seconds on the wall and of computing, from the start of the process to its end."""
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "overture.backtest"], stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(msgspec.json.encode(spec) + b"\n")
    process.stdin.flush()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stdin.close()
    return time.perf_counter() - began, used.ru_utime + used.ru_stime


async def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.backtest", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="backtests of each row (medians are printed)")
    options = parser.parse_args()
    rows = {
        "the scoring ruleset alone": await measure(options.rounds, rulesets=""),
        "beside the shipped rulesets": await measure(options.rounds),
    }
    table = Table("facts/s", "live, decided", "backtest, one core", "backtest, on the wall", "÷ live")
    for name, rates in rows.items():
        core, wall = median(rates.core), median(rates.wall)
        table.add_row(name, f"{rates.live:,.0f}", f"{core:,.0f}", f"{wall:,.0f}", f"{core / rates.live:.1f}")
    console = Console(soft_wrap=True, highlight=False)
    console.print(table)
    alone = rows["the scoring ruleset alone"]
    met = median(alone.core) >= TARGET
    verdict = "met" if met else "MISSED"
    console.print(f"{alone.changed:,} contacts differ. Asked: {TARGET:,} facts/s on one core: {verdict}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
