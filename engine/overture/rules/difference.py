"""What two documents of a ruleset say differently: its meaning, not text, order, layout or comments."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any
from typing import Literal as OneOf

from overture.rules.durations import duration_text
from overture.rules.rewrite import rewrite
from overture.rules.ruleset import Join, Once, Rule, Ruleset, While
from overture.rules.spelling import spell
from overture.rules.told import (
    Facets,
    actions_told,
    choice_told,
    form_told,
    journey_told,
    model_told,
    said,
    script_told,
    sending_told,
)
from overture.rules.tree import ORDINALS, Field, Node, Ordinal


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


_ORDER = (
    "requires", "facts", "traits", "scores", "lists", "sessions", "sending", "holdout", "rules", "segments", "journeys",
    "forms", "choices", "models", "scripts", "on_activate", "templates",
)  # fmt: skip


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
        found["scores", name] = said(per=score.per, min=score.minimum, max=score.maximum, half_life=half_life)
    for name, list_ in ruleset.lists.items():
        found["lists", name] = said(channel=list_.channel, purpose=list_.purpose)
    if ruleset.sessions is not None:
        idle = duration_text(ruleset.sessions.idle_ms)
        found["sessions", ""] = said(idle=idle, types=sorted(ruleset.sessions.types))
    if ruleset.sending is not None:
        found["sending", ""] = sending_told(ruleset.sending)
    found["holdout", ""] = {"percent": ruleset.holdout}
    found |= {("journeys", name): journey_told(journey) for name, journey in ruleset.journeys.items()}
    found |= {("forms", name): form_told(form) for name, form in ruleset.forms.items()}
    found |= {("choices", name): choice_told(choice) for name, choice in ruleset.choices.items()}
    found |= {("models", name): model_told(model) for name, model in ruleset.models.items()}
    found |= {("scripts", name): script_told(script) for name, script in ruleset.scripts.items()}
    found["on_activate", ""] = {"mode": "apply" if ruleset.applies else "silent"}
    found |= {("rules", rule.name): _rule(rule) for rule in (*ruleset.rules, *ruleset.whiles)}
    for name, segment in ruleset.segments.items():
        when = spell(segment.when) if segment.when is not None else ""
        edges = {"on_enter": actions_told(segment.on_enter), "on_leave": actions_told(segment.on_leave)}
        found["segments", name] = said(when=when, **edges)
    found |= {("blocks", name): said(locked=block.locked, **block.parts) for name, block in ruleset.blocks.items()}
    for name, template in ruleset.templates.items():
        found["templates", name] = said(
            subject=template.subject,
            text=template.text,
            html=template.html,
            mjml=template.mjml,
            data=template.data if template.builder is None else {"script": template.builder.name},
        )
    return found


def _rule(rule: Rule | While) -> Facets:
    if isinstance(rule, While):
        return {"while": spell(rule.when), "priority": rule.priority, "then": actions_told(rule.then)}
    when = spell(rule.when) if rule.join is None else _join(rule.join)
    once = {"once_per": _once(rule.once)} if rule.once is not None else {}
    return {"when": when, "priority": rule.priority, **once, "then": actions_told(rule.then)}


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
