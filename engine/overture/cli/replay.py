"""`overture replay`: post a recorded data set over HTTP, as any app would, and say what came of it."""

from __future__ import annotations

import asyncio
import importlib
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import quote
from zlib import crc32

import aiohttp
import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from overture.cli.posting import Poster, session
from overture.model import Refused

DATASETS = {"completejourney": "overture_sources.completejourney"}
READERS = 8  # contacts read back at a time


@dataclass
class Outcome:
    """What a replay did; ``issued`` and ``segments`` count the codes and memberships that the server then tells."""

    facts: int = 0
    accepted: int = 0
    duplicates: int = 0
    rejected: Counter[str] = field(default_factory=Counter[str])  # "code: message" -> facts
    contacts: int = 0
    accept_seconds: float = 0.0
    decide_seconds: float = 0.0
    issued: Counter[str] = field(default_factory=Counter[str])
    segments: Counter[str] = field(default_factory=Counter[str])
    unread: str = ""  # why `issued` and `segments` are empty


def replay(
    dataset: str,
    url: str,
    key: str,
    *,
    deliver: bool = False,
    limit: int | None = None,
    batch: int = 1000,
    connections: int = 2,
    admin_key: str = "",
    console: Console | None = None,
) -> Outcome:
    """Post the facts of ``dataset`` to the server at ``url``, wait until all are decided, print and answer the figures.

    ``key`` is a write key; ``admin_key`` is needed to read the contacts back. Without ``deliver`` the facts are
    backfill: state changes, nothing is sent. A contact's facts keep their order. Facts carry ids, so running this
    again, or retrying after a lost connection, doubles nothing.

    Raises `Refused` (unknown data set, extra missing, key refused) and `OvertureError` (``client.no_answer``).
    """
    if dataset not in DATASETS:
        raise Refused("replay.unknown_dataset", f"There is no data set {dataset!r}.", f"Known: {', '.join(DATASETS)}.")
    console = console or Console()
    console.print(f"Reading {dataset} …")
    outcome = Outcome()
    contacts: set[str] = set()
    lanes: list[list[bytes]] = [[] for _ in range(connections)]
    for fact in importlib.import_module(DATASETS[dataset]).facts(limit):
        contacts.add(fact["contact"])
        # A lane has one request in flight and a contact has one lane: that keeps the order of its facts.
        lanes[crc32(fact["contact"].encode()) % connections].append(msgspec.json.encode(fact))
    outcome.facts = sum(map(len, lanes))
    outcome.contacts = len(contacts)
    asyncio.run(_run(lanes, contacts, url.rstrip("/"), key, admin_key, deliver, batch, outcome, console))
    _report(outcome, console)
    return outcome


async def _run(
    lanes: list[list[bytes]],
    contacts: set[str],
    url: str,
    key: str,
    admin_key: str,
    deliver: bool,
    batch: int,
    outcome: Outcome,
    console: Console,
) -> None:
    began = time.monotonic()
    async with session() as http:
        poster = Poster(http, url, key, deliver=deliver)
        with Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        ) as bar:
            task = bar.add_task("posting", total=outcome.facts)
            told = began

            def posted(facts: int) -> None:
                nonlocal told
                bar.advance(task, facts)
                if not console.is_terminal and time.monotonic() - told >= 5:
                    told = time.monotonic()
                    console.print(f"  {outcome.accepted + outcome.duplicates:,} of {outcome.facts:,} posted")

            await asyncio.gather(*(_post_lane(poster, lane, batch, outcome, posted) for lane in lanes))
        outcome.accept_seconds = time.monotonic() - began
        await poster.until_decided()
        outcome.decide_seconds = time.monotonic() - began
        await _read_back(http, url, admin_key, contacts, outcome)


async def _post_lane(
    poster: Poster, lines: list[bytes], batch: int, outcome: Outcome, posted: Callable[[int], None]
) -> None:
    for start in range(0, len(lines), batch):
        part = lines[start : start + batch]
        answer = await poster.post(part)
        outcome.accepted += answer["accepted"]
        outcome.duplicates += answer["duplicates"]
        outcome.rejected.update(f"{one['code']}: {one['message']}" for one in answer["rejected"])
        posted(len(part))


async def _read_back(
    http: aiohttp.ClientSession, url: str, admin_key: str, contacts: set[str], outcome: Outcome
) -> None:
    waiting = iter(sorted(contacts))

    async def reader() -> None:
        for contact in waiting:
            headers = {"Authorization": f"Bearer {admin_key}"}
            async with http.get(f"{url}/v1/contacts/{quote(contact, safe='')}", headers=headers) as response:
                if response.status != 200:
                    outcome.unread = f"{response.status} for {contact}: {(await response.text())[:200]}"
                    return
                state = await response.json()
                outcome.issued.update(one["kind"] for one in state["issued"])
                outcome.segments.update(state["segments"])

    if admin_key:
        await asyncio.gather(*(reader() for _ in range(READERS)))
    else:
        outcome.unread = "no admin key was given"


def _report(outcome: Outcome, console: Console) -> None:
    taken = outcome.accepted + outcome.duplicates
    console.print(
        f"{outcome.facts:,} facts of {outcome.contacts:,} contacts: {outcome.accepted:,} accepted, "
        f"{outcome.duplicates:,} duplicates, {outcome.rejected.total():,} rejected"
    )
    for reason, facts in outcome.rejected.most_common(10):
        console.print(f"  rejected {facts:,} × {reason}")
    console.print(
        f"accepted {taken / outcome.accept_seconds:,.0f} facts/s ({outcome.accept_seconds:.1f} s), "
        f"decided {taken / outcome.decide_seconds:,.0f} facts/s ({outcome.decide_seconds:.1f} s)"
    )
    if outcome.unread:
        console.print(f"The contacts were not read back: {outcome.unread}.")
        return
    for title, counts in (("issued", outcome.issued), ("in segment", outcome.segments)):
        for name, contacts in sorted(counts.items()):
            console.print(f"  {title} {name}: {contacts:,}")
