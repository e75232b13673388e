"""What each side did for one contact in the period: messages and codes, and at which facts the two differ."""

from __future__ import annotations

from collections import Counter

import msgspec

from overture.decide import consent_verdict
from overture.decide.gatekeeping import waits
from overture.model import Effect, Step, Trace

BASELINE, CANDIDATE = 0, 1
SIDES = ("baseline", "candidate")
ROWS = 50  # differences kept of one contact; all are counted
LOST = 10_000  # messages of one contact remembered because only the baseline sent them

Kind = tuple[str, str, str, str]
"""What, name, channel, reason."""

Counts = dict[str, list[int]]
"""By what is counted: [by the baseline, by the candidate]."""


class Given(msgspec.Struct, frozen=True, array_like=True):
    """A message or a code that one side decided ``at`` an instant, at one fact or because time passed.

    ``what``: ``message`` (``name`` is ``ruleset/template``) or ``code`` (``name`` is its kind). ``reason`` is set where
    a message would not have gone out.
    """

    what: str
    name: str
    channel: str
    reason: str
    rule: str
    id: str
    at: int
    fact: str

    @property
    def kind(self) -> Kind:
        return self.what, self.name, self.channel, self.reason


class Difference(msgspec.Struct, frozen=True, array_like=True):
    """Something that one ``side`` gave and the other did not."""

    side: int
    given: Given


class Line(msgspec.Struct, array_like=True):
    """How often one contact was given one thing, by side; ``only``: how often the other side did not then."""

    what: str
    name: str
    channel: str
    reason: str
    given: list[int]
    only: list[int]


class Tally(msgspec.Struct, array_like=True):
    """All of one contact. ``lost``: ids of messages that only the baseline sent. ``more``: differences not kept."""

    lines: list[Line] = []
    differences: list[Difference] = []
    more: int = 0
    lost: list[str] = []

    def line(self, kind: Kind) -> Line:
        for line in self.lines:
            if (line.what, line.name, line.channel, line.reason) == kind:
                return line
        line = Line(*kind, [0, 0], [0, 0])
        self.lines.append(line)
        return line

    def differ(self, side: int, given: Given) -> None:
        self.line(given.kind).only[side] += 1
        if side == BASELINE and given.what == "message" and len(self.lost) < LOST:
            self.lost.append(given.id)
        if len(self.differences) < ROWS:
            self.differences.append(Difference(side, given))
        else:
            self.more += 1

    def absorb(self, other: Tally) -> None:
        """Take in what a contact was given that became part of this one."""
        for theirs in other.lines:
            line = self.line((theirs.what, theirs.name, theirs.channel, theirs.reason))
            for side in (BASELINE, CANDIDATE):
                line.given[side] += theirs.given[side]
                line.only[side] += theirs.only[side]
        both = self.differences + other.differences
        self.differences, self.more = both[:ROWS], self.more + other.more + len(both[ROWS:])
        self.lost = (self.lost + other.lost)[:LOST]


def compare(tally: Tally, baseline: list[Given], candidate: list[Given]) -> None:
    """Count what the sides gave up to one fact, and note what only one of them gave."""
    there: list[Counter[tuple[str, Kind]]] = []
    for side, given in ((BASELINE, baseline), (CANDIDATE, candidate)):
        there.append(Counter((each.fact, each.kind) for each in given))
        for each in given:
            tally.line(each.kind).given[side] += 1
    for side, given in ((BASELINE, baseline), (CANDIDATE, candidate)):
        others = there[1 - side]
        for each in given:
            key = each.fact, each.kind
            if others[key]:
                others[key] -= 1
            else:
                tally.differ(side, each)


def given(step: Step, firings: Counts, side: int) -> list[Given]:
    """What one side gave, when time passed and at the fact itself; counts in ``firings`` which rules fired."""
    found: list[Given] = []
    traces = step.traces
    verdicts = {e.key: (trace, e) for trace in traces for e in trace.effects if e.kind == "gate"}
    for trace in traces:
        for firing in trace.firings:
            if firing.held_back:
                continue
            counts = firings.get(firing.rule)
            if counts is None:
                counts = firings[firing.rule] = [0, 0]
            counts[side] += 1
            for effect in firing.effects:
                if effect.kind == "send" or effect.kind == "issue":
                    judged = verdicts.pop(effect.key, None)
                    if judged is None:
                        found.append(_given(step, trace, firing.rule, effect))
                    elif not waits(judged[1]):
                        found.append(_given(step, trace, firing.rule, judged[1]))
    # What has waited until now is given when it goes, or never will. Its id names the rule.
    for trace, verdict in verdicts.values():
        if not waits(verdict):
            found.append(_given(step, trace, verdict.key.rsplit(":", 3)[1], verdict))
    return found


def _given(step: Step, trace: Trace, rule: str, effect: Effect) -> Given:
    at = step.contact.clock if trace is step.trace else trace.fact.instant
    if effect.kind == "issue":
        return Given("code", effect.name, "", effect.reason, rule, effect.key, at, trace.fact.id)
    reason, channel = effect.reason, effect.after or ""
    # Where facts are history nothing is sent, and the effect says so; anything else has to pass the gate.
    if not reason:
        message = next(m for m in step.messages if m.id == effect.key)
        reason = "" if message.to else consent_verdict(step.contact, message.channel, message.purpose)
    name = f"{rule.partition('/')[0]}/{effect.name}"
    return Given("message", name, channel, reason, rule, effect.key, at, trace.fact.id)
