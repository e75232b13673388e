"""Circles through what is followed: a segment or a ``while`` whose own doing changes what its condition reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from overture.rules.conflicts import causes
from overture.rules.reach import reads, walk
from overture.rules.report import Report
from overture.rules.ruleset import (
    Action,
    AssertAction,
    ListAction,
    Rule,
    RunAction,
    ScoreAction,
    Segment,
    SegmentAction,
    SetAction,
    UnsetAction,
    While,
)
from overture.rules.tree import History, Node

Edges = dict[str, set[str]]
_OF = {"score.changed": "scores", "trait.changed": "traits", "segment.entered": "segments", "segment.left": "segments"}


def check_feedback(rules: Sequence[Rule], segments: Iterable[Segment], whiles: Iterable[While], report: Report) -> None:
    """One finding for each group of things that depend on each other: an error with a ``while`` in it."""
    followed = {f"segments.{s.name}": s for s in segments if s.when is not None}
    held = {f"while {w.name}": w for w in whiles}
    edges = _edges(rules, segments, held)
    for group in _circles(edges):
        if name := next((n for n in sorted(group) if n in held), None):
            rule = held[name]
            text = _shown(_way_back(edges, name, group))
            message = f"The rule {rule.name!r} depends on what it does: {text}"
            report.at("while.cycle", message, rule.place, f"/rules/{rule.name}", "Let it read something else.")
        elif name := next((n for n in sorted(group) if n in followed), None):
            segment = followed[name]
            text = _shown(_way_back(edges, name, group))
            message = f"The segment {segment.name!r} depends on what it sets off: {text}"
            hint = "Let it read something else, or give it room: enter at 25, stay down to 20."
            report.at("rule.feedback", message, segment.place, f"/segments/{segment.name}", hint)


def _edges(rules: Iterable[Rule], segments: Iterable[Segment], held: Mapping[str, While]) -> Edges:
    """From what changes to what that changes: ``scores.lead`` ``segments.hot`` ``fact lead.hot`` ``while name``."""
    edges: Edges = {}

    def follow(condition: Node, name: str) -> None:
        for path in reads(condition) - {name}:
            edges.setdefault(path, set()).add(name)
        for part in walk(condition):
            if isinstance(part, History):
                edges.setdefault(f"fact {part.series.type}", set()).add(name)

    def does(name: str, then: Iterable[Action]) -> None:
        for action in then:
            edges.setdefault(name, set()).update(_changed(action))

    for segment in segments:
        if segment.when is not None:
            follow(segment.when, f"segments.{segment.name}")
        does(f"segments.{segment.name}", (*segment.on_enter, *segment.on_leave))
    for name, rule in held.items():
        follow(rule.when, name)
        does(name, rule.then)
    for rule in rules:
        for cause in causes(rule):
            does(f"fact {cause}", rule.then)
    for name in {*edges, *(to for targets in edges.values() for to in targets)}:
        for change in _facts_of(name):
            listened = {c for c in (change, change.rpartition(" ")[0]) if c in edges}
            if listened:
                edges.setdefault(name, set()).update(listened)
    return edges


def _facts_of(name: str) -> list[str]:
    """The facts that a change of something derives."""
    kind, _, rest = name.partition(".")
    return [f"fact {fact_type} {rest}" for fact_type, of in _OF.items() if of == kind]


def _changed(action: Action) -> list[str]:
    match action:
        case AssertAction():
            return [f"fact {action.type}"]
        case ScoreAction():
            return [f"scores.{action.name}"]
        case SetAction() | UnsetAction():
            return [f"traits.{name}" for name in action.traits]
        case SegmentAction():
            return [f"segments.{action.name}"]
        case ListAction():
            return [f"lists.{action.name}"]
        case RunAction(_, changes):
            state = {
                "traits": changes.traits,
                "scores": changes.scores,
                "segments": changes.segments,
                "lists": changes.lists,
            }
            return [
                *(f"fact {name}" for name in changes.facts),
                *(f"{part}.{name}" for part, names in state.items() for name in sorted(names)),
            ]
        case _:
            return []


# --- circles in a graph ----------------------------------------------------------------------------------------


def _circles(edges: Edges) -> list[set[str]]:
    """The groups of nodes that each lead to every other one of their group (Tarjan's strong components)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    path: list[str] = []
    open_: set[str] = set()
    groups: list[set[str]] = []
    for start in sorted(edges):
        stack: list[tuple[str, list[str]]] = [(start, [])] if start not in index else []
        while stack:
            node, todo = stack[-1]
            if node not in index:
                index[node] = low[node] = len(index)
                path.append(node)
                open_.add(node)
                todo.extend(sorted(edges.get(node, ()), reverse=True))
            while todo and (todo[-1] in index):
                other = todo.pop()
                if other in open_:
                    low[node] = min(low[node], low[other])
            if todo:
                stack.append((todo[-1], []))
                continue
            stack.pop()
            if low[node] == index[node]:
                group = {node}
                while path[-1] != node:
                    group.add(path.pop())
                path.pop()
                open_ -= group
                if len(group) > 1 or node in edges.get(node, ()):
                    groups.append(group)
    return groups


def _way_back(edges: Edges, start: str, group: set[str]) -> list[str]:
    """The shortest way from a node of the group to itself."""
    came: dict[str, str] = {}
    layer = [start]
    while start not in came:
        reached: list[str] = []
        for node in layer:
            for other in sorted(edges[node] & group):
                if other not in came:
                    came[other] = node
                    reached.append(other)
        layer = reached
    way = [start, came[start]]
    while way[-1] != start:
        way.append(came[way[-1]])
    return way[::-1]


def _shown(way: list[str]) -> str:
    return " → ".join(way[:8]) + (" …" if len(way) > 8 else "")
