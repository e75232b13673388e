"""Programs with a send gate, made of documents and what their ``sending`` would say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from decidekit import HEAD, Show

from overture.decide import Plan
from overture.model import Effect, Fact, Message, Step
from overture.rules import link, load
from overture.rules.ruleset import Rule, Ruleset, SendAction
from overture.rules.sending import Cap, Quiet, Sending

HOUR, DAY = 3_600_000, 86_400_000
NIGHT = Quiet(21 * 60, 8 * 60, frozenset({"lifecycle"}))
A_DAY = Cap(1, frozenset({"lifecycle"}), calendar="day")
EMAIL_SMS = {"email": frozenset({"image", "html"}), "sms": frozenset[str]()}
BOTH = {"email": {"lifecycle": "granted"}, "sms": {"lifecycle": "granted"}}
ADA = {"email": "ada@example.com", "phone": "+4930123", "timezone": "Europe/Berlin"}


def send(template: str, **how: Any) -> SendAction:
    return SendAction(**{"channel": "email", "purpose": "lifecycle", **how}, template=template)


def ruleset(sends: dict[str, SendAction], name: str = "gated", **more: Any) -> Ruleset:
    """Each fact type sets off the action of that name."""
    named = {send.template for send in sends.values()}
    templates = "".join(f"  {t}: {{subject: x, text: '{{{{ fact.n }}}}'}}\n" for t in named)
    rules = "".join(f"  {n}: {{when: 'fact.type == \"{n}\"', then: [{{segment: {{enter: s}}}}]}}\n" for n in sends)
    facts = "".join(f"  {n}: {{n: 'int?'}}\n" for n in sends)
    text = HEAD.format(name=name) + f"facts:\n{facts}segments: {{s: {{}}}}\nrules:\n{rules}templates:\n{templates}"
    made = load(text)

    def sending(rule: Rule) -> Rule:
        return replace(rule, then=(sends[rule.name],))

    return replace(made, rules=tuple(map(sending, made.rules)), **more)


def gated(sends: dict[str, SendAction], *, name: str = "gated", version: int = 1, **sending: Any) -> Plan:
    return Plan(link([ruleset(sends, name, sending=Sending(**sending))], version), "reference")


class Gated(Show):
    """A contact of Berlin with consent on both channels, at an instant of its own."""

    def __init__(self, plan: Plan, at: int, *, contact: str = "ada", traits: dict[str, Any] = ADA) -> None:
        super().__init__(plan, contact)
        self.now = at
        self.contact.traits = dict(traits)
        self.contact.consent = {channel: dict(purposes) for channel, purposes in BOTH.items()}
        self.sent: list[Message] = []

    def post(self, type: str, after: int = 0, /, **properties: Any) -> Step:
        self.now += after
        return self._take(Fact(f"f{len(self.steps)}", type, self.contact.id, self.now, self.now, properties))

    def until(self, at: int) -> Step:
        """Somebody looks at the contact at that instant."""
        self.now = at
        return self._take(Fact(f"tick:{at}", "$tick", self.contact.id, at, at))

    def _take(self, fact: Fact) -> Step:
        outcome = self.take(fact)
        self.sent += outcome.messages
        return outcome

    def verdicts(self) -> list[tuple[str, str]]:
        """(template, reason or channel) of all verdicts, in order."""
        return [(e.name, e.reason or e.after) for step in self.steps for e in gates(step)]


def gates(step: Step) -> list[Effect]:
    return [e for trace in (*step.ticks, step.trace) for e in trace.effects if e.kind == "gate"]
