"""What is wrong between rules and segments that are each right by themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from graphlib import TopologicalSorter
from itertools import combinations

from overture.rules.reach import reads, required_literals
from overture.rules.report import Report
from overture.rules.ruleset import (
    Action,
    AssertAction,
    Rule,
    RunAction,
    ScoreAction,
    Segment,
    SegmentAction,
    SetAction,
    UnsetAction,
    While,
)
from overture.rules.satisfy import Bounds, Key, bounds_of, exclusive
from overture.rules.spelling import spell
from overture.rules.tree import Items, Literal, Node

_CHANGES = ("score.changed", "trait.changed", "segment.entered", "segment.left")


_Writer = tuple[Rule | While, object, Mapping[Key, Bounds]]
"""A rule, what it writes to one trait, and what its condition leaves open."""


def cycle_of(edges: Mapping[str, Iterable[str]]) -> list[str]:
    """One cycle of a graph, first and last element the same; empty if there is none."""
    done: set[str] = set()
    for start in sorted(edges):
        path: list[str] = []
        stack: list[tuple[str, bool]] = [(start, True)]
        while stack:
            node, entering = stack.pop()
            if not entering:
                path.pop()
                done.add(node)
            elif node in path:
                return [*path[path.index(node) :], node]
            elif node not in done:
                path.append(node)
                stack.append((node, False))
                stack += ((next_, True) for next_ in sorted(edges.get(node, ()), reverse=True))
    return []


def check_derived(rules: Sequence[Rule], segments: Iterable[Segment], report: Report) -> bool:
    """No fact may lead back to itself through ``assert`` or through the changes that it makes; whether none does.

    A change is a fact of its own: ``score.changed lead``. What a rule listens to is narrowed by the literal name
    that its condition asks for, so that a rule on the change of one score may change another.
    """
    edges: dict[str, set[str]] = {}
    for rule in rules:
        for cause in causes(rule):
            edges.setdefault(cause, set()).update(*(_results(a) for a in rule.then))
    for segment in segments:
        for change, then in (("segment.entered", segment.on_enter), ("segment.left", segment.on_leave)):
            edges.setdefault(f"{change} {segment.name}", set()).update(*(_results(a) for a in then))
    for results in [*edges.values()]:
        for result in results:
            kind = result.partition(" ")[0]
            if kind in _CHANGES and kind in edges:
                edges.setdefault(result, set()).add(kind)
    cycle = cycle_of(edges)
    if cycle:
        first = next((r for r in rules if set(causes(r)) & set(cycle)), None)
        place = first.place if first else next(iter(segments)).place
        pointer = f"/rules/{first.name}" if first else ""
        message = f"Facts derive each other in a circle: {' → '.join(cycle)}"
        report.at("rule.derived_cycle", message, place, pointer, "Break it: keep a trait or a score instead.")
    return not cycle


def causes(rule: Rule) -> list[str]:
    """What it listens to: ``bought``, or ``score.changed lead`` where it asks for the name of what changed."""
    name = required_literals(rule.when).get(("name",))
    return [f"{t} {name}" if t in _CHANGES and name is not None else t for t in sorted(rule.types)]


def _results(action: Action) -> list[str]:
    match action:
        case AssertAction():
            return [action.type]
        case ScoreAction():
            return [f"score.changed {action.name}"]
        case SetAction() | UnsetAction():
            return [f"trait.changed {name}" for name in action.traits]
        case SegmentAction():
            return [f"segment.{'entered' if action.enter else 'left'} {action.name}"]
        case RunAction(_, changes):
            return [
                *changes.facts,
                *(f"score.changed {name}" for name in sorted(changes.scores)),
                *(f"trait.changed {name}" for name in changes.traits),
                *(f"segment.{edge} {name}" for name in sorted(changes.segments) for edge in ("entered", "left")),
            ]
        case _:
            return []


def check_traits(rules: Iterable[Rule], whiles: Iterable[While], report: Report) -> None:
    """Two rules of one priority must not set the same trait to different values on the same fact, and no two ``while``
    that can hold together at all.
    """
    writers: dict[tuple[str, int, str], list[_Writer]] = {}
    for rule in (*rules, *whiles):
        bounds = bounds_of(rule.when)
        for name, value in _written(rule).items():
            places = [(rule.priority, t) for t in rule.types] if isinstance(rule, Rule) else [(0, "")]
            for priority, fact_type in places:
                writers.setdefault((name, priority, fact_type), []).append((rule, value, bounds))
    reported: set[tuple[str, str]] = set()
    for (name, _, fact_type), same in writers.items():
        for (a, ours, bounds), (b, theirs, others) in combinations(same, 2):
            if ours != theirs and (a.id, b.id) not in reported and not exclusive(bounds, others):
                reported.add((a.id, b.id))
                one, two = (a.name, b.name) if a.ruleset == b.ruleset else (a.id, b.id)
                when = "on the same fact" if fact_type else "at the same time"
                message = f"The rules {one!r} and {two!r} set {name!r} to different values {when}"
                hint = "Make their conditions exclude each other."
                if fact_type:
                    hint = "Give one a higher priority, or make their conditions exclude each other."
                report.at("rule.trait_conflict", message, b.place, f"/rules/{b.name}", hint)


def _written(rule: Rule | While) -> dict[str, object]:
    found: dict[str, object] = {}
    for action in rule.then:
        if isinstance(action, SetAction):
            found.update((name, _comparable(value)) for name, value in action.traits.items())
        elif isinstance(action, UnsetAction):
            found.update(dict.fromkeys(action.traits))
        elif isinstance(action, RunAction):
            found.update(dict.fromkeys(action.changes.traits, action.script.script))
    return found


def _comparable(value: Node) -> object:
    """Equal for values that are the same wherever they stand."""
    if isinstance(value, Items):
        return tuple(_comparable(item) for item in value.items)
    return (type(value.value), value.value) if isinstance(value, Literal) else spell(value)


def segment_order(segments: Mapping[str, Segment], report: Report) -> list[Segment]:
    """The segments so that each comes after those that it reads; itself aside, a circle is reported."""
    edges = {
        name: {
            path.removeprefix("segments.")
            for path in (reads(segment.when) if segment.when is not None else ())
            if path.startswith("segments.")
        }
        - {name}
        for name, segment in segments.items()
    }
    cycle = cycle_of(edges)
    if cycle:
        segment = segments[cycle[0]]
        message = f"Segments depend on each other in a circle: {' → '.join(cycle)}"
        hint = "Let one of them read what the other is made of."
        report.at("segment.cycle", message, segment.place, f"/segments/{segment.name}", hint)
        return []
    order = TopologicalSorter({name: sorted(before) for name, before in sorted(edges.items())}).static_order()
    return [segments[name] for name in order if name in segments]
