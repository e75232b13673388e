"""What each side did for one contact in the period: messages and codes, and at which facts the two differ."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec

from overture.decide import consent_verdict
from overture.model import Step

BASELINE, CANDIDATE = 0, 1
SIDES = ("baseline", "candidate")
ROWS = 50  # differences kept of one contact; all are counted
LOST = 10_000  # messages of one contact remembered because only the baseline sent them

Counts = dict[str, list[int]]
"""By what is counted: [by the baseline, by the candidate]."""


class Given(msgspec.Struct, frozen=True, array_like=True):
    """A message or a code that one side decided at one fact.

    ``what``: ``message`` (``name`` is ``ruleset/template``) or ``code`` (``name`` is its kind). ``reason`` is set where
    a message would not have gone out.
    """

    what: str
    name: str
    channel: str
    reason: str
    rule: str
    id: str

    @property
    def key(self) -> tuple[str, str, str, str]:
        return self.what, self.name, self.channel, self.reason


class Difference(msgspec.Struct, frozen=True, array_like=True):
    """Something that one ``side`` gave at a fact and the other did not."""

    side: int
    at: int
    fact: str
    given: Given


class Line(msgspec.Struct, array_like=True):
    """How often one contact was given one thing, by side; ``only``: how often the other side did not at that fact."""

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

    def line(self, given: Given) -> Line:
        for line in self.lines:
            if (line.what, line.name, line.channel, line.reason) == given.key:
                return line
        line = Line(*given.key, [0, 0], [0, 0])
        self.lines.append(line)
        return line

    def add(self, side: int, given: Given) -> None:
        self.line(given).given[side] += 1

    def differ(self, side: int, at: int, fact: str, given: Given) -> None:
        self.line(given).only[side] += 1
        if side == BASELINE and given.what == "message" and len(self.lost) < LOST:
            self.lost.append(given.id)
        if len(self.differences) < ROWS:
            self.differences.append(Difference(side, at, fact, given))
        else:
            self.more += 1

    def absorb(self, other: Tally) -> None:
        """Take in what a contact was given that became part of this one."""
        for theirs in other.lines:
            line = self.line(Given(theirs.what, theirs.name, theirs.channel, theirs.reason, "", ""))
            for side in (BASELINE, CANDIDATE):
                line.given[side] += theirs.given[side]
                line.only[side] += theirs.only[side]
        both = self.differences + other.differences
        self.differences, self.more = both[:ROWS], self.more + other.more + len(both[ROWS:])
        self.lost = (self.lost + other.lost)[:LOST]


def compare(tally: Tally, at: int, fact: str, baseline: list[Given], candidate: list[Given]) -> None:
    """Count what the sides gave at one fact, and note what only one of them gave."""
    for side, given in ((BASELINE, baseline), (CANDIDATE, candidate)):
        for each in given:
            tally.add(side, each)
    there = (Counter(g.key for g in baseline), Counter(g.key for g in candidate))
    for side, given, other in ((BASELINE, baseline, there[CANDIDATE]), (CANDIDATE, candidate, there[BASELINE])):
        for each in given:
            if other[each.key]:
                other[each.key] -= 1
            else:
                tally.differ(side, at, fact, each)


def given(step: Step, firings: Counts, side: int) -> list[Given]:
    """What one side gave at one fact; counts in ``firings`` which rules fired."""
    found: list[Given] = []
    for firing in step.trace.firings:
        effects = firing.effects
        if len(effects) == 1 and effects[0].kind == "once_per":
            continue
        counts = firings.get(firing.rule)
        if counts is None:
            counts = firings[firing.rule] = [0, 0]
        counts[side] += 1
        for effect in effects:
            if effect.kind == "issue":
                found.append(Given("code", effect.name, "", effect.reason, firing.rule, effect.key))
            elif effect.kind == "send":
                found.append(_message(step, firing.rule, effect))
    return found


def _message(step: Step, rule: str, effect: Any) -> Given:
    """Where the facts are history nothing is sent, and the effect says so; anything else still has to pass the gate."""
    reason, channel = effect.reason, effect.after or ""
    if not reason:
        message = next(m for m in step.messages if m.id == effect.key)
        reason = "" if message.to else consent_verdict(step.contact, message.channel, message.purpose)
    return Given("message", f"{rule.partition('/')[0]}/{effect.name}", channel, reason, rule, effect.key)
