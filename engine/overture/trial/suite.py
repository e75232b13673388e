"""All tests of one ruleset: linked, checked, run."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from overture.decide import Plan
from overture.model import Diagnostic
from overture.model.artefact import Linear
from overture.model.script import Ask, unavailable
from overture.rules import Ruleset, RulesetInvalid, link
from overture.rules.report import Report, did_you_mean
from overture.trial.coverage import Covered
from overture.trial.document import Trial
from overture.trial.linking import needed
from overture.trial.names import Names
from overture.trial.results import Coverage, Outcome, Result
from overture.trial.running import Addresses, Run

_Set = frozenset[str]


def run(
    ruleset: Ruleset,
    trials: Sequence[Trial],
    library: Mapping[str, Ruleset],
    addresses: Addresses,
    channels: Collection[str] | None = None,
    ask: Ask = unavailable,
) -> Result:
    """Run the tests of a ruleset with what they need from the library (by name; the ruleset itself is in it).

    ``channels``: those installed; None leaves it unchecked whether those that are required are there. ``ask``: has
    scripts answer.
    """
    report = Report()
    plans: dict[_Set, Plan] = {}
    with report.until_full():
        try:
            own = _plan([ruleset.name], library, channels)
            plans[frozenset()] = own
            for trial in trials:
                others = _others(trial, library, report)
                if others is not None and others not in plans:
                    plans[others] = _plan([ruleset.name, *others], library, channels)
        except RulesetInvalid as error:
            return _refused(ruleset, error.diagnostics)
        known = {others: Names(plan.program) for others, plan in plans.items()}
        for trial in trials:
            if (names := known.get(_named(trial))) is not None:
                names.check(trial, report)
    if report.failed:
        return _refused(ruleset, report.ordered())
    covered = Covered()
    outcomes = [Run(t, _knowing(t, plans[_named(t)]), addresses, covered, ask).outcome() for t in trials]
    passed = all(outcome.passed for outcome in outcomes)
    coverage = covered.of(ruleset, plans[frozenset()].program)
    return Result(ruleset.name, passed, outcomes, report.ordered(), coverage)


def _knowing(trial: Trial, plan: Plan) -> Plan:
    """The plan with what the test says was learned."""
    if not trial.learned:
        return plan
    models = {model.name: model for model in plan.program.models.values()}
    learned = {
        models[k.model.text].id: Linear(models[k.model.text].edition, k.intercept, dict(k.weights))
        for k in trial.learned
    }
    return plan.learned(replace(plan.program, learned=learned))


def _named(trial: Trial) -> _Set:
    return frozenset(other.text for other in trial.rulesets)


def _others(trial: Trial, library: Mapping[str, Ruleset], report: Report) -> _Set | None:
    """The rulesets that the test names; None, and reported, where one is not there."""
    unknown = [other for other in trial.rulesets if other.text not in library]
    for other in unknown:
        hint = did_you_mean(other.text, library)
        report.add("test.ruleset", f"There is no ruleset {other.text!r} to run with", other, hint)
    return None if unknown else _named(trial)


def _plan(names: Sequence[str], library: Mapping[str, Ruleset], channels: Collection[str] | None) -> Plan:
    return Plan(link(needed(names, library), 1, channels))


def _refused(ruleset: Ruleset, findings: list[Diagnostic]) -> Result:
    none: list[Outcome] = []
    return Result(ruleset.name, False, none, findings, Coverage(0))
