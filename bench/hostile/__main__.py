"""`python -m bench.hostile`: plugins that raise, hang, block, leak, lie and flood beside good ones.

The same load is put on a server without them, then on one with all of them, then without again: facts over HTTP, a good
source, messages through a good channel. Meanwhile every hostile thing is called a few times a second. Exit code 0: the
p99 of each of the three is at most twice what it is without them, every breaker opened in time, and every hostile
plugin is seen in ``GET /v1/plugins``. Plugins that everything must pass (identity, redactors, delivery gates) are not
among those that are called: where they fail nothing passes, which is what they are for.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from rich.console import Console
from rich.table import Table

from bench.hostile.plugins import DEEDS, FLOODS, install_good, install_hostile
from overture.testing import OvertureServer
from overture.testing.server import ADMIN, WRITE

FACTS, SOURCE, MESSAGES, POKES = (
    40.0,
    10.0,
    10.0,
    2.0,
)  # a second; a poke asks every hostile channel, function and scorer
CALLS, FLOODED = 5.0, 0.2  # requests a second to each hostile source; to the one that makes 2,000 facts of each
RATIO = 2.0
OPEN = 5.0  # seconds after the first failure
FIRST = 10.0  # seconds in which everything that blocks does so for the first time
PARTS = 10  # of the time, told one by one
SETTLE = 5.0  # seconds before anything is measured: a server that was just started is slower
MEASURES = ("facts over HTTP", "good source", "message through a good channel")
RULES = """\
apiVersion: overture/v1
kind: Ruleset
name: bed
requires: {{channels: [{channels}]}}
facts: {{seen: {{n: int}}, came: {{n: int}}, asked: {{n: int}}, poked: {{n: int}}, flooded: {{i: int}}}}
scores: {{seen: {{}}{scores}}}
rules:
  seen: {{when: fact.type == "seen", then: [{{score: {{name: seen, add: 1}}}}]}}
  asked: {{when: fact.type == "asked", then: [{{send: {{channel: good, template: t, purpose: transactional}}}}]}}
{rules}
templates: {{t: {{text: Hello}}}}
"""
HOSTILE = """\
  {kind}_sends:
    when: fact.type == "poked"
    then: [{{send: {{channel: {kind}, template: t, purpose: transactional}}}}]
  {kind}_asked: {{when: fact.type == "poked" and {kind}(fact.n), then: [{{score: {{name: seen, add: 1}}}}]}}
  {kind}_scored: {{when: fact.type == "poked", then: [{{score: {{name: {kind}, by: {kind}}}}}]}}
"""
_OPENED = ("open", "half-open", "stuck")


def rules(deeds: Sequence[str]) -> str:
    kinds = [deed for deed in deeds if deed != FLOODS]
    return RULES.format(
        channels=", ".join(("good", *kinds)),
        scores="".join(f", {kind}: {{}}" for kind in kinds),
        rules="".join(HOSTILE.format(kind=kind) for kind in kinds),
    )


@dataclass
class Measured:
    """When each began (seconds after the first) and how long it took, by what it was; ``failed``: how many had another
    answer, or none.
    """

    began: float = field(default_factory=time.perf_counter)
    took: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: {name: [] for name in MEASURES})
    failed: int = 0

    def add(self, name: str, began: float) -> None:
        self.took[name].append((began - self.began, time.perf_counter() - began))

    def p(self, name: str, share: float, after: float = 0, before: float = float("inf")) -> float:
        times = sorted(took for began, took in self.took[name] if after <= began < before)
        return times[min(int(len(times) * share), len(times) - 1)] * 1000 if times else float("nan")


class Receiver:
    """Where the good channel delivers to; knows when each was asked for."""

    def __init__(self) -> None:
        self.asked: dict[int, float] = {}
        self.measured = Measured()
        self.port = 0

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post("/", self._take)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.port = runner.addresses[0][1]

    async def _take(self, request: web.Request) -> web.Response:
        n = (await request.json())["fact"]
        if (at := self.asked.pop(n, None)) is not None:
            self.measured.add(MEASURES[2], at)
        return web.Response()


@dataclass
class Watch:
    """When each hostile thing failed first, and when its breaker was first seen open (seconds since the start)."""

    failed: dict[str, float] = field(default_factory=dict)
    opened: dict[str, float] = field(default_factory=dict)
    last: list[Any] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)

    def look(self, plugins: list[Any], at: float) -> None:
        self.last = plugins
        for plugin in plugins:
            for offer in plugin["offers"]:
                for name, state in offer["open"].items():
                    key = f"{offer['kind']} {name}"
                    if offer.get("trouble", {}).get(name, {}).get("failures", 0) or state.startswith("failed"):
                        self.failed.setdefault(key, at)
                    if state in _OPENED or state.startswith("failed"):
                        self.opened.setdefault(key, at)


async def every(rate: float, seconds: float, do: Callable[[int], Awaitable[None]]) -> None:
    """So many a second, at random instants, whether the ones before have ended or not. At steady intervals all kinds
    that are sent would come at the same instants, and wait for each other.
    """
    loop, tasks, began = asyncio.get_running_loop(), set[asyncio.Task[None]](), time.perf_counter()
    n, due = 0, random.expovariate(rate)
    while due < seconds:
        await asyncio.sleep(max(0.0, began + due - time.perf_counter()))
        task = loop.create_task(do(n))  # type: ignore[arg-type]
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        n, due = n + 1, due + random.expovariate(rate)
    if tasks:
        await asyncio.wait(tasks, timeout=30)
        for task in tasks:
            task.cancel()


class Load:
    """What apps and peers do to one server."""

    def __init__(self, server: OvertureServer, receiver: Receiver, http: aiohttp.ClientSession, first: int) -> None:
        self._server = server
        self._receiver = receiver
        self._http = http
        self._first = first
        self.measured = receiver.measured = Measured()

    async def run(self, seconds: float, deeds: Sequence[str], watch: Watch) -> None:
        """Warm up, then measure for so many seconds."""
        await self._good(SETTLE)
        self.measured = self._receiver.measured = Measured()
        self._first += 1_000_000
        jobs = [self._good(seconds), self._watch(seconds, watch if deeds else Watch())]
        if deeds:
            jobs.append(every(POKES, seconds, self._poke))
            jobs += [every(CALLS if deed != FLOODS else FLOODED, seconds, self._call(deed)) for deed in deeds]
        await asyncio.gather(*jobs)

    async def _good(self, seconds: float) -> None:
        await asyncio.gather(
            every(FACTS, seconds, self._fact),
            every(SOURCE, seconds, self._source),
            every(MESSAGES, seconds, self._message),
        )

    async def _fact(self, n: int) -> None:
        await self._post(MEASURES[0], "/v1/facts", self._body("seen", n))

    async def _source(self, n: int) -> None:
        await self._post(MEASURES[1], "/in/good", {"n": self._first + n})

    async def _message(self, n: int) -> None:
        self._receiver.asked[self._first + n] = time.perf_counter()
        await self._post("", "/v1/facts", self._body("asked", n))

    async def _poke(self, n: int) -> None:
        await self._post("", "/v1/facts", self._body("poked", n))

    def _call(self, kind: str) -> Callable[[int], Awaitable[None]]:
        async def call(n: int) -> None:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                await self._send(f"/in/{kind}", {"n": n})

        return call

    def _body(self, type: str, n: int) -> Any:
        n += self._first
        return {"id": f"{type}{n}", "type": type, "contact": f"{type[0]}{n % 500}", "properties": {"n": n}}

    async def _post(self, name: str, path: str, body: Any) -> None:
        began = time.perf_counter()
        try:
            status = await self._send(path, body)
        except (aiohttp.ClientError, TimeoutError):
            status = 0
        if status != 200:
            self.measured.failed += 1
        elif name:
            self.measured.add(name, began)

    async def _send(self, path: str, body: Any) -> int:
        headers = {"Authorization": f"Bearer {WRITE}"}
        async with self._http.post(self._server.url + path, json=body, headers=headers) as answer:
            await answer.read()
            return answer.status

    async def _watch(self, seconds: float, watch: Watch) -> None:
        began = time.perf_counter()
        while (at := time.perf_counter() - began) < seconds:
            try:
                headers = {"Authorization": f"Bearer {ADMIN}"}
                async with self._http.get(f"{self._server.url}/v1/plugins", headers=headers) as answer:
                    watch.look(await answer.json(), at)
                async with self._http.get(f"{self._server.url}/readyz") as answer:
                    await answer.read()
            except (aiohttp.ClientError, TimeoutError):
                pass
            watch.memory.append(_memory(self._server))
            await asyncio.sleep(0.5)


def _memory(server: OvertureServer) -> int:
    """MB of the server's process."""
    assert server.pid
    text = Path(f"/proc/{server.pid}/statm").read_text()
    return int(text.split()[1]) * os.sysconf("SC_PAGE_SIZE") // 2**20


async def phase(
    directory: Path, receiver: Receiver, seconds: float, deeds: Sequence[str], watch: Watch, first: int
) -> Measured:
    sources = {f"{deed}_pull": {} for deed in deeds}
    plugins = directory / "plugins"
    plugins.mkdir(parents=True)
    install_good(plugins)
    if deeds:
        install_hostile(plugins, deeds)
    server = OvertureServer(
        directory,
        channels={"good": {"url": f"http://127.0.0.1:{receiver.port}/"}},
        sources=sources,
        environ={"PYTHONPATH": os.pathsep.join(filter(None, (str(plugins), os.environ.get("PYTHONPATH", ""))))},
        log_level="critical",
    )
    await asyncio.to_thread(server.start)
    try:
        await asyncio.to_thread(server.deploy, rules(deeds))
        timeout, connector = aiohttp.ClientTimeout(total=30), aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(timeout=timeout, connector=connector) as http:
            load = Load(server, receiver, http, first)
            await load.run(seconds, deeds, watch)
        return load.measured
    finally:
        began = time.perf_counter()
        await asyncio.to_thread(server.stop)
        Console(stderr=True).print(f"stopped in {time.perf_counter() - began:.1f} s", style="dim")


def together(parts: list[Measured]) -> Measured:
    whole = Measured()
    for part in parts:
        whole.failed += part.failed
        for name, times in part.took.items():
            whole.took[name] += times
    return whole


def by_time(beside: Measured) -> Table:
    """Does it grow worse?"""
    end = max((began for times in beside.took.values() for began, _ in times), default=0.0) + 1e-9
    table = Table("from s", *MEASURES, title="p99 ms beside hostile plugins, as time passes")
    for n in range(PARTS):
        start, until = end * n / PARTS, end * (n + 1) / PARTS
        table.add_row(f"{start:.0f}", *(f"{beside.p(name, 0.99, start, until):.1f}" for name in MEASURES))
    return table


def report(console: Console, without: Measured, beside: Measured, watch: Watch, deeds: Sequence[str]) -> bool:
    table = Table(
        "",
        "n",
        "p50 ms",
        "p99 ms",
        "n",
        "p50 ms",
        "p99 ms",
        "ratio",
        f"p99 after {FIRST:g} s",
        title="without · beside hostile plugins",
    )
    good = True
    for name in MEASURES:
        ratio = beside.p(name, 0.99) / without.p(name, 0.99)
        good &= ratio <= RATIO
        cells = [f"{len(m.took[name])} {m.p(name, 0.5):.1f} {m.p(name, 0.99):.1f}".split() for m in (without, beside)]
        table.add_row(name, *cells[0], *cells[1], f"{ratio:.2f}", f"{beside.p(name, 0.99, FIRST):.1f}")
    console.print(table)
    console.print(by_time(beside))
    console.print(f"failed requests of others: {without.failed} without, {beside.failed} beside")
    states = Table(
        "hostile", "what", "state", "failures", "open after first failure", "what is wrong", title="GET /v1/plugins"
    )
    seen: set[str] = set()
    for plugin in watch.last:
        if not plugin["distribution"].startswith("ov-") or plugin["name"] == "good":
            continue
        seen.add(plugin["name"])
        if plugin["state"] != "active":
            states.add_row(plugin["name"], "", plugin["state"], "", "", plugin["error"][:60])
        for offer in plugin["offers"]:
            for name, state in offer["open"].items():
                key, trouble = f"{offer['kind']} {name}", offer.get("trouble", {}).get(name, {})
                took = watch.opened[key] - watch.failed.get(key, watch.opened[key]) if key in watch.opened else None
                good &= took is None or took <= OPEN
                told = "" if took is None else f"{took:.1f} s"
                states.add_row(
                    plugin["name"],
                    key,
                    state[:12],
                    str(trouble.get("failures", "")),
                    told,
                    trouble.get("last", "")[:60],
                )
    console.print(states)
    expected = 2 + 2 * 11 + len(deeds)
    console.print(f"hostile plugins seen: {len(seen)} of {expected}")
    never = sorted(key for key in watch.failed if key not in watch.opened)
    console.print(f"failed and never open: {', '.join(never) or 'none'}")
    console.print(f"memory of the server: {watch.memory[0]} MB at first, {watch.memory[-1]} MB at the end")
    return good and len(seen) == expected and not never and not beside.failed


async def run(seconds: float, deeds: Sequence[str], console: Console) -> bool:
    receiver, watch = Receiver(), Watch()
    await receiver.start()
    with tempfile.TemporaryDirectory(prefix="ov-hostile-") as folder:
        shares = (((), seconds / 4), (deeds, seconds), ((), seconds / 4))
        parts: list[Measured] = []
        for n, (these, share) in enumerate(shares):
            console.print(f"{'beside hostile plugins' if these else 'without'}: {share:.0f} s", style="dim")
            parts.append(await phase(Path(folder) / str(n), receiver, share, these, watch, n * 10_000_000))
    return report(console, together([parts[0], parts[2]]), parts[1], watch, deeds)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--deeds", nargs="+", choices=DEEDS, default=DEEDS, help="only these")
    told = parser.parse_args()
    return 0 if asyncio.run(run(told.seconds, told.deeds, Console(width=180))) else 1


if __name__ == "__main__":
    sys.exit(main())
