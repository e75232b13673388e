"""What two documents of a ruleset say differently: its meaning, not text, order, layout or comments."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any
from typing import Literal as OneOf

from overture.rules.durations import duration_text
from overture.rules.rewrite import rewrite
from overture.rules.ruleset import (
    Action,
    AssertAction,
    IssueAction,
    Join,
    ListAction,
    Once,
    Rule,
    Ruleset,
    ScoreAction,
    SegmentAction,
    SendAction,
    SetAction,
    StartAction,
    StopAction,
    UnsetAction,
    Value,
    While,
)
from overture.rules.spelling import spell
from overture.rules.tree import ORDINALS, Field, Items, Literal, Node, Ordinal

Facets = dict[str, Any]
"""What is said of one thing, in plain values: a condition as text, actions as they are written."""


@dataclass(frozen=True, slots=True)
class Change:
    """``section`` and ``name`` say of what (``rules``, ``big-order``), ``facet`` what of it (``then``).

    It is empty where something was added or removed as a whole; ``after`` or ``before`` then holds all of it.
    """

    kind: OneOf["added", "removed", "changed"]
    section: str
    name: str
    facet: str
    before: Any
    after: Any


def difference(before: Ruleset, after: Ruleset) -> list[Change]:
    """What ``after`` says that ``before`` did not, by section and name; empty where both mean the same.

    Constants stand as their values where they are used. Descriptions and tests mean nothing here.
    """
    old, new = _meaning(before), _meaning(after)
    found: list[Change] = []
    for section, name in sorted(old.keys() | new.keys(), key=lambda key: (_ORDER.index(key[0]), key[1])):
        was, is_ = old.get((section, name)), new.get((section, name))
        if was is None:
            found.append(Change("added", section, name, "", None, is_))
        elif is_ is None:
            found.append(Change("removed", section, name, "", was, None))
        else:
            facets = (facet for facet in {**was, **is_} if _told(was, facet) != _told(is_, facet))
            found += [Change("changed", section, name, facet, was.get(facet), is_.get(facet)) for facet in facets]
    return found


_ORDER = ("requires", "facts", "traits", "scores", "lists", "sessions", "rules", "segments", "on_activate", "templates")


def _told(facets: Facets, facet: str) -> str:
    """For comparison: to Python true is 1."""
    return json.dumps(facets.get(facet), sort_keys=True)


def _meaning(ruleset: Ruleset) -> dict[tuple[str, str], Facets]:
    found: dict[tuple[str, str], Facets] = {}
    for section, names in ruleset.requires.items():
        found |= {("requires", f"{section}.{name}"): {} for name in names}
    found |= {("facts", name): dict(fields) for name, fields in ruleset.facts.items()}
    found |= {("traits", name): {"type": kind} for name, kind in ruleset.traits.items()}
    for name, score in ruleset.scores.items():
        half_life = duration_text(score.half_life) if score.half_life else None
        found["scores", name] = _said(per=score.per, min=score.minimum, max=score.maximum, half_life=half_life)
    for name, list_ in ruleset.lists.items():
        found["lists", name] = _said(channel=list_.channel, purpose=list_.purpose)
    if ruleset.sessions is not None:
        idle = duration_text(ruleset.sessions.idle_ms)
        found["sessions", ""] = _said(idle=idle, types=sorted(ruleset.sessions.types))
    found["on_activate", ""] = {"mode": "apply" if ruleset.applies else "silent"}
    found |= {("rules", rule.name): _rule(rule) for rule in (*ruleset.rules, *ruleset.whiles)}
    for name, segment in ruleset.segments.items():
        when = spell(segment.when) if segment.when is not None else ""
        edges = {"on_enter": _actions(segment.on_enter), "on_leave": _actions(segment.on_leave)}
        found["segments", name] = _said(when=when, **edges)
    for name, template in ruleset.templates.items():
        found["templates", name] = _said(subject=template.subject, text=template.text, html=template.html)
    return found


def _said(**facets: Any) -> Facets:
    """Without those that say nothing; a 0 says something."""
    return {name: value for name, value in facets.items() if value not in (None, "", [], {})}


def _rule(rule: Rule | While) -> Facets:
    if isinstance(rule, While):
        return {"while": spell(rule.when), "priority": rule.priority, "then": _actions(rule.then)}
    when = spell(rule.when) if rule.join is None else _join(rule.join)
    once = {"once_per": _once(rule.once)} if rule.once is not None else {}
    return {"when": when, "priority": rule.priority, **once, "then": _actions(rule.then)}


def _join(join: Join) -> Facets:
    parts: list[Facets] = []
    for ordinal, part in zip(ORDINALS, join.parts, strict=False):
        terms = [part.when, *([_own(part.relation, ordinal)] if part.relation is not None else [])]
        parts.append({ordinal: " and ".join(spell(term) for term in terms)})
    return {"all": parts, "within": duration_text(join.within_ms)}


def _own(relation: Node, ordinal: Ordinal) -> Node:
    """A part's own fact is called fact in it."""

    def named(node: Node) -> Node | None:
        return replace(node, root="fact") if isinstance(node, Field) and node.root == ordinal else None

    return rewrite(relation, named)


def _once(once: Once) -> str:
    if once.key is not None:
        return spell(once.key)
    return duration_text(once.window_ms) if once.window_ms else "contact"


def _actions(actions: Iterable[Action]) -> list[Facets]:
    return [_action(action) for action in actions]


def _action(action: Action) -> Facets:
    match action:
        case ScoreAction(name, add, set_, per):
            values = {"add": add, "set": set_, "per": per}
            return {"score": {"name": name, **_values({k: v for k, v in values.items() if v is not None})}}
        case SetAction(traits):
            return {"set": _values(traits)}
        case UnsetAction(traits):
            return {"unset": list(traits)}
        case AssertAction(type, properties):
            return {"assert": {"type": type, "properties": _values(properties)}}
        case SegmentAction(name, enter):
            return {"segment": {"enter" if enter else "leave": name}}
        case ListAction(name, add):
            return {"list": {"add" if add else "remove": name}}
        case IssueAction(kind, properties):
            return {"issue": {"kind": kind, **_values(properties)}}
        case SendAction():
            return {"send": _send(action)}
        case StartAction(journey):
            return {"start": journey}
        case StopAction(journey):
            return {"stop": journey}


def _send(action: SendAction) -> Facets:
    return _said(
        channel=action.channel,
        template=action.template,
        purpose=action.purpose,
        to=action.to,
        needs=sorted(action.needs),
        priority=action.priority or None,
        late=duration_text(action.late_ms) if action.late_ms is not None else None,
        if_held="expire" if action.expires else None,
        approval="required" if action.approval else None,
    )


def _values(values: Any) -> Facets:
    return {name: _value(value) for name, value in values.items()}


def _value(value: Value) -> Any:
    match value:
        case Literal(plain):
            if isinstance(plain, float) and plain.is_integer():
                return int(plain)
            return f"\\{plain}" if isinstance(plain, str) and plain.startswith("=") else plain
        case Items(items):
            return [_value(item) for item in items]
        case _:
            return f"= {spell(value)}"
