"""`python -m bench.timers`: a million contacts wait in a journey, on a store like the embedded one.

All of them come in as facts over HTTP, and are decided and committed by the server's own workers. Printed: the store's
memory for each, what it costs to find those who are due, and how late the due ones are decided: with nothing else to
do, while facts flow, and after the server was down when they were due. Exit code 0: nobody early, nobody twice, nobody
missed, and no later than promised: within a second when idle, within five of a start.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import mean
from typing import Any

import aiohttp
import msgspec
from redis.asyncio import Redis
from rich.console import Console
from rich.table import Table

from bench.chaos.server import Server
from bench.chaos.store import Store
from bench.throughput.servers import ADMIN_KEY, KEY, Target, fresh_store, overture
from overture.model import Contact, Trace
from overture.model.ids import partition_of
from overture.state import keys

PARTITIONS = 16
BATCH = 1_000  # facts of a request
DUE = 200  # contacts that are due at once, in one partition
SAMPLE = 300  # contacts whose keys are measured
BASELINE = 20_000  # contacts who wait for nothing
AHEAD = 8.0  # seconds until the first of a round is due
DOCUMENT = """\
apiVersion: overture/v1
kind: Ruleset
name: timers
facts: {joined: {wait: string, due: "datetime?"}, page_viewed: {path: string}}
scores: {over: {}, visits: {}}
rules:
  viewed: {when: fact.type == "page_viewed", then: [score: {name: visits, add: 1}]}
journeys:
  far:
    enter_when: fact.type == "joined" and fact.wait == "far"
    steps:
      - {id: wait, wait: {for: 30d}}
      - {id: over, score: {name: over, add: 1}}
  soon:
    enter_when: fact.type == "joined" and fact.wait == "soon"
    steps:
      - {id: wait, wait: {at: = journey.fact.due}}
      - {id: over, score: {name: over, add: 1}}
"""

_trace = msgspec.msgpack.Decoder(Trace)
_contact = msgspec.msgpack.Decoder(Contact)


@dataclass
class Late:
    """How late (s) those who were due have been decided, and what was wrong."""

    seconds: list[float] = field(default_factory=list[float])
    early: int = 0
    missed: int = 0
    twice: int = 0

    def at(self, share: float) -> float:
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else float("nan")


class Bench:
    """Everything on one store; the server comes and goes."""

    def __init__(self, store: Store, redis: Redis, console: Console) -> None:
        self.store = store
        self.redis = redis
        self.console = console

    async def deploy(self, target: Target) -> None:
        async with aiohttp.ClientSession() as http:
            server = Server(http, f"http://127.0.0.1:{target.port}", ADMIN_KEY)
            await server.until_ready(30)
            await server.deploy("timers", DOCUMENT)

    async def post(self, target: Target, facts: Iterable[dict[str, Any]], total: int) -> float:
        """Post facts, and wait until they are decided; answers the seconds it took."""
        began = time.monotonic()
        encode, left = msgspec.json.encode, iter(facts)
        headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/x-ndjson"}
        url = f"http://127.0.0.1:{target.port}/v1/facts"
        done = 0

        async def writer() -> None:
            nonlocal done
            while batch := list(itertools.islice(left, BATCH)):
                body = b"\n".join(map(encode, batch))
                async with http.post(url, data=body, headers=headers) as response:
                    answer = await response.text()
                    if response.status != 200 or msgspec.json.decode(answer)["accepted"] != len(batch):
                        raise SystemExit(f"POST /v1/facts answered {response.status}: {answer[:300]}")
                if (done := done + len(batch)) % 100_000 == 0 and total > 100_000:
                    self.console.print(f"  {done:,} of {total:,} accepted, {time.monotonic() - began:.0f} s")

        async with aiohttp.ClientSession() as http:
            await asyncio.gather(*(writer() for _ in range(4)))
        await target.until_decided(60 + total / 500)
        return time.monotonic() - began

    async def memory(self) -> int:
        return int((await self.redis.info("memory"))["used_memory"])

    async def sizes(self, ids: Sequence[str]) -> tuple[float, float]:
        """Mean bytes in memory of a contact's state and of its timeline."""
        states, lines = list[int](), list[int]()
        for id in ids:
            p = partition_of(id, PARTITIONS)
            states.append(await self.redis.memory_usage(keys.contact(p, id), samples=0) or 0)
            lines.append(await self.redis.memory_usage(keys.timeline(p, id), samples=0) or 0)
        return mean(states), mean(lines)

    async def index(self) -> float:
        """Bytes in memory of one entry in the lists of who is due when."""
        sizes = [await self.redis.memory_usage(keys.due(p), samples=0) or 0 for p in range(PARTITIONS)]
        counts = [await self.redis.zcard(keys.due(p)) for p in range(PARTITIONS)]
        return sum(sizes) / sum(counts)

    async def claim(self, rounds: int) -> tuple[float, float]:
        """µs for finding those who are due in a partition where `DUE` are: in the store, and there and back."""
        edges: list[int] = []
        for p in range(PARTITIONS):
            (_, score), *_ = await self.redis.zrange(keys.due(p), DUE - 1, DUE - 1, withscores=True)
            edges.append(int(score))
        await self.redis.config_resetstat()
        took: list[float] = []
        for n in range(rounds):
            p = n % PARTITIONS
            began = time.perf_counter()
            found = await self.redis.execute_command(
                "ZRANGE", keys.due(p), "-inf", edges[p], "BYSCORE", "LIMIT", 0, DUE, "WITHSCORES"
            )
            took.append(time.perf_counter() - began)
            assert len(found) >= DUE
        inside = (await self.redis.info("commandstats"))["cmdstat_zrange"]["usec_per_call"]
        return float(inside), 1e6 * sorted(took)[len(took) // 2]

    async def late(self, dues: dict[str, int]) -> Late:
        """Read in the timelines when those who were due were decided."""
        late = Late()
        for id, due in dues.items():
            p = partition_of(id, PARTITIONS)
            blob = await self.redis.get(keys.contact(p, id))
            traces = [_trace.decode(line) for line in await self.redis.lrange(keys.timeline(p, id), 0, -1)]
            over = [t for t in traces for f in t.firings for e in f.effects if e.kind == "score"]
            assert blob is not None
            late.missed += not over
            late.twice += len(over) > 1 or _contact.decode(blob).scores.get("over", 0) > 1
            for trace in over[:1]:
                late.early += trace.at < due or trace.fact.instant != due
                late.seconds.append((trace.at - due) / 1000)
        return late


def soon(name: str, count: int, first: float, seconds: float) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """Facts of contacts who wait, evenly from an instant (s) on, and when each is due, ms."""
    dues = {f"{name}-{n}": int((first + seconds * n / count) * 1000) for n in range(count)}
    return [joined(id, "soon", due=due) for id, due in dues.items()], dues


def joined(id: str, wait: str, **more: Any) -> dict[str, Any]:
    return {"type": "joined", "contact": {"user_id": id}, "properties": {"wait": wait, **more}}


Line = tuple[str, str, str, bool]
"""What, found, asked, met."""


async def kept(bench: Bench, target: Target, n: int, claims: int) -> list[Line]:
    """Let ``n`` contacts wait, and see what that costs."""
    begin = await bench.memory()
    await bench.post(target, (joined(f"none-{i}", "none") for i in range(BASELINE)), BASELINE)
    plain = (await bench.memory() - begin) / BASELINE
    await bench.post(target, (joined(f"first-{i}", "far") for i in range(BASELINE)), BASELINE)
    few = await bench.claim(claims)
    before = await bench.memory()
    took = await bench.post(target, (joined(f"far-{i}", "far") for i in range(n)), n)
    each = (await bench.memory() - before) / n
    state, line = await bench.sizes([f"far-{i * (n // SAMPLE)}" for i in range(SAMPLE)])
    state_plain, line_plain = await bench.sizes([f"none-{i}" for i in range(SAMPLE)])
    index, many = await bench.index(), await bench.claim(claims)
    found = [
        ("waiting contacts, by facts over HTTP", f"{n:,} in {took:.0f} s, {n / took:,.0f}/s"),
        ("memory of one, all that is kept of it", f"{each:,.0f} B (one that waits for nothing: {plain:,.0f} B)"),
        ("… in the list of who is due when", f"{index:.0f} B"),
        ("… in its state", f"{state:.0f} B, {state - state_plain:+.0f} B by the wait"),
        ("… in its timeline", f"{line:.0f} B, {line - line_plain:+.0f} B by the wait"),
        (f"finding {DUE} due among {n:,}", f"{many[0]:.0f} µs in the store, {many[1]:.0f} µs there and back"),
        (f"… among {BASELINE:,}", f"{few[0]:.0f} µs, {few[1]:.0f} µs; the former is × {many[0] / few[0]:.2f}"),
    ]
    return [(name, value, "", True) for name, value in found]


def told(name: str, late: Late) -> list[Line]:
    bad = late.early + late.missed + late.twice
    figures = f"p50 {late.at(0.5):.2f} s, p99 {late.at(0.99):.2f} s, last {late.at(1):.2f} s"
    wrong = f"{late.early}, {late.missed}, {late.twice} of {len(late.seconds):,}"
    return [(f"late, {name}", figures, "", True), ("… of them early, missed, twice", wrong, "0, 0, 0", not bad)]


async def measure(bench: Bench, options: argparse.Namespace) -> list[Line]:
    settings = {"rulesets": "", "workers": "2", "partitions": str(PARTITIONS)}
    due, seconds = options.due, options.seconds
    async with overture(bench.store, **settings) as target:
        await bench.deploy(target)
        lines = await kept(bench, target, options.timers, options.claims)
        facts, dues = soon("idle", due, time.time() + AHEAD, seconds)
        await bench.post(target, facts, 0)
        await asyncio.sleep(AHEAD + seconds + 3)
        late = await bench.late(dues)
        lines += told(f"idle, {due / seconds:,.0f} due a second", late)
        lines.append(("… p99 when idle", f"{late.at(0.99):.2f} s", "≤ 1 s", late.at(0.99) <= 1))
        facts, dues = soon("busy", due, time.time() + AHEAD, seconds)
        await bench.post(target, facts, 0)
        result, _ = await target.load(seconds=AHEAD + seconds, rate=options.rate)
        await asyncio.sleep(3)
        lines += told(f"while {result.requests / result.seconds:,.0f} facts/s flow", await bench.late(dues))
        facts, dues = soon("down", due, time.time() + AHEAD, 1)
        await bench.post(target, facts, 0)
    await asyncio.sleep(AHEAD)
    started = time.time()
    async with overture(bench.store, **settings) as target:
        await asyncio.sleep(5)
        await target.until_decided()
        late = await bench.late(dues)
    after = max((at / 1000 + s for at, s in zip(dues.values(), late.seconds, strict=False)), default=0.0) - started
    lines += told("down when they were due", late)
    lines.append(("… the last of them after the process was started", f"{after:.1f} s", "≤ 5 s", after <= 5))
    over = sum([await bench.redis.zcard(keys.score(p, "over")) for p in range(PARTITIONS)])
    return [*lines, ("waits over, of all", f"{over:,}", f"{3 * due:,}", over == 3 * due)]


async def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.timers", description=__doc__)
    parser.add_argument("--timers", type=int, default=1_000_000, help="contacts who wait for long")
    parser.add_argument("--due", type=int, default=4_000, help="contacts who are due in each round")
    parser.add_argument("--seconds", type=float, default=20.0, help="over which they are due")
    parser.add_argument("--rate", type=float, default=300.0, help="facts a second meanwhile")
    parser.add_argument("--claims", type=int, default=2_000, help="how often finding the due ones is measured")
    options = parser.parse_args()
    console = Console(soft_wrap=True, highlight=False, markup=False, width=120)
    async with fresh_store() as store, Redis.from_url(store.url) as redis:
        lines = await measure(Bench(store, redis, console), options)
    table = Table("what", "found", "asked", "")
    for name, found, asked, met in lines:
        table.add_row(name, found, asked, "" if not asked else "met" if met else "MISSED")
    console.print(table)
    return 0 if all(line[3] for line in lines) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
