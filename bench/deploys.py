"""`python -m bench.deploys`: a ruleset is deployed 100 times under load and kills; no fact may see a mixture.

Every revision writes its own number in three places of one decision: two rules on the same fact, and a rule on what the
first derives. At the end the timelines are read: each decision must bear one number only, made by one revision, and the
numbers of a contact never go back. Exit code 0 if that holds for all.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from rich.console import Console
from rich.table import Table

from bench.chaos.bed import Bed
from bench.chaos.server import Server
from bench.chaos.store import Store

NAME = "marked"
CONTACTS = 400  # at a time
FACTS = 150  # of one contact: its timeline keeps 200, so others come after it
LATER = (429, 500, 502, 503, 504)
DOCUMENT = """\
apiVersion: overture/v1
kind: Ruleset
name: marked
facts:
  probe: {{n: int}}
  echo: {{by: string, mark: int}}
  echoed: {{by: string, mark: int}}
rules:
  one:
    when: fact.type == "probe"
    then: [{{assert: {{type: echo, properties: {{by: one, mark: {mark}}}}}}}]
  two:
    when: fact.type == "probe"
    then: [{{assert: {{type: echo, properties: {{by: two, mark: {mark}}}}}}}]
  chained:
    when: fact.type == "echo" and fact.by == "one"
    then: [{{assert: {{type: echoed, properties: {{by: chained, mark: {mark}}}}}}}]
"""


class Client:
    """Asks until it is answered: the server is being killed."""

    def __init__(self, http: aiohttp.ClientSession, bed: Bed) -> None:
        self._http = http
        self._bed = bed
        self.retries = 0

    async def ask(self, method: str, path: str, key: str, kind: str, body: bytes) -> Any:
        headers = {"Authorization": f"Bearer {key}", "Content-Type": kind}
        while True:
            try:
                async with self._http.request(method, self._bed.url + path, data=body, headers=headers) as response:
                    text = await response.text()
                    if response.status in (200, 201):
                        return msgspec.json.decode(text)
                    if response.status not in LATER:
                        raise SystemExit(f"{method} {path} answered {response.status}: {text[:300]}")
            except (aiohttp.ClientError, TimeoutError):
                pass
            self.retries += 1
            await asyncio.sleep(0.1)

    async def deploy(self, mark: int) -> None:
        key, body = self._bed.admin_key, DOCUMENT.format(mark=mark).encode()
        put = await self.ask("PUT", f"/v1/rulesets/{NAME}", key, "application/yaml", body)
        await self.ask(
            "POST", f"/v1/rulesets/{NAME}/revisions/{put['revision']}/activate", key, "application/json", b""
        )

    async def post(self, facts: list[dict[str, Any]]) -> None:
        body = b"\n".join(map(msgspec.json.encode, facts))
        await self.ask("POST", "/v1/facts", self._bed.write_key, "application/x-ndjson", body)


def contact_of(n: int) -> int:
    """Whom the n-th fact is about."""
    return n // (CONTACTS * FACTS) * CONTACTS + n % CONTACTS


async def load(client: Client, numbers: itertools.count[int], stop: asyncio.Event) -> None:
    """Small batches over all contacts, until ``stop``."""
    while not stop.is_set():
        batch = list(itertools.islice(numbers, 20))
        await client.post(
            [{"id": f"p{n}", "type": "probe", "contact": f"c{contact_of(n)}", "properties": {"n": n}} for n in batch]
        )
        await asyncio.sleep(0.02)


async def torment(bed: Bed, stop: asyncio.Event) -> None:
    for seed in itertools.count():
        if stop.is_set():
            return
        await bed.torment(3, seed)


async def verdict(http: aiohttp.ClientSession, bed: Bed, contacts: Iterable[int]) -> tuple[Counter[str], set[int]]:
    """What the timelines show, and the marks that were seen at all."""
    found: Counter[str] = Counter()
    marks: set[int] = set()
    headers = {"Authorization": f"Bearer {bed.admin_key}"}
    for n in contacts:
        last, cursor, entries = 0, "", list[dict[str, Any]]()
        while True:
            url = f"{bed.url}/v1/contacts/c{n}/timeline?limit=200{cursor}"
            async with http.get(url, headers=headers) as response:
                page = await response.json()
            entries += page["items"]
            if not page["next"]:
                break
            cursor = f"&cursor={page['next']}"
        for entry in reversed(entries):
            if entry["fact"]["type"] != "probe":
                continue
            found["decisions"] += 1
            derived = [effect["after"] for firing in entry["firings"] for effect in firing["effects"]]
            revisions = {firing["revision"] for firing in entry["firings"]}
            seen = {echo["mark"] for echo in derived}
            if sorted(echo["by"] for echo in derived) != ["chained", "one", "two"]:
                found["incomplete decisions"] += 1
            elif len(seen) != 1 or len(revisions) != 1:
                found["decisions by a mixture"] += 1
            elif max(seen) < last:
                found["decisions by an older revision than the one before"] += 1
            marks |= seen
            last = max(last, *seen) if seen else last
    return found, marks


async def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.deploys", description=__doc__)
    parser.add_argument("--deploys", type=int, default=100)
    parser.add_argument("--writers", type=int, default=4)
    options = parser.parse_args()
    console = Console(soft_wrap=True, highlight=False)
    folder = Path(tempfile.mkdtemp(prefix="deploys-"))
    bed = Bed(folder, Store(folder), lease_seconds=2.0, unsafe={"OVERTURE_RULESETS": ""})
    timeout = aiohttp.ClientTimeout(total=15)
    try:
        await bed.start(smtp_port=1)
        async with aiohttp.ClientSession(timeout=timeout) as http:
            client, server = Client(http, bed), Server(http, bed.url, bed.admin_key)
            starting = time.monotonic()
            await server.until_ready(30)
            bed.set_pace(time.monotonic() - starting)
            await client.deploy(1)
            stop = asyncio.Event()
            numbers = itertools.count()
            began = time.monotonic()
            busy = [asyncio.create_task(load(client, numbers, stop)) for _ in range(options.writers)]
            busy.append(asyncio.create_task(torment(bed, stop)))
            for mark in range(2, options.deploys + 1):
                await client.deploy(mark)
                await asyncio.sleep(0.1)
            stop.set()
            await asyncio.gather(*busy)
            seconds = time.monotonic() - began
            tending = asyncio.create_task(bed.tend())
            await server.until_ready(30)
            drained = await server.drained(120)
            posted = next(numbers)
            found, marks = await verdict(http, bed, sorted({contact_of(n) for n in range(posted)}))
            tending.cancel()
    finally:
        bed.stop()
    found["facts without a decision"] = max(0, posted - found["decisions"])
    told = Counter({"decisions": found.pop("decisions")})
    table = Table("what", "found", "allowed")
    for name, value in [
        ("deploys", options.deploys),
        ("seconds", round(seconds)),
        ("faults", sum(bed.faults.values())),
        ("requests asked again", client.retries),
        ("revisions that decided facts", len(marks)),
        *told.items(),
    ]:
        table.add_row(name, f"{value:,}", "")
    bad = ("incomplete decisions", "decisions by a mixture", "decisions by an older revision than the one before")
    for name in (*bad, "facts without a decision"):
        table.add_row(name, f"{found[name]:,}", "0")
    console.print(table)
    return 0 if drained and not any(found.values()) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
