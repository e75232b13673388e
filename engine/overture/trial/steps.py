"""The steps of a test: a fact comes in, the clock advances, something is expected."""

from __future__ import annotations

from typing import Any

import msgspec

from overture.intake import CODES as REFUSALS
from overture.intake import Caps, parse
from overture.model import Draft
from overture.rules.durations import duration
from overture.rules.reading import Reading
from overture.rules.report import Report
from overture.rules.scope import BUILT_IN
from overture.rules.yamltext import Mapping, Scalar, Sequence, YamlNode, plain
from overture.trial.claims import Claims
from overture.trial.document import Advance, Expect, Show, Step
from overture.trial.keys import ADVANCE, FACT, STEP
from overture.trial.values import child, instant, named

_CAPS = Caps()
_OUTCOMES = tuple(name for name in BUILT_IN if name.startswith("message."))
_YEAR_9999 = 253_402_300_799_999


class Steps(Reading):
    """Reads the list ``steps`` of one test after the other."""

    def __init__(self, report: Report) -> None:
        super().__init__(report)
        self.claims = Claims(report)
        self.taken: dict[str, Draft] = {}  # facts of the present test that were given an id

    def steps(self, node: YamlNode, at: int, contact: str) -> list[Step] | None:
        if not isinstance(node, Sequence):
            hint = "Write - fact: …, - advance: …, - expect: …, one after another."
            self.report.add("ruleset.shape", "steps is a list", node, hint)
            return None
        self.taken = {}
        found: list[Step] = []
        for item in node.items:
            step = self.step(item, at, contact)
            if isinstance(step, Advance):
                at = step.to
            if step is not None:
                found.append(step)
        return found

    def step(self, node: YamlNode, at: int, contact: str) -> Step | None:
        body = self.body(node, "A step")
        if body is None:
            return None
        self.keys(body, STEP)
        if body.keys.keys() - STEP.keys.keys():
            return None  # what it was meant to be is not known
        which = [name for name in ("fact", "advance", "expect") if name in body.items]
        if len(which) != 1 or ("backfill" in body.items and which != ["fact"]):
            hint = "Write - fact: …, - advance: … and - expect: … as steps of their own."
            self.report.add("test.step", "A step is one of fact, advance, expect", body, hint)
            return None
        value = body.items[which[0]]
        if which[0] == "fact":
            return self.fact(value, body.items.get("backfill"), at, contact)
        if which[0] == "advance":
            return self.advance(value, at)
        claims = self.claims.read(value)
        return Expect(claims, body.keys["expect"].place) if claims is not None else None

    def fact(self, node: YamlNode, backfill: YamlNode | None, at: int, contact: str) -> Show | None:
        body = self.body(node, "A fact")
        if body is None or not self.keys(body, FACT):
            return None
        history = isinstance(backfill, Scalar) and backfill.value is True
        if backfill is not None and not (isinstance(backfill, Scalar) and isinstance(backfill.value, bool)):
            self.report.add("ruleset.shape", "backfill is true or false", backfill)
        values = {name: plain(value) for name, value in body.items.items()}
        fact = {name: value for name, value in values.items() if name in FACT.keys} | {
            "contact": {"user_id": contact},
            "properties": {name: value for name, value in values.items() if name not in FACT.keys},
        }
        draft = self.draft(fact, at, body)
        if draft is None:
            return None
        if draft.dedupe and self.taken.setdefault(draft.id, draft) != draft:
            hint = "Give each fact an id of its own; only the very same fact may come again."
            self.report.add("test.fact_id", f"Another fact has the id {draft.id[:80]!r}", body.items["id"], hint)
        return Show(draft, history, body.place, body.pointer, {name: named(key) for name, key in body.keys.items()})

    def draft(self, fact: dict[str, Any], at: int, where: Mapping) -> Draft | None:
        """The fact as the API would take it at that instant; None, with the API's reason, where it would not."""
        outcome = fact["type"] in _OUTCOMES  # no app may post one, but a test may say that it came
        posted = {**fact, "type": "outcome"} if outcome else fact
        parsed = parse(msgspec.json.encode(posted), at, _CAPS)
        for rejected in parsed.rejected:
            node = child(where, rejected.pointer)
            self.report.add("test.fact", rejected.message.rstrip("."), node, REFUSALS[rejected.code].hint)
            return None
        draft = parsed.drafts[0]
        return msgspec.structs.replace(draft, type=fact["type"]) if outcome else draft

    def advance(self, node: YamlNode, at: int) -> Advance | None:
        if isinstance(node, Mapping):
            to = instant(self, node.items["to"]) if self.keys(node, ADVANCE) else None
            if to is not None and to < at:
                self.report.add("test.backwards", "The clock of the test is past that", node.items["to"])
            return Advance(to, node.place) if to is not None else None
        span = duration(node.text) if isinstance(node, Scalar) and isinstance(node.value, str) else None
        if not span or at + span > _YEAR_9999:
            hint = "Write 30s, 15m, 12h, 3d, 2w, or {to: 2026-03-27T10:00:00Z}."
            self.report.add("test.duration", "This is no duration", node, hint)
            return None
        return Advance(at + span, node.place)
