"""After the drain: everything that the server says of itself, held against the ledger and the receivers."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.chaos.ledger import Ledger
from bench.chaos.receivers import Receivers
from bench.chaos.server import Server

Confirmations = dict[str, list[int]]  # message id -> when its hand-off was confirmed, ms, each time

READERS = 16
STATES = ("queued", "sending", "retrying", "sent", "dropped", "dead")


@dataclass
class Finding:
    """One figure of the table. ``limit``: the most that passes, None for what is told only.

    ``damage``: what being over the limit means: ``lost``, ``doubled``, ``order``, ``resent``.
    """

    name: str
    value: int
    limit: int | None = 0
    example: str = ""
    damage: str = ""

    @property
    def short(self) -> bool:
        return self.limit is not None and self.value > self.limit


def _finding(name: str, cases: list[str], damage: str = "") -> Finding:
    return Finding(name, len(cases), example=cases[0] if cases else "", damage=damage)


def _number(fact_id: str) -> tuple[str, int]:
    """(contact, n) of a fact id, also of one that a client without ids made up for a retry."""
    _, contact, n = fact_id.split(".")[0].split("-")
    return contact, int(n)


async def facts(server: Server, ledger: Ledger, confirmations: Confirmations) -> list[Finding]:
    """Lost, doubled and out of order, by score, by what the rules noticed, and by the timelines.

    Fills ``confirmations`` with the ``message.sent`` facts of the timelines on the way.
    """
    lost = doubled = inversions = gaps = optional = codes = 0
    examples: dict[str, str] = {}
    disorder: list[str] = []
    contacts = iter(sorted(ledger.sent))

    async def reader() -> None:
        nonlocal lost, doubled, inversions, gaps, optional, codes
        for contact in contacts:
            acknowledged, sent = ledger.acknowledged[contact], ledger.sent[contact]
            state = await server.contact(contact)
            scores = state["scores"] if state else {}
            seen = int(scores.get("seen", 0))
            if seen < len(acknowledged):
                lost += len(acknowledged) - seen
                examples.setdefault("lost", f"{contact}: {len(acknowledged)} acknowledged, {seen} counted")
            elif seen > len(sent):
                doubled += seen - len(sent)
                examples.setdefault("doubled", f"{contact}: {len(sent)} sent, {seen} counted")
            optional += max(0, min(seen, len(sent)) - len(acknowledged))
            inversions += int(scores.get("inversions", 0))
            gaps += int(scores.get("gaps", 0))
            if acknowledged and state:
                codes += len(state["issued"]) != 1
                if state["traits"].get("last_n") != max(acknowledged) and len(acknowledged) == len(sent):
                    disorder.append(f"{contact}: the last fact decided is {state['traits'].get('last_n')}")
            timeline = await server.timeline(contact)
            disorder.extend(_timeline(contact, timeline, len(acknowledged)))
            for fact in timeline:
                if fact["type"] == "message.sent":
                    at = _milliseconds(fact["occurred_at"])
                    confirmations.setdefault(fact["properties"]["message"], []).append(at)

    await asyncio.gather(*(reader() for _ in range(READERS)))
    return [
        Finding("accepted facts", ledger.total(), None),
        Finding("… of them lost", lost, example=examples.get("lost", ""), damage="lost"),
        Finding("… doubled in effect", doubled, example=examples.get("doubled", ""), damage="doubled"),
        Finding("out of order or repeated, noticed by the rules", inversions, damage="order"),
        Finding("decided before their predecessor, noticed by the rules", gaps, damage="order"),
        _finding("out of order, missing or repeated in the timelines", disorder, "order"),
        Finding("contacts without exactly one code", codes, damage="doubled"),
        Finding("repeats of acknowledged facts taken again", ledger.taken_twice, damage="doubled"),
        Finding("decisions waited for", ledger.waited, None),
        _finding("… that show another count than their fact leads to", ledger.wrong_decisions, "order"),
        Finding("… that were not there in time, or belonged to a repeat (may)", ledger.undecided, None),
        Finding("facts never acknowledged that took effect (may)", optional, None),
    ]


def _timeline(contact: str, facts: list[dict[str, Any]], acknowledged: int) -> list[str]:
    """What is wrong with the order of a contact's ticks, oldest first."""
    numbers = [int(fact["properties"]["n"]) for fact in facts if fact["type"] == "tick"]
    wrong = [f"{contact}: {a} then {b}" for a, b in pairwise(numbers) if b != a + 1]
    if acknowledged and not numbers:
        wrong.append(f"{contact}: an empty timeline")
    return wrong


async def messages(server: Server, ledger: Ledger, receivers: Receivers, confirmations: Confirmations) -> list[Finding]:
    """Unsent, sent twice, sent again after the confirmation, sent for nothing."""
    outbox = [message for state in STATES for message in await server.messages(state)]
    sent = {m["fact"]: m for m in outbox if m["state"] == "sent"}
    dead = {m["fact"] for m in outbox if m["state"] == "dead"}
    per_fact = Counter(m["fact"] for m in outbox)
    expected = [id for id in ledger.messages if ledger.is_acknowledged(id)]
    arrivals: dict[str, list[float]] = {}
    keys_of: dict[str, set[str]] = {}
    for key, received in receivers.arrivals.items():
        for fact, at in received:
            arrivals.setdefault(fact, []).append(at)
            keys_of.setdefault(fact, set()).add(key)
    again: list[str] = []
    unexplained: list[str] = []
    for fact, m in sent.items():
        first = min(confirmations.get(m["id"], [_milliseconds(m["updated_at"])]))
        later = [at - first for at in arrivals.get(fact, []) if int(at) > first]
        again.extend(f"{m['id']}: {late:.0f} ms after its confirmation" for late in later)
        if len(arrivals.get(fact, [])) > 1 + m["ambiguous"]:
            unexplained.append(f"{m['id']}: {len(arrivals[fact])} times, ambiguous {m['ambiguous']}")
    return [
        Finding("messages that rules decided to send", len(expected), None),
        _finding("… without exactly one record in the outbox", [f for f in expected if per_fact[f] != 1], "doubled"),
        _finding("… not sent", [f for f in expected if f not in sent and f not in receivers.refused], "lost"),
        Finding("… refused for good", len(receivers.refused), None),
        _finding("… … but not given up", [f for f in expected if f in receivers.refused and f not in dead]),
        _finding("… said to be sent, but never received", [f for f in sent if f not in arrivals], "lost"),
        _finding("… confirmed more than once", [m for m, at in confirmations.items() if len(at) > 1], "resent"),
        _finding("… handed over again after the confirmation", again, "resent"),
        _finding("… received more often than the server's record of ambiguity says", unexplained, "resent"),
        _finding("for facts that were never sent", [f for f in per_fact if not _known(f, ledger)]),
        _finding("more than one idempotency key for one message", [f for f, keys in keys_of.items() if len(keys) > 1]),
        Finding("hand-offs received", sum(map(len, arrivals.values())), None),
        Finding("… of them repeats (may: before the confirmation)", sum(len(at) - 1 for at in arrivals.values()), None),
        Finding("hand-offs that the server counts as ambiguous", sum(m["ambiguous"] for m in outbox), None),
    ]


def show(console: Console, findings: list[Finding]) -> list[Finding]:
    """Print them as a table; answers those that fall short."""
    table = Table("what", "found", "allowed")
    short = [finding for finding in findings if finding.short]
    for finding in findings:
        limit = "" if finding.limit is None else str(finding.limit)
        table.add_row(finding.name, f"{finding.value:,}", limit, style="bold red" if finding.short else "")
    console.print(table)
    for finding in short:
        console.print(f"SHORT: {finding.name}: {finding.value:,} {f'({finding.example})' if finding.example else ''}")
    return short


def _known(fact_id: str, ledger: Ledger) -> bool:
    contact, n = _number(fact_id)
    return n in ledger.sent[contact]


def _milliseconds(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)
