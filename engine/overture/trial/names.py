"""Do the names in a test exist in the rulesets it runs with? A typing mistake would make it pass or fail for ever."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from overture.decide.positions import ENDS
from overture.rules import Program
from overture.rules.journey import Do
from overture.rules.report import Report, did_you_mean
from overture.rules.ruleset import Action, AssertAction, IssueAction, SendAction
from overture.rules.scope import BUILT_IN
from overture.rules.types import Type, parse_type
from overture.trial.document import Claim, Expect, Given, Named, Show, Trial

_TRAITS = {"email": Type("string", optional=True), "timezone": Type("string", optional=True)}
"""Traits that mean something to Overture itself or its channels, declared or not."""


_ENDED = ("ended", *(f"end:{outcome}" for outcome in ENDS))


class Names:
    """Everything that a test of this program may name."""

    def __init__(self, program: Program) -> None:
        rulesets = program.rulesets.values()
        self.program = program
        self.facts = {name: dict(fields) for name, fields in BUILT_IN.items()}
        self.traits = dict(_TRAITS)
        for ruleset in rulesets:
            self.traits |= _types(ruleset.traits)
            for name, fields in ruleset.facts.items():
                self.facts.setdefault(name, {}).update(_types(fields))
        self.rules = {rule.name: rule.id for rule in (*program.rules, *program.whiles)}
        self.journeys = {journey.name: journey for journey in program.journeys.values()}
        self.models = {model.name for model in program.models.values()}
        self.segments = {segment.name for segment in program.segments}
        edges = [(s.ruleset, f"{s.name}.{e}") for s in program.segments for e in ("on_enter", "on_leave")]
        actions: list[Action] = [a for r in (*program.rules, *program.whiles) for a in r.then]
        actions += [a for s in program.segments for a in (*s.on_enter, *s.on_leave)]
        steps = [(j, step) for j in program.journeys.values() for step in j.steps.values() if isinstance(step, Do)]
        actions += [action for _, step in steps for action in step.then]
        sends = [action for action in actions if isinstance(action, SendAction)]
        self.derived = {action.type for action in actions if isinstance(action, AssertAction)}
        self.issued = {action.kind for action in actions if isinstance(action, IssueAction)}
        self.sent = {
            "template": {template for send in sends for template in send.templates},
            "channel": {*(send.channel for send in sends), *_chosen(program)} - {""},
            "purpose": {send.purpose for send in sends},
            "rule": {
                *self.rules.values(),
                *(f"{ruleset}/{edge}" for ruleset, edge in edges),
                *(f"{j.id}.{step.id}" for j, step in steps),
            },
        }
        self.suppressible = {
            *self.rules,
            *self.traits,
            *program.scores,
            *program.lists,
            *self.derived,
            *self.issued,
            *self.models,
        }
        self.suppressible |= self.sent["template"] | {journey.id for journey in program.journeys.values()}

    def check(self, trial: Trial, report: Report) -> None:
        for known in trial.learned:
            if known.model.text not in self.models:
                hint = did_you_mean(known.model.text, self.models)
                message = f"There is no model {known.model.text!r}"
                report.at("test.unknown", message, known.model.place, known.model.pointer, hint)
        if trial.given is not None:
            self._given(trial.given, report)
        for step in trial.steps:
            if isinstance(step, Show):
                self._fact(step, report)
            elif isinstance(step, Expect):
                for claim in step.claims:
                    self._claim(claim, report)

    def _given(self, given: Given, report: Report) -> None:
        properties = given.drafts[0].properties
        for name, written in given.traits.items():
            self._value(name, properties[name], self.traits, written, "trait.unknown", "trait", report)

    def _fact(self, step: Show, report: Report) -> None:
        type, properties = step.draft.type, step.draft.properties
        fields = self.facts.get(type)
        if fields is None:
            message = f"No ruleset of this test knows facts of the type {type[:80]!r}"
            report.add("fact.unknown", message, step.fields["type"], did_you_mean(type, self.facts))
            return
        code, what = ("trait.unknown", "trait") if type == "identify" else ("test.field", f"field of {type!r}")
        known = self.traits if type == "identify" else fields
        for name, value in properties.items():
            self._value(name, value, known, step.fields[name], code, what, report)
        for name, kind in fields.items():
            if name not in properties and not kind.optional:
                report.add("test.value", f"The field {name!r} of {type!r} is missing", step, "Every such fact has it.")

    def _value(
        self, name: str, value: Any, known: Mapping[str, Type], where: Named, code: str, what: str, report: Report
    ) -> None:
        kind = known.get(name)
        if kind is None:
            report.add(code, f"{name[:80]!r} is no {what}", where, did_you_mean(name, known))
        elif not _fits(value, kind):
            report.add("test.value", f"{name!r} is declared as {kind}", where)

    def _claim(self, claim: Claim, report: Report) -> None:
        match claim.kind:
            case "scores":
                self._score(claim, report)
            case "traits":
                _known(claim, self.traits, "trait.unknown", report)
            case "segments":
                _known(claim, self.segments, "segment.unknown", report)
            case "lists":
                _known(claim, self.program.lists, "list.unknown", report)
            case "facts":
                code = "test.unknown" if claim.path[0] in self.facts else "fact.unknown"
                if _known(claim, self.derived, code, report):
                    self._derived(claim, report)
            case "issued":
                _known(claim, self.issued, "test.unknown", report)
            case "held":
                _known(claim, self.sent["template"], "test.unknown", report)
            case "suppressed":
                _known(claim, self.suppressible, "test.unknown", report)
            case "sent":
                self._sent(claim, report)
            case "journey":
                self._journey(claim, report)
            case "error":
                pass

    def _derived(self, claim: Claim, report: Report) -> None:
        type = claim.path[0]
        fields = self.facts.get(type, {})
        each: list[dict[str, Any]] = [] if isinstance(claim.expected, int) else claim.expected
        for said in each:
            for name in sorted(said.keys() - fields.keys()):
                message = f"{name[:80]!r} is no field of {type!r}"
                report.add("test.field", message, claim.name, did_you_mean(name, fields))

    def _sent(self, claim: Claim, report: Report) -> None:
        for said in claim.expected:
            for key, known in self.sent.items():
                if key in said and said[key] not in known:
                    message = f"No action sends with the {key} {said[key][:80]!r}"
                    report.add("test.unknown", message, claim.name, did_you_mean(said[key], known))

    def _journey(self, claim: Claim, report: Report) -> None:
        name, *key = claim.path
        if not _known(claim, self.journeys, "journey.unknown", report):
            return
        journey = self.journeys[name]
        if (journey.key is not None) != bool(key):
            kept, hint = ("for each key", "{key: step}") if journey.key is not None else ("once", "step")
            report.add(
                "test.value", f"A contact is on the journey {name!r} {kept}", claim.name, f"Write {name}: {hint}."
            )
        said = claim.expected
        if said is not None and said not in journey.steps and said not in _ENDED:
            hint = did_you_mean(said, (*journey.steps, *_ENDED))
            report.add("test.unknown", f"The journey {name!r} has no step {said[:80]!r}", claim.name, hint)

    def _score(self, claim: Claim, report: Report) -> None:
        name, *key = claim.path
        if _known(claim, self.program.scores, "score.unknown", report):
            keyed = bool(self.program.scores[name].per)
            if keyed != bool(key):
                kept, hint = ("kept per key", "{key: number}") if keyed else ("one number", "number")
                report.add("score.key", f"The score {name!r} is {kept}", claim.name, f"Write {name}: {hint}.")


def _known(claim: Claim, known: Collection[str], code: str, report: Report) -> bool:
    name = claim.path[0]
    if name not in known:
        what = {"facts": "rule derives", "issued": "rule issues", "suppressed": "action or rule is named"}
        what["held"] = "action sends"
        said = what.get(claim.kind, f"ruleset of this test declares, under {claim.kind},")
        report.add(code, f"No {said} {name[:80]!r}", claim.name, did_you_mean(name, known))
        return False
    return True


def _chosen(program: Program) -> set[str]:
    """The channels that the send gate may choose from."""
    return {name for ruleset in program.rulesets.values() if ruleset.sending for name in ruleset.sending.channels}


def _types(written: Mapping[str, Any]) -> dict[str, Type]:
    types = {name: parse_type(str(kind)) for name, kind in written.items()}
    return {name: kind for name, kind in types.items() if kind is not None}


def _fits(value: Any, kind: Type) -> bool:
    if value is None:
        return kind.optional
    match kind.group:
        case "text":
            return isinstance(value, str)
        case "number":
            return type(value) is int or (type(value) is float and kind.kind != "int")
        case "boolean":
            return type(value) is bool
        case "list":
            return isinstance(value, list)
        case "object":
            return isinstance(value, dict)
        case _:
            return True
