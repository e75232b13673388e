"""What came of the facts since the last ``expect``: kept to be compared, and told where a test fails."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from overture.decide.gatekeeping import waits
from overture.model import Effect, Fact, Step, Trace
from overture.model.clock import to_text
from overture.model.reasons import sentence
from overture.trial.text import shown


class Happening:
    """Everything that the steps since the last ``expect`` did."""

    def __init__(self) -> None:
        self.traces: list[Trace] = []
        self.sent: list[dict[str, str]] = []
        self.dropped: list[tuple[str, str]] = []  # template, reason

    def add(self, step: Step) -> None:
        """What became due before the fact, and what the fact set off."""
        self.traces += step.traces

    @property
    def errors(self) -> list[str]:
        """Why steps were rolled back: ``code: message``."""
        return [trace.error for trace in self.traces if trace.error]

    def effects(self) -> Iterator[Effect]:
        for trace in self.traces:
            yield from trace.all_effects

    def done(self, kind: str, name: str) -> list[dict[str, Any]]:
        """The properties of each fact derived, or each code issued, under a name."""
        return [e.after or {} for e in self.effects() if e.kind == kind and e.name == name and not e.reason]

    def reasons(self, name: str) -> list[str]:
        """Why actions or messages of that name were not done, and why a rule of that name was held back."""
        held = [e.reason for e in self.effects() if e.name == name and e.reason and not waits(e)]
        return held + [reason for template, reason in self.dropped if template == name]

    def held(self, name: str) -> list[str]:
        """Why messages of that name were kept until later."""
        return [e.reason for e in self.effects() if e.name == name and waits(e)]

    def told(self) -> list[str]:
        """A line for each fact, and for each rule that fired on it."""
        lines: list[str] = []
        for trace in self.traces:
            done = f": {_told(trace.effects)}" if trace.effects else ""
            lines.append(f"{_named(trace.fact)}{done}")
            lines += [f"  {firing.rule}: {_told(firing.effects)}" for firing in trace.firings]
            if trace.error:
                lines.append(f"  rolled back: {trace.error}")
        return lines + [f"dropped: {template} ({reason})" for template, reason in self.dropped]


Ways = dict[tuple[str, str], str]
"""Journey and key → the step where the contact stands, or ``end:`` and how it ended."""


def note_ways(step: Step, ways: Ways) -> None:
    """Take note of how positions moved."""
    for trace in step.traces:
        for effect in trace.all_effects:
            if effect.kind == "journey" and effect.after:
                ways[effect.name, effect.key] = effect.after


def _named(fact: Fact) -> str:
    return to_text(fact.occurred_at) if fact.type == "$tick" else f"{fact.type} {shown(fact.properties)}"


def _told(effects: list[Effect]) -> str:
    return ", ".join(_one(effect) for effect in effects) or "nothing changed"


def _one(effect: Effect) -> str:
    name = f"{effect.kind} {effect.name}"
    if effect.kind == "gate":
        said = sentence(effect.reason, before=effect.before, after=effect.after)
        return f"{name}: {said or effect.after}"
    if effect.reason and effect.before == effect.after:
        return f"{name} not done ({effect.reason})"
    return _change(effect, name) + (f" ({effect.reason})" if effect.reason else "")


def _change(effect: Effect, name: str) -> str:
    match effect.kind:
        case "score" | "set" | "unset":
            key = f"[{effect.key}]" if effect.kind == "score" and effect.key else ""
            return f"{name}{key} {shown(effect.before)} → {shown(effect.after)}"
        case "journey":
            return f"{name}{f'[{effect.key}]' if effect.key else ''} {effect.before or 'entered'} → {effect.after}"
        case "segment" | "list":
            return f"{name} {'entered' if effect.after else 'left'}"
        case "assert" | "issue":
            return f"{name} {shown(effect.after)}"
        case _:
            return name
