"""After the drain: everything that the server says of itself, held against the ledger and the receivers."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from bench.chaos.ledger import Ledger
from bench.chaos.receivers import Receivers
from bench.chaos.server import Server

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


async def facts(server: Server, ledger: Ledger) -> list[Finding]:
    """Lost, doubled and out of order, by score, by what the rules noticed, and by the timelines."""
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
            disorder.extend(_timeline(contact, await server.timeline(contact), len(acknowledged)))

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
        Finding("waited for, but the answer was behind the fact", ledger.reads_behind),
        Finding("facts never acknowledged that took effect (may)", optional, None),
    ]


def _timeline(contact: str, facts: list[dict[str, Any]], acknowledged: int) -> list[str]:
    """What is wrong with the order of a contact's ticks, oldest first."""
    numbers = [int(fact["properties"]["n"]) for fact in facts if fact["type"] == "tick"]
    wrong = [f"{contact}: {a} then {b}" for a, b in pairwise(numbers) if b != a + 1]
    if acknowledged and not numbers:
        wrong.append(f"{contact}: an empty timeline")
    return wrong


async def messages(server: Server, ledger: Ledger, receivers: Receivers) -> list[Finding]:
    """Unsent, sent twice, sent again after the confirmation, sent for nothing."""
    outbox = [
        m
        for state in ("queued", "sending", "retrying", "sent", "dropped", "dead")
        for m in await server.messages(state)
    ]
    sent = [m for m in outbox if m["state"] == "sent"]
    per_fact = Counter(m["fact"] for m in outbox)
    expected = {id for id in ledger.messages if ledger.is_acknowledged(id)}
    arrived_for = {fact for arrivals in receivers.arrivals.values() for fact, _ in arrivals}
    confirmed = {m["fact"]: _milliseconds(m["updated_at"]) for m in sent}
    again: list[str] = []
    repeats = 0
    for key, arrivals in receivers.arrivals.items():
        repeats += len(arrivals) - 1
        for fact, at in arrivals:
            if fact in confirmed and int(at) > confirmed[fact]:
                again.append(f"{key}: {at - confirmed[fact]:.0f} ms after its confirmation")
    keys_of: dict[str, set[str]] = {}
    for key, arrivals in receivers.arrivals.items():
        for fact, _ in arrivals:
            keys_of.setdefault(fact, set()).add(key)
    return [
        Finding("messages that rules decided to send", len(expected), None),
        _finding("… without exactly one record in the outbox", [f for f in expected if per_fact[f] != 1]),
        _finding("… not sent", [f for f in expected if f not in confirmed]),
        _finding("… said to be sent, but never received", [f for f in confirmed if f not in arrived_for]),
        _finding("handed over again after the confirmation", again, "resent"),
        _finding("for facts that were never sent", [f for f in per_fact if not _known(f, ledger)]),
        _finding("more than one idempotency key for one message", [f for f, keys in keys_of.items() if len(keys) > 1]),
        Finding("received more than once before the confirmation (may: ambiguous)", repeats, None),
        Finding("… counted as ambiguous by the server", sum(m["ambiguous"] for m in outbox), None),
    ]


def _known(fact_id: str, ledger: Ledger) -> bool:
    contact, n = _number(fact_id)
    return n in ledger.sent[contact]


def _milliseconds(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)
