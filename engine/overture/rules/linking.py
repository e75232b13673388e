"""Several active rulesets made one program: in firing order, with conflicts between them refused."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType
from typing import Any

from overture.rules.blocklink import Whole, check_blocks, whole_of_older
from overture.rules.choice import check_choice
from overture.rules.clocked import Decay, check_clock, comes_by_time
from overture.rules.conflicts import check_derived, check_traits, segment_order
from overture.rules.feedback import check_feedback
from overture.rules.form import Form
from overture.rules.journey import Do, Journey, acting, awaits, conditions_of
from overture.rules.program import Learned, Program, Winners, expressions
from overture.rules.reach import named_types, reads
from overture.rules.report import Report, RulesetInvalid
from overture.rules.ruleset import (
    Action,
    ListAction,
    ListDecl,
    Rule,
    Ruleset,
    RunAction,
    ScoreAction,
    ScoreDecl,
    Segment,
    SegmentAction,
    Sessions,
    While,
    half_lives_of,
)
from overture.rules.series import PROGRAM_SERIES, Since, series_of
from overture.rules.tree import NOWHERE, Place
from overture.rules.types import parse_type


def link(
    rulesets: Sequence[Ruleset],
    version: int,
    channels: Collection[str] | None = None,
    since: Mapping[str, Sequence[int]] = MappingProxyType({}),
    older: Sequence[Ruleset] = (),
    winners: Winners = MappingProxyType({}),
    learned: Learned = MappingProxyType({}),
    base: int = 0,
) -> Program:
    """Link checked rulesets. ``channels``: the installed ones; None leaves required channels unchecked. ``since``: the
    rows of `Since` of this version, as they are stored. ``older``: earlier revisions on whose journeys contacts are to
    finish; a journey that moves what nothing declares any more is left out. ``winners`` of splits, and what was
    ``learned``, by this version. ``base``: see `Program`; 0: it is this one.

    Raises `RulesetInvalid` for what is wrong between them; each pointer begins with the ruleset's name.
    """
    report = Report()
    ordered = sorted(rulesets, key=lambda r: r.name)
    scores: dict[str, ScoreDecl] = {}
    lists: dict[str, ListDecl] = {}
    segments: dict[str, Segment] = {}
    sessions: dict[str, Sessions] = {}
    forms: dict[str, Form] = {}
    journeys: dict[str, Journey] = {}
    made: Whole = {}
    in_order: list[Segment] = []
    rules = sorted((r for s in ordered for r in s.rules), key=_firing_order)
    whiles = sorted((w for s in ordered for w in s.whiles), key=_firing_order)
    with report.until_full():
        for a, b in pairwise(ordered):
            if a.name == b.name:
                _conflict(report, b, "", f"There are two rulesets named {a.name!r}")
        for ruleset in ordered:
            _merge(report, ruleset, "scores", ruleset.scores, scores)
            _merge(report, ruleset, "lists", ruleset.lists, lists)
            _merge(report, ruleset, "forms", ruleset.forms, forms)
            _merge_segments(report, ruleset, segments)
            if ruleset.sessions is not None:
                _merge(report, ruleset, "", {"sessions": ruleset.sessions}, sessions)
        blocks = {name for ruleset in ordered for name in ruleset.blocks if name.partition("/")[0] == ruleset.name}
        provided = {"scores": scores, "segments": segments, "lists": lists, "channels": channels, "blocks": blocks}
        _requirements(report, ordered, provided)
        made = check_blocks(ordered, report)
        _types(report, ordered)
        _moves(report, ordered, segments)
        check_choice(ordered, report)
        in_order = segment_order(segments, report)
        if check_derived(rules, segments.values(), report) and len(in_order) == len(segments):
            check_feedback(rules, segments.values(), whiles, report)
        check_traits(rules, whiles, report)
        decay = Decay(half_lives_of(scores))
        rules = [decay.rule(rule) for rule in rules]
        whiles = [decay.while_(rule) for rule in whiles]
        in_order = [decay.segment(segment) for segment in in_order]
        for section, followed in (("segments", in_order), ("rules", whiles)):
            for item in followed:
                if item.when is not None:
                    check_clock(item.when, report, f"{item.ruleset}#/{section}/{item.name}")
        journeys = {j.id: decay.journey(j) for ruleset in ordered for j in ruleset.journeys.values()}
        for journey in journeys.values():
            for when in filter(comes_by_time, awaits(journey)):
                check_clock(when, report, f"{journey.ruleset}#/journeys/{journey.name}")
        _held(report, whiles, decay)
        _bounded_series(report, ordered)
    if report.failed:
        raise RulesetInvalid(report.diagnostics)
    finishing = {
        (j.id, j.revision): decay.journey(j)
        for ruleset in older
        for j in ruleset.journeys.values()
        if _still_fits(j, scores, segments, lists)
    }
    travelled = (*journeys.values(), *finishing.values())
    choices = {c.id: decay.choice(c) for ruleset in ordered for c in ruleset.choices.values()}
    models = {m.id: decay.model(m) for ruleset in ordered for m in ruleset.models.values()}
    older_choices = {(c.id, c.revision): decay.choice(c) for ruleset in older for c in ruleset.choices.values()}
    chosen = (*choices.values(), *older_choices.values())
    series = series_of(expressions(rules, whiles, in_order, travelled, chosen, models.values()))
    awaited = frozenset[str]().union(*(named_types(when) for j in travelled for when in conditions_of(j)))
    awaited = awaited.union(*(choice.types for choice in chosen))
    predicted = frozenset[str]().union(*(model.types for model in models.values()))
    by_type: dict[str, list[Rule]] = {}
    for rule in rules:
        for fact_type in rule.types:
            by_type.setdefault(fact_type, []).append(rule)
    return Program(
        version,
        MappingProxyType({r.name: r for r in ordered}),
        tuple(rules),
        MappingProxyType({t: tuple(found) for t, found in by_type.items()}),
        tuple(in_order),
        MappingProxyType({s.name: reads(s.when) for s in in_order if s.when is not None}),
        MappingProxyType(scores),
        MappingProxyType(lists),
        frozenset(by_type) | {decl.key.type for decl in series.values()} | awaited | predicted,
        tuple(whiles),
        MappingProxyType({w.id: reads(w.when) for w in whiles}),
        MappingProxyType(series),
        sessions.get("sessions"),
        {id: Since(*row) for id, row in since.items()},
        MappingProxyType(journeys),
        MappingProxyType(finishing),
        MappingProxyType({(r.name, r.revision): r for r in older}),
        MappingProxyType(forms),
        winners,
        learned,
        base or version,
        MappingProxyType(choices),
        MappingProxyType(older_choices),
        MappingProxyType(models),
        MappingProxyType({**whole_of_older(older, {r.name: r for r in ordered}), **made}),
    )


def _still_fits(
    journey: Journey, scores: Collection[str], segments: Mapping[str, Segment], lists: Collection[str]
) -> bool:
    """Whether all that the actions of an earlier revision move is still declared, and may be moved."""
    for action in (action for step in journey.steps.values() if isinstance(step, Do) for action in step.then):
        match action:
            case ScoreAction(name) if name not in scores:
                return False
            case ListAction(name) if name not in lists:
                return False
            case SegmentAction(name) if name not in segments or segments[name].when is not None:
                return False
            case RunAction(_, changes) if not (
                changes.scores <= set(scores)
                and changes.lists <= set(lists)
                and all(name in segments and segments[name].when is None for name in changes.segments)
            ):
                return False
            case _:
                pass
    return True


def _firing_order(rule: Rule | While) -> tuple[int, str, str]:
    return (-rule.priority, rule.ruleset, rule.name)


def _bounded_series(report: Report, rulesets: Sequence[Ruleset]) -> None:
    """What each of them may remember by itself, they may together not."""
    each = (
        (
            s,
            expressions(
                s.rules, s.whiles, s.segments.values(), s.journeys.values(), s.choices.values(), s.models.values()
            ),
        )
        for s in rulesets
    )
    known: set[str] = set()
    for ruleset, nodes in each:
        known |= series_of(nodes).keys()
        if len(known) > PROGRAM_SERIES:
            message = (
                f"With {ruleset.name!r} the active rulesets ask for {len(known)} series, more than {PROGRAM_SERIES}"
            )
            report.at("history.too_many", message, NOWHERE, ruleset.name, "Ask less of the history in one of them.")
            return


def _conflict(report: Report, ruleset: Ruleset, pointer: str, message: str, place: Place = NOWHERE) -> None:
    report.at(
        "link.duplicate", message, place, f"{ruleset.name}{pointer}", "Let one declare it and the other require it."
    )


def _merge(report: Report, ruleset: Ruleset, section: str, declared: Mapping[str, Any], into: dict[str, Any]) -> None:
    """The same declaration in two rulesets is one; different ones are a conflict."""
    for name, decl in declared.items():
        if into.setdefault(name, decl) != decl:
            path = f"{section}/{name}" if section else name
            message = f"{path} is declared differently in another active ruleset"
            _conflict(report, ruleset, f"#/{path}", message, ruleset.place(path))


def _merge_segments(report: Report, ruleset: Ruleset, into: dict[str, Segment]) -> None:
    for name, segment in ruleset.segments.items():
        other = into.setdefault(name, segment)
        contents = [s for s in (segment, other) if s.when is not None or s.on_enter or s.on_leave]
        if other is not segment and contents:
            message = f"The segment {name!r} is declared in {other.ruleset!r} too, and not both are empty"
            _conflict(report, ruleset, f"#/segments/{name}", message, segment.place)


def _requirements(report: Report, rulesets: Sequence[Ruleset], provided: Mapping[str, Collection[str] | None]) -> None:
    for ruleset in rulesets:
        for section, names in ruleset.requires.items():
            there = provided.get(section)
            for name in names:
                if there is not None and name not in there:
                    hint = "Install the channel." if section == "channels" else "Activate the ruleset that declares it."
                    message = f"{ruleset.name!r} requires {section}: {name!r}, and no active ruleset provides it"
                    place = ruleset.place(f"requires/{section}/{name}")
                    report.at("link.unmet", message, place, f"{ruleset.name}#/requires/{section}", hint)


def _types(report: Report, rulesets: Sequence[Ruleset]) -> None:
    """Two rulesets may know different fields of a fact, but not disagree on the type of one."""
    seen: dict[str, tuple[str, str]] = {}
    for ruleset in rulesets:
        fields = {f"traits/{name}": str(kind) for name, kind in ruleset.traits.items()}
        fields |= {
            f"facts/{fact}/{name}": str(kind) for fact, all_ in ruleset.facts.items() for name, kind in all_.items()
        }
        for path, written in fields.items():
            other, by = seen.setdefault(path, (written, ruleset.name))
            ours, theirs = parse_type(written), parse_type(other)
            if ours and theirs and not ours.fits(theirs):
                message = f"{path} is {ours} in {ruleset.name!r} and {theirs} in {by!r}"
                report.at(
                    "link.type_conflict", message, ruleset.place(path), f"{ruleset.name}#/{path}", "Agree on one type."
                )


def _held(report: Report, whiles: Sequence[While], decay: Decay) -> None:
    """A required score turns out to decay only here: then no ``while`` may hold points in it."""
    for rule in whiles:
        for action in rule.then:
            if isinstance(action, ScoreAction) and action.name in decay.half_lives:
                message = f"The score {action.name!r} decays, so a `while` cannot hold points in it"
                report.at("while.action", message, rule.place, f"{rule.ruleset}#/rules/{rule.name}")


def _moved(action: Action) -> Collection[str]:
    """The segments that an action may move a contact into or out of."""
    match action:
        case SegmentAction(name):
            return (name,)
        case RunAction(_, changes):
            return sorted(changes.segments)
        case _:
            return ()


def _moves(report: Report, rulesets: Sequence[Ruleset], segments: Mapping[str, Segment]) -> None:
    """A required segment turns out to have a condition only here: then no action may move it."""
    for ruleset in rulesets:
        for place, _, actions in acting(ruleset):
            for name in (name for action in actions for name in _moved(action)):
                target = segments.get(name)
                if target is not None and target.when is not None:
                    message = f"The segment {target.name!r} of {target.ruleset!r} follows its condition"
                    report.at("segment.computed", message, place, ruleset.name, "Change what the condition reads.")
