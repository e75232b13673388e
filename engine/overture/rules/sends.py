"""What a message's template needs of what sends it: fields of the fact, codes that were issued, a journey."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from overture.rules.inside import journey_field
from overture.rules.journey import Do, Journey
from overture.rules.report import Report, did_you_mean
from overture.rules.ruleset import Action, IssueAction, Rule, Segment, SendAction
from overture.rules.scope import Inside, Scope
from overture.rules.template import Use, may_be_missing
from overture.rules.tree import Field


@dataclass(frozen=True, slots=True)
class Sender:
    """Actions, the types of the facts that they run on (none: it is not known), the codes that were issued before, and
    the journey that they are of.
    """

    then: tuple[Action, ...]
    types: frozenset[str] = frozenset()
    issued: frozenset[str] = frozenset()
    inside: Inside | None = None


def senders(
    rules: Iterable[Rule], segments: Iterable[Segment], journeys: Mapping[str, Journey], knows: Mapping[str, Inside]
) -> Iterator[Sender]:
    """``knows``: what is known of each journey."""
    for rule in rules:
        yield Sender(rule.then, rule.types)
    for segment in segments:
        yield Sender(segment.on_enter)
        yield Sender(segment.on_leave)
    for name, journey in journeys.items():
        acting = [step for step in journey.steps.values() if isinstance(step, Do)]
        kinds = frozenset(action.kind for step in acting for action in step.then if isinstance(action, IssueAction))
        for step in acting:
            yield Sender(step.then, issued=kinds, inside=knows[name])


class Sends:
    """Reports, for each template, what is missing, or may be, where it is sent. ``uses`` are by template."""

    def __init__(self, uses: Mapping[str, Sequence[Use]], scope: Scope, report: Report) -> None:
        self.uses = uses
        self.scope = scope
        self.report = report
        self.seen: set[tuple[str, Use]] = set()

    def check(self, senders: Iterable[Sender]) -> None:
        done: set[tuple[str, frozenset[str], frozenset[str], Inside | None]] = set()  # many may send one template
        for sender in senders:
            issued = sender.issued
            for action in sender.then:
                if isinstance(action, IssueAction):
                    issued |= {action.kind}
                if isinstance(action, SendAction):
                    for template in action.templates:
                        key = (template, sender.types, issued, sender.inside)
                        if key not in done:
                            done.add(key)
                            for use in self.uses.get(template, ()):
                                self.use(use, sender, issued)

    def use(self, use: Use, sender: Sender, issued: frozenset[str]) -> None:
        if use.root == "journey":
            self.journey(use, sender.inside)
        elif use.certain:
            return
        elif use.root == "issued":
            if use.name not in issued:
                self.missing(use)
        else:
            kinds = {t: self.scope.field_of(t, use.name) for t in sorted(sender.types)}
            unknown = next((t for t, kind in kinds.items() if kind is None), None)
            if unknown is not None:
                hint = did_you_mean(use.name, self.scope.names_of(unknown))
                self.unknown(use, f"A {unknown!r}, on which this is sent, has no field {use.name[:40]!r}", hint)
            elif not kinds or any(kind and kind.optional for kind in kinds.values()):
                self.missing(use)

    def journey(self, use: Use, inside: Inside | None) -> None:
        if inside is None:
            if not use.certain:
                message = f"This is sent outside of journeys too, where there is no `journey.{use.name[:40]}`"
                self.unknown(use, message, f"Ask {{% if journey.{use.name} is defined %}}.")
            return
        problems: list[tuple[str, str]] = []
        field, scope = Field("journey", tuple(use.name.split("."))), self.scope.within(inside)
        kind, _ = journey_field(field, scope, lambda _, message, __, hint: problems.append((message, hint)))
        if problems:
            self.unknown(use, *problems[0])
        elif kind.optional and not use.certain:
            self.missing(use)

    def missing(self, use: Use) -> None:
        if self.once("missing", use):
            may_be_missing(self.report, f"{use.root}.{use.name}", use.place, use.pointer)

    def unknown(self, use: Use, message: str, hint: str) -> None:
        if self.once("unknown", use):
            self.report.at("template.unknown_variable", message, use.place, use.pointer, hint)

    def once(self, code: str, use: Use) -> bool:
        return (code, use) not in self.seen and not self.seen.add((code, use))
