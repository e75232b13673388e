"""`python -m bench.hostile.runaways`: plain facts beside scripts that never end, on a whole server.

The same load is put on a server alone, then while eight kinds of scripts run away (each kind asked once a second, by
another script each time, so that none is left alone for it), then alone again. Exit code 0: the p99 of plain facts is
at most twice what it is alone. What waits in line with a runaway is shown, too: a fact that is answered when it was
decided (``wait=true``) and shares its batch with one.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp
from rich.console import Console
from rich.table import Table

from bench.hostile.__main__ import every
from overture.testing import OvertureServer
from overture.testing.server import WRITE

FACTS, WAITING = 40.0, 5.0  # a second
RATIO = 2.0
SETTLE = 5.0  # seconds
COPIES = 24  # of each kind, in rulesets of `EACH` scripts
EACH = 48
KINDS = (
    "    while True:\n        pass",
    "    kept = []\n    while True:\n        kept.append('x' * 10000)",
    "    def deeper(n):\n        return deeper(n + 1)\n    try:\n        deeper(0)\n    except BaseException:\n"
    "        pass\n    while True:\n        pass",
    "    n = 3\n    while True:\n        n = n * n",
    "    return sum(1 for a in range(10 ** 12))",
    "    text = 'a'\n    while True:\n        text = text + text",
    "    while True:\n        try:\n            while True:\n                pass\n        except BaseException:\n"
    "            pass",
    "    return len(sorted([i * 7919 % 1000003 for i in range(10 ** 9)]))",
)
HEAD = "apiVersion: overture/v1\nkind: Ruleset\nname: {name}\n"
PLAIN = HEAD + 'facts: {{seen: {{n: int}}}}\nscores: {{seen: {{}}}}\nrules:\n  seen: {{when: fact.type == "seen", '
PLAIN += "then: [{{score: {{name: seen, add: 1}}}}]}}\n"


def documents() -> list[str]:
    """The runaways: script N is asked by facts of the type ``runN``."""
    made: list[str] = []
    for first in range(0, COPIES * len(KINDS), EACH):
        numbers = range(first, first + EACH)
        facts = ", ".join(f"run{n}: {{n: int}}" for n in numbers)
        scripts = "".join(
            f"  s{n}: |\n    def main(fact):\n"
            + "".join(f"    {line}\n" for line in KINDS[n % len(KINDS)].splitlines())
            for n in numbers
        )
        rules = "".join(
            f'  r{n}: {{when: fact.type == "run{n}", then: [{{score: {{name: away, by: s{n}}}}}]}}\n' for n in numbers
        )
        head = HEAD.format(name=f"away{first}")
        made.append(f"{head}facts: {{{facts}}}\nscores: {{away: {{}}}}\nscripts:\n{scripts}rules:\n{rules}")
    return made


class Load:
    def __init__(self, server: OvertureServer, http: aiohttp.ClientSession) -> None:
        self._server = server
        self._http = http
        self.plain: list[float] = []
        self.waiting: list[float] = []
        self.failed = 0

    async def run(self, seconds: float, *, runaways: bool) -> None:
        jobs = [every(FACTS, seconds, self._plain), every(WAITING, seconds, self._wait)]
        if runaways:
            jobs.append(every(float(len(KINDS)), seconds, self._away))
        await asyncio.gather(*jobs)

    async def _plain(self, n: int) -> None:
        await self._post("/v1/facts", "seen", n, self.plain)

    async def _wait(self, n: int) -> None:
        await self._post("/v1/facts?wait=true", "seen", n, self.waiting)

    async def _away(self, n: int) -> None:
        await self._post("/v1/facts", f"run{n % (COPIES * len(KINDS))}", n, [])

    async def _post(self, path: str, type: str, n: int, took: list[float]) -> None:
        began = time.perf_counter()
        body: Any = {"id": f"{type}:{began}", "type": type, "contact": f"c{n % 500}", "properties": {"n": n}}
        headers = {"Authorization": f"Bearer {WRITE}"}
        async with self._http.post(self._server.url + path, json=body, headers=headers) as answer:
            await answer.read()
            if answer.status != 200:
                self.failed += 1
            else:
                took.append((time.perf_counter() - began) * 1000)


async def phase(directory: Path, seconds: float, *, runaways: bool) -> Load:
    server = OvertureServer(directory, log_level="critical")
    await asyncio.to_thread(server.start)
    try:
        for document in (PLAIN.format(name="plain"), *(documents() if runaways else ())):
            await asyncio.to_thread(server.deploy, document)
        timeout, connector = aiohttp.ClientTimeout(total=60), aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(timeout=timeout, connector=connector) as http:
            await Load(server, http).run(SETTLE, runaways=runaways)
            load = Load(server, http)
            await load.run(seconds, runaways=runaways)
        return load
    finally:
        await asyncio.to_thread(server.stop)


def p(times: list[float], share: float) -> float:
    return sorted(times)[min(int(len(times) * share), len(times) - 1)]


async def main(seconds: float) -> int:
    with tempfile.TemporaryDirectory(prefix="ov-away-") as folder:
        before = await phase(Path(folder) / "0", seconds / 2, runaways=False)
        beside = await phase(Path(folder) / "1", seconds, runaways=True)
        after = await phase(Path(folder) / "2", seconds / 2, runaways=False)
    table = Table("", "n", "p50 ms", "p99 ms", "n", "p50 ms", "p99 ms", "ratio", title="alone · beside runaways")
    ratios: list[float] = []
    for name, mine, theirs in (
        ("plain facts", before.plain + after.plain, beside.plain),
        ("decided while waited for", before.waiting + after.waiting, beside.waiting),
    ):
        ratios.append(p(theirs, 0.99) / p(mine, 0.99))
        cells = [f"{len(t)} {p(t, 0.5):.1f} {p(t, 0.99):.1f}".split() for t in (mine, theirs)]
        table.add_row(name, *cells[0], *cells[1], f"{ratios[-1]:.2f}")
    console = Console()
    console.print(table)
    failed = before.failed + after.failed, beside.failed
    console.print(f"failed requests: {failed[0]} alone, {failed[1]} beside")
    return 0 if ratios[0] <= RATIO and not any(failed) else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    raise SystemExit(asyncio.run(main(parser.parse_args().seconds)))
