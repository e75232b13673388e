"""`python -m bench.imports`: a million rows into a real server, by an importer that is killed in the middle.

A row says what was bought; every thousandth is wrong. What each contact must have follows from its number. Printed:
rows per second from the first start to the last answer, and the peak memory of the importer. Exit code 0: exact.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
from rich.console import Console

from bench.throughput.servers import ADMIN_KEY, KEY, Target, overture
from overture.model.environ import without_settings

CONTACTS = 1000
WRONG = 1000  # of so many rows one
DOCUMENT = """\
apiVersion: overture/v1
kind: Ruleset
name: imported
facts: {bought: {total: number}}
scores: {spent: {}, bought: {}}
rules:
  bought:
    when: fact.type == "bought"
    then: [{score: {name: spent, add: =fact.total}}, {score: {name: bought, add: 1}}]
"""
MAPPING = """\
contact: {user_id: user, email: email}
facts:
  - type: bought
    properties: {total: {column: total, type: number}, note: note}
    occurred_at: {column: day, format: "%d.%m.%Y %H:%M", zone: Europe/Vienna}
"""


def write(file: Path, rows: int) -> None:
    with file.open("w") as out:
        out.write("user;email;total;day;note\n")
        for n in range(rows):
            user, total = n % CONTACTS, "much" if n % WRONG == 7 else n % 10
            out.write(
                f'u{user};u{user}@example.org;{total};{1 + n % 28:02}.02.2025 12:{n % 60:02};"a ""note""\nof {n}"\n'
            )


def expected(rows: int, user: int) -> dict[str, float]:
    mine = [n % 10 for n in range(user, rows, CONTACTS) if n % WRONG != 7]
    found = {"bought": len(mine), "spent": sum(mine)}
    return {name: value for name, value in found.items() if value}


def started(file: Path, target: Target) -> int:
    """An importer; its pid."""
    mapping = str(file.parent / "mapping.yaml")
    command = [sys.executable, "-m", "overture.cli", "import", str(file), "--mapping", mapping, "--json"]
    url = f"http://127.0.0.1:{target.port}"
    env = {**without_settings(), "OVERTURE_WRITE_KEY": KEY}
    actions = [
        (os.POSIX_SPAWN_OPEN, 1, str(file.parent / "summary.json"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    ]
    return os.posix_spawn(sys.executable, [*command, "--url", url], env, file_actions=actions)


def ended(pid: int) -> tuple[int, int]:
    """Its exit code, and its peak memory in KiB."""
    _, status, usage = os.wait4(pid, 0)
    return os.waitstatus_to_exitcode(status), usage.ru_maxrss


async def reached(place: Path, line: int) -> None:
    def at() -> int:
        return json.loads(place.read_bytes())["line"] if place.exists() else 0

    while at() < line:
        await asyncio.sleep(0.02)


async def scores(target: Target, user: int, http: aiohttp.ClientSession) -> dict[str, float]:
    async with http.get(f"http://127.0.0.1:{target.port}/v1/contacts/u{user}") as response:
        return (await response.json()).get("scores", {})


async def deploy(target: Target, http: aiohttp.ClientSession) -> None:
    url = f"http://127.0.0.1:{target.port}/v1/rulesets/imported"
    async with http.put(url, data=DOCUMENT, raise_for_status=True) as response:
        revision = (await response.json())["revision"]
    async with http.post(f"{url}/revisions/{revision}/activate", raise_for_status=True):
        pass


async def bench(rows: int, say: Callable[[str], Any]) -> bool:
    headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
    with tempfile.TemporaryDirectory(prefix="overture-bench-") as folder:
        file = Path(folder) / "rows.csv"
        write(file, rows)
        (file.parent / "mapping.yaml").write_text(MAPPING)
        say(f"{rows:,} rows, {file.stat().st_size / 2**20:,.0f} MiB")
        async with overture(rulesets="") as target, aiohttp.ClientSession(headers=headers) as http:
            await deploy(target, http)
            began = time.monotonic()
            first = started(file, target)
            await reached(file.parent / "rows.csv.import" / "place.json", rows)  # a row has two lines: the middle
            os.kill(first, signal.SIGKILL)
            killed, peak = ended(first)
            say(f"killed after {time.monotonic() - began:.1f} s")
            code, later = await asyncio.to_thread(ended, started(file, target))
            seconds = time.monotonic() - began
            await target.until_decided(seconds=3600)
            told = json.loads((file.parent / "summary.json").read_bytes())
            wrong = [u for u in range(CONTACTS) if await scores(target, u, http) != expected(rows, u)]
    bad = len(range(7, rows, WRONG))
    say(f"{told['rows']:,} rows, {told['accepted'] + told['duplicates']:,} facts, {told['refused']:,} refused")
    say(f"{rows / seconds:,.0f} rows/s, both starts included; all decided after {time.monotonic() - began:.1f} s")
    say(f"peak memory of the importer {max(peak, later) / 1024:.0f} MiB")
    say(f"{len(wrong)} of {CONTACTS} contacts are not as they must be")
    counts = (told["rows"], told["accepted"] + told["duplicates"], told["refused"])
    return not wrong and killed == -signal.SIGKILL and code == 1 and counts == (rows, rows - bad, bad)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.imports", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    options = parser.parse_args()
    exact = asyncio.run(bench(options.rows, Console(soft_wrap=True, highlight=False).print))
    print("exact" if exact else "NOT EXACT")
    return 0 if exact else 1


if __name__ == "__main__":
    sys.exit(main())
