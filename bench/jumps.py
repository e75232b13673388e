"""`python -m bench.jumps`: the wall clock of a live server is put two hours ahead and a day back, while contacts wait.

Server and store run under libfaketime, a package of the system (``apt-get install libfaketime``), so that all their
processes see the clock jump, each within a second of its own. In between the server is killed and started again. Exit
code 0: nobody's wait is over early or twice, all who are due after a jump ahead are decided within seconds, a clock
that is a day behind stops nobody who comes then. 2: there is no libfaketime.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import aiohttp
import msgspec
from redis.asyncio import Redis
from rich.console import Console
from rich.table import Table

from bench.chaos.server import Server
from bench.throughput.servers import ADMIN_KEY, KEY, free_port
from overture.model import Contact, Trace
from overture.model.environ import without_settings
from overture.model.ids import partition_of
from overture.state import keys
from overture.state.embedded import EmbeddedStore

PARTITIONS = 16
HOUR, DAY = 3600, 86400
SHORT = 3  # seconds
SLACK = 2.0  # seconds by which the processes may see a jump later than it is made
PROMPT = 5.0  # seconds in which those who are due must be decided, beside that
DOCUMENT = f"""\
apiVersion: overture/v1
kind: Ruleset
name: jumps
facts: {{came: {{wait: string, n: int}}}}
scores: {{over: {{}}}}
journeys:
  short:
    enter_when: fact.type == "came" and fact.wait == "short"
    key: fact.n
    steps: [{{id: wait, wait: {{for: {SHORT}s}}}}, {{id: over, score: {{name: over, add: 1}}}}]
  hours:
    enter_when: fact.type == "came" and fact.wait == "hours"
    key: fact.n
    steps: [{{id: wait, wait: {{for: 2h}}}}, {{id: over, score: {{name: over, add: 1}}}}]
  day:
    enter_when: fact.type == "came" and fact.wait == "day"
    key: fact.n
    steps: [{{id: wait, wait: {{for: 24h}}}}, {{id: over, score: {{name: over, add: 1}}}}]
"""
SECONDS = {"short": SHORT, "hours": 2 * HOUR, "day": DAY}

_trace = msgspec.msgpack.Decoder(Trace)
_contact = msgspec.msgpack.Decoder(Contact)


class Live:
    """The server, under a clock that can be put."""

    def __init__(self, folder: Path, library: Path) -> None:
        self.ahead = 0  # seconds by which its clock is ahead of ours
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._offset = folder / "faketime"
        self.put(0)
        self._folder = folder
        self._env = {
            **without_settings(),
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self._offset),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
            "OVERTURE_DATA_DIR": str(folder / "data"),
            "OVERTURE_PORT": str(self.port),
            "OVERTURE_ADMIN_KEY": ADMIN_KEY,
            "OVERTURE_WRITE_KEY": KEY,
            "OVERTURE_PARTITIONS": str(PARTITIONS),
            "OVERTURE_RULESETS": "",
        }
        self._log = (folder / "server.log").open("ab")
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "overture.cli", "serve"]
        self._process = subprocess.Popen(command, env=self._env, cwd=self._folder, stdout=self._log, stderr=self._log)

    def put(self, seconds: int) -> None:
        """Put its clock so far ahead of ours."""
        new = self._offset.with_suffix(".new")
        new.write_text(f"{seconds:+d}s\n")
        os.replace(new, self._offset)
        self.ahead = seconds

    def now(self) -> float:
        return time.time() + self.ahead

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def restart(self) -> None:
        self.kill()
        self.start()

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Jumps:
    """Contacts who come and wait, in groups of one size, and what is seen of them."""

    def __init__(self, live: Live, server: Server, redis: Redis, http: aiohttp.ClientSession, size: int) -> None:
        self.live = live
        self.server = server
        self.redis = redis
        self.http = http
        self.size = size
        self.waits = 0
        self.wrong: Counter[str] = Counter()
        self.examples: list[str] = []
        self.lines: list[tuple[str, str]] = []
        self._due: dict[tuple[str, str], int] = {}  # contact and wait -> when it is over, by the contact's state

    async def come(self, group: str, wait: str) -> None:
        """Contacts come, for the first time or again, and wait."""
        self.waits += 1
        ids = [f"{group}-{n}" for n in range(self.size)]
        came = [
            {"type": "came", "contact": {"user_id": id}, "properties": {"wait": wait, "n": self.waits}} for id in ids
        ]
        headers = {"Authorization": f"Bearer {KEY}"}
        clocks = [await self._clock(id) for id in ids]
        now = self.live.now()
        async with self.http.post(f"{self.live.url}/v1/facts?wait=true", json=came, headers=headers) as response:
            if response.status != 200:
                raise SystemExit(f"POST /v1/facts answered {response.status}: {await response.text()}")
        for id, clock in zip(ids, clocks, strict=True):
            (position,) = [p for p in (await self._state(id)).journeys if p.value == self.waits]
            self._due[id, f"jumps/{wait}:{self.waits}"] = position.due
            # Their clocks never go back, whatever the wall's does.
            off = abs(position.due / 1000 - max(now, clock) - SECONDS[wait])
            self._note("due at another time than asked for", off > SLACK, f"{id}: {off:.1f} s")

    async def until_over(self, what: str, count: int) -> None:
        """Wait until so many waits are over in all."""
        began = time.monotonic()
        while (found := await self._over()) < count and time.monotonic() - began < 30:
            await asyncio.sleep(0.05)
        seconds = time.monotonic() - began
        self._note("not over in time", found < count or seconds > PROMPT + SLACK, f"{what}: {found} in {seconds:.1f} s")
        self.lines.append((what, f"{found:,} waits over after {seconds:.1f} s"))

    async def nobody(self, what: str, seconds: float) -> None:
        """See that nobody's wait ends for so long."""
        before = await self._over()
        await asyncio.sleep(seconds)
        found = await self._over() - before
        self._note("over at the wrong time", found > 0, f"{what}: {found}")
        self.lines.append((what, f"{found} waits over in {seconds:.0f} s"))

    async def judge(self) -> None:
        """Everybody's timeline: each wait over once, at its instant, and not before the server's clock showed that."""
        for id in sorted({id for id, _ in self._due}):
            p = partition_of(id, PARTITIONS)
            ends: Counter[str] = Counter()
            for line in await self.redis.lrange(keys.timeline(p, id), 0, -1):
                trace = _trace.decode(line)
                for effect in (e for f in trace.firings for e in f.effects if e.kind == "journey"):
                    if effect.before == "wait":
                        key = f"{effect.name}:{effect.key}"
                        ends[key] += 1
                        due = self._due[id, key]
                        self._note("early", trace.at < due or trace.fact.instant < due, f"{id} {key}")
                        self._note("not as of its instant", trace.fact.instant != due, f"{id} {key}")
            for key in [key for other, key in self._due if other == id]:
                self._note("missed", not ends[key], f"{id} {key}")
                self._note("double", ends[key] > 1, f"{id} {key}")

    async def _over(self) -> int:
        """How many waits are over: the sum of a score, whose rankings have the best first, below 0."""
        ranked = [await self.redis.zrange(keys.score(p, "over"), 0, -1, withscores=True) for p in range(PARTITIONS)]
        return -int(sum(place for places in ranked for _, place in places))

    async def _clock(self, id: str) -> float:
        """The contact's own, in s; 0 where it is not known yet."""
        blob = await self.redis.get(keys.contact(partition_of(id, PARTITIONS), id))
        return _contact.decode(blob).clock / 1000 if blob else 0.0

    async def _state(self, id: str) -> Contact:
        blob = await self.redis.get(keys.contact(partition_of(id, PARTITIONS), id))
        if blob is None:
            raise SystemExit(f"SHORT: {id}: nobody decides what was accepted; so far: {self.lines}")
        return _contact.decode(blob)

    def _note(self, what: str, wrong: bool, example: str) -> None:
        self.wrong[what] += wrong
        if wrong:
            self.examples.append(f"{what}: {example}")


async def run(jumps: Jumps) -> None:
    live, n = jumps.live, jumps.size
    await jumps.come("a", "short")
    await jumps.come("b", "hours")
    await jumps.come("c", "day")
    await asyncio.sleep(SHORT)
    await jumps.until_over("3 s after they came", n)
    await jumps.nobody("nothing due", 3)
    live.put(2 * HOUR)
    await jumps.until_over("two hours ahead", 2 * n)
    await jumps.come("d", "short")
    await jumps.come("e", "hours")
    await asyncio.sleep(SHORT)
    await jumps.until_over("who came then", 3 * n)
    live.put(2 * HOUR - DAY)
    await asyncio.sleep(SLACK)
    await jumps.nobody("a day back", 3)
    await jumps.come("f", "short")
    await jumps.come("d", "short")
    await asyncio.sleep(SHORT)
    await jumps.until_over("who came then, for the first time", 4 * n)
    live.restart()
    await jumps.server.until_ready(60)
    await jumps.come("g", "short")
    await asyncio.sleep(SHORT)
    await jumps.until_over("killed and started, a day back", 5 * n)
    await jumps.nobody("who waits for the day that was", 3)
    live.put(2 * HOUR)
    await jumps.until_over("a day ahead again", 6 * n)
    live.restart()
    live.put(28 * HOUR)
    await jumps.server.until_ready(60)
    await jumps.until_over("26 hours ahead, while it is killed and started", 8 * n)
    await asyncio.sleep(SLACK)  # by then the store knows until when it holds its partitions
    live.kill()
    live.put(4 * HOUR)
    await asyncio.sleep(SLACK)
    live.start()
    await jumps.server.until_ready(60)
    await jumps.come("h", "short")
    await asyncio.sleep(SHORT)
    await jumps.until_over("killed, then a day back, then started", 9 * n)
    await jumps.nobody("everybody is through", 3)
    await jumps.judge()


async def jump(live: Live, folder: Path, size: int) -> Jumps:
    timeout = aiohttp.ClientTimeout(total=30)
    async with (
        aiohttp.ClientSession(timeout=timeout) as http,
        Redis.from_url(EmbeddedStore(folder / "data").url) as redis,
    ):
        server = Server(http, live.url, ADMIN_KEY)
        await server.until_ready(60)
        await server.deploy("jumps", DOCUMENT)
        jumps = Jumps(live, server, redis, http, size)
        await run(jumps)
        return jumps


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.jumps", description=__doc__)
    parser.add_argument("--contacts", type=int, default=200, help="in each of the groups")
    options = parser.parse_args()
    console = Console(soft_wrap=True, highlight=False, markup=False, width=120)
    library = next(Path("/usr/lib").glob("**/faketime/libfaketimeMT.so.1"), None)
    if library is None:
        console.print("BLOCKED: there is no libfaketime on this machine: apt-get install libfaketime")
        return 2
    folder = Path(tempfile.mkdtemp(prefix="jumps-"))
    live = Live(folder, library)
    try:
        jumps = asyncio.run(jump(live, folder, options.contacts))
    finally:
        live.stop()
    table = Table("what", "found")
    for line in jumps.lines:
        table.add_row(*line)
    for what, count in jumps.wrong.items():
        table.add_row(what, f"{count:,} (allowed: 0)")
    console.print(table)
    for example in jumps.examples[:10]:
        console.print(example)
    if jumps.examples:
        console.print(f"The server's log is in {folder}.")
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
