"""Which rules fired and which segments were entered and left, over all tests of a ruleset."""

from __future__ import annotations

from collections.abc import Iterator

from overture.model import Step
from overture.rules import Program
from overture.rules.ruleset import Ruleset, SegmentAction
from overture.trial.results import Coverage


class Covered:
    """Collects what was set off."""

    def __init__(self) -> None:
        self.rules: set[str] = set()
        self.edges: set[tuple[str, bool]] = set()

    def note(self, step: Step) -> None:
        for firing in (firing for trace in (*step.ticks, step.trace) for firing in trace.firings):
            if any(effect.kind != "once_per" for effect in firing.effects) or not firing.effects:
                self.rules.add(firing.rule)
            for effect in firing.effects:
                if effect.kind == "segment" and not effect.reason:
                    self.edges.add((effect.name, bool(effect.after)))

    def of(self, ruleset: Ruleset, program: Program) -> Coverage:
        rules = (*ruleset.rules, *ruleset.whiles)
        never = [f"rule {rule.name}" for rule in rules if rule.id not in self.rules]
        edges = list(_edges(ruleset, program))
        never += [f"segment {name} {'entered' if on else 'left'}" for name, on in edges if (name, on) not in self.edges]
        return Coverage(len(rules) + len(edges), never)


def _edges(ruleset: Ruleset, program: Program) -> Iterator[tuple[str, bool]]:
    """The ways into and out of the ruleset's segments; of one without a condition those that some action takes."""
    actions = [action for rule in program.rules for action in rule.then]
    actions += [a for segment in program.segments for a in (*segment.on_enter, *segment.on_leave)]
    taken = {(action.name, action.enter) for action in actions if isinstance(action, SegmentAction)}
    for name, segment in ruleset.segments.items():
        for enter in (True, False):
            if segment.when is not None or (name, enter) in taken:
                yield name, enter
