"""Which rules fired and which segments were entered and left, over all tests of a ruleset."""

from __future__ import annotations

from collections.abc import Iterator

from overture.model import Step
from overture.rules import Program
from overture.rules.journey import Branch, Journey, Split
from overture.rules.ruleset import Ruleset, SegmentAction
from overture.trial.results import Coverage


class Covered:
    """Collects what was set off."""

    def __init__(self) -> None:
        self.rules: set[str] = set()
        self.edges: set[tuple[str, bool]] = set()
        self.ways: set[tuple[str, str, str]] = set()  # journey, step, where it led

    def note(self, step: Step) -> None:
        for firing in (firing for trace in step.traces for firing in trace.firings):
            if not firing.held_back:
                self.rules.add(firing.rule)
            for effect in firing.effects:
                if effect.kind == "segment" and not effect.reason:
                    self.edges.add((effect.name, bool(effect.after)))
                if effect.kind == "journey" and effect.before:
                    self.ways.add((effect.name, effect.before, effect.after))

    def of(self, ruleset: Ruleset, program: Program) -> Coverage:
        rules = (*ruleset.rules, *ruleset.whiles)
        never = [f"rule {rule.name}" for rule in rules if rule.id not in self.rules]
        edges = list(_edges(ruleset, program))
        never += [f"segment {name} {'entered' if on else 'left'}" for name, on in edges if (name, on) not in self.edges]
        ways = [way for journey in ruleset.journeys.values() for way in _ways(journey)]
        taken = {*self.ways, *((journey, step, "") for journey, step, _ in self.ways)}
        never += [told for told, way in ways if way not in taken]
        return Coverage(len(rules) + len(edges) + len(ways), never)


def _ways(journey: Journey) -> Iterator[tuple[str, tuple[str, str, str]]]:
    """The steps of a journey, and each way out of those with several: how it is told, and journey, step and target
    (empty: anywhere).
    """
    for id, step in journey.steps.items():
        match step:
            case Branch(cases=cases, otherwise=otherwise):
                ways = dict.fromkeys((*(to for _, to in cases), otherwise))
            case Split(ways=each):
                ways = dict.fromkeys(way.next for way in each)
            case _:
                ways = dict[str, None]()
        for to in ways:
            yield f"journey {journey.name} from {id} to {to or 'end'}", (journey.id, id, to or "end:done")
        if not ways:
            yield f"journey {journey.name} step {id}", (journey.id, id, "")


def _edges(ruleset: Ruleset, program: Program) -> Iterator[tuple[str, bool]]:
    """The ways into and out of the ruleset's segments; of one without a condition those that some action takes."""
    actions = [action for rule in program.rules for action in rule.then]
    actions += [a for segment in program.segments for a in (*segment.on_enter, *segment.on_leave)]
    taken = {(action.name, action.enter) for action in actions if isinstance(action, SegmentAction)}
    for name, segment in ruleset.segments.items():
        for enter in (True, False):
            if segment.when is not None or (name, enter) in taken:
                yield name, enter
