"""Plans from documents, and one contact that is shown facts."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from overture.decide import Plan, step
from overture.model import Contact, Fact, Step
from overture.rules import link, load
from overture.settings import shipped_rulesets

HEAD = "apiVersion: overture/v1\nkind: Ruleset\nname: {name}\n"
encode = msgspec.msgpack.Encoder(order="sorted").encode
Kind = Literal["durable", "reference"]


def plan(*documents: str, version: int = 1, kind: Kind = "durable") -> Plan:
    """The plan of documents without their head; they are named a, b, c …"""
    texts = [HEAD.format(name="abc"[n]) + text for n, text in enumerate(documents)]
    return Plan(link([load(text) for text in texts], version), kind)


def shipped(kind: Kind = "durable") -> Plan:
    """The plan of the rulesets that ship."""
    texts = [path.read_text("utf-8") for path in sorted(shipped_rulesets().glob("*.yaml")) if ".test." not in path.name]
    return Plan(link([load(text) for text in texts], 1), kind)


class Show:
    """Shows facts to one contact, one after the other, at a clock of its own."""

    def __init__(self, plan: Plan, contact: str = "ada") -> None:
        self.plan = plan
        self.contact = Contact(contact)
        self.steps: list[Step] = []

    def fact(self, type: str, at: int = 0, /, **properties: Any) -> Step:
        """The ``at`` in ms is when it occurred; 0 for now."""
        return self.take(made(type, len(self.steps) + 1, at, properties, self.contact.id))

    def take(self, fact: Fact, now: int = 0) -> Step:
        before = encode(self.contact)
        outcome = step(self.contact, fact, self.plan, now or fact.accepted_at)
        assert encode(self.contact) == before, "a step leaves the contact that it is given alone"
        self.contact = outcome.contact
        self.steps.append(outcome)
        return outcome


def made(type: str, n: int, at: int = 0, properties: dict[str, Any] | None = None, contact: str = "ada") -> Fact:
    now = 1_800_000_000_000 + n * 1000
    return Fact(f"f{n}", type, contact, at or now, now, properties or {})


def done(step: Step) -> list[tuple[Any, ...]]:
    """(rule, kind, name, after or reason) of everything that rules did."""
    return [(f.rule, e.kind, e.name, e.reason or e.after) for f in step.trace.firings for e in f.effects]


def rules(step: Step) -> list[str]:
    """The rules that fired."""
    return [f.rule for f in step.trace.firings if all(e.kind != "once_per" for e in f.effects)]
