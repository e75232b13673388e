"""Rules that say nothing of their own: another one does the same, or undoes all that they do."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from overture.rules.reach import conjuncts, reads
from overture.rules.report import Report
from overture.rules.ruleset import Action, Rule, ScoreAction, SetAction, UnsetAction, values_of
from overture.rules.spelling import spell
from overture.rules.told import actions_told


@dataclass(frozen=True, slots=True)
class _Seen:
    """A rule, the terms of its condition, and what it leaves set: trait or score → as what, spelled."""

    rule: Rule
    terms: frozenset[str]
    sets: Mapping[str, str] | None  # None where it does more than set


def check_shadowed(rules: Sequence[Rule], report: Report) -> None:
    """``rules`` are those of one document; of two that do the same the one that fires later is reported."""
    firing = sorted((r for r in rules if r.join is None), key=lambda r: (-r.priority, r.name))
    known: dict[object, Rule] = {}
    later: dict[str, list[_Seen]] = {}  # what is set, by rules that fire after the one at hand
    for rule in reversed(firing):
        item = _Seen(rule, frozenset(spell(t) for t in conjuncts(rule.when)), _sets(rule.then))
        once = rule.once and (rule.once.window_ms, rule.once.key and spell(rule.once.key))
        meaning = (item.terms, json.dumps(actions_told(rule.then), sort_keys=True), once)
        same = known.get(meaning)
        known[meaning] = rule
        if same is not None and rule.then:
            _report(report, same, f"does the same as {rule.name!r}, under the same condition", "Remove one.")
        elif item.sets:
            for other in later.get(next(iter(item.sets)), ()):
                if _overwrites(other, item):
                    what = f"sets what {other.rule.name!r} sets anew whenever it fires"
                    _report(report, rule, what, "Give it a lower priority, or the other a narrower condition.")
                    break
        for name in item.sets or ():
            later.setdefault(name, []).append(item)


def _report(report: Report, rule: Rule, what: str, hint: str) -> None:
    report.at("rule.shadowed", f"The rule {rule.name!r} {what}", rule.place, f"/rules/{rule.name}", hint)


def _overwrites(other: _Seen, item: _Seen) -> bool:
    """Whenever ``item`` fires, so does ``other`` after it, and sets all of the same to something else, unseen."""
    assert item.sets is not None
    return (
        other.sets is not None
        and other.rule.priority < item.rule.priority
        and other.rule.once is None
        and not any(reads(v) & item.sets.keys() for action in other.rule.then for v in values_of(action))
        and other.terms <= item.terms
        and item.rule.types <= other.rule.types
        and item.sets.keys() <= other.sets.keys()
        and any(other.sets[name] != value for name, value in item.sets.items())
    )


def _sets(then: Iterable[Action]) -> Mapping[str, str] | None:
    found: dict[str, str] = {}
    for action in then:
        match action:
            case SetAction(traits):
                found |= {f"traits.{name}": spell(value) for name, value in traits.items()}
            case UnsetAction(traits):
                found |= dict.fromkeys((f"traits.{name}" for name in traits), "")
            case ScoreAction(name, None, value, None) if value is not None:
                found[f"scores.{name}"] = spell(value)
            case _:
                return None
    return found
