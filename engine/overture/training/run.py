"""One training: documents and recorded facts in, an artefact and a report out. Nothing else is read or written."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

from msgspec.structs import replace

from overture.backtest.period import Bound
from overture.decide import Plan
from overture.model import Refused
from overture.model.artefact import digest, predict
from overture.model.pure import Pure
from overture.model.script import Ask, unavailable
from overture.rules import Ruleset, RulesetInvalid, link, load
from overture.rules.learning import Model
from overture.rules.report import Report as Findings
from overture.rules.yamltext import plain, read
from overture.training.examples import MOST, VALUES, Drawn, Example, Examples, last_of
from overture.training.facts import Source
from overture.training.fitting import Kind, fit, rates, require_sklearn
from overture.training.measure import measure
from overture.training.report import Against, Part, Report, Trained
from overture.training.split import Parts, parts

TESTED = 4  # the last one of so many parts of the record, where no split is asked for
_AGAINST = "_against"  # the feature that the plain rule is, for as long as the training lasts


class Asked(NamedTuple):
    """``texts``: the documents; ``model``: its name, or ``ruleset/name``, empty for the only one. ``split``: where what
    is learned from ends; ``until``: where tests end. ``against``: an expression that says more where it is likelier.
    """

    texts: Sequence[str]
    model: str = ""
    kind: Kind = "boosting"
    split: Bound | None = None
    until: Bound | None = None
    against: str = ""
    seed: int = 0


class Prepared(NamedTuple):
    """The parts of the record, as one training sees them. ``before``: all examples of which it was known by the split
    what came, in order."""

    model: Model
    before: list[Example]
    parts: Parts
    split: int
    seen: int
    failed: int


def train(asked: Asked, source: Source, pure: Pure, ask: Ask = unavailable) -> Trained:
    """``ask`` has scripts answer. Raises Refused (``train.…``) and RulesetInvalid."""
    require_sklearn()
    return fitted(asked, prepare(asked, source, pure, ask))


def prepare(asked: Asked, source: Source, pure: Pure, ask: Ask = unavailable) -> Prepared:
    """Decide the record, and split what was noted by time. Raises as `train`."""
    rulesets = [load(text, pure) for text in asked.texts]
    model = _model(rulesets, asked.model)
    with_rule = _with_rule(asked, rulesets, model, pure) if asked.against else rulesets
    watched = _model(with_rule, model.id)
    first, last = last_of(source)
    if not last:
        raise Refused("train.no_facts", "There are no facts to learn from.")
    split = asked.split.counted(last + 1) if asked.split else last - (last - first) // TESTED
    until = asked.until.counted(last + 1) if asked.until else last + 1
    examples = Examples(source, Plan(link(with_rule, 1), "reference"), watched, ask)
    most = min(MOST, VALUES // len(watched.features))
    before, tested = Drawn(most), Drawn(most)
    for example in map(_ruled, examples.read(last)):
        if example.at + model.within_ms <= split:
            before.add(example)
        elif split <= example.at < until:
            tested.add(example)
    known = before.in_order()
    divided = parts(known, tested.in_order(), model.within_ms, split)
    return Prepared(model, known, divided, split, before.seen + tested.seen, examples.failed)


def fitted(asked: Asked, given: Prepared) -> Trained:
    """One model, and how good it is on the part that is later than all it has seen."""
    early, held, tested = given.parts
    model, seed = given.model, asked.seed
    rows = [[each.features for each in part] for part in given.parts]
    outcomes = [[each.met for each in part] for part in given.parts]
    artefact = fit(asked.kind, model.edition, rows[0], outcomes[0], rows[1], outcomes[1], seed)
    contacts = [each.contact for each in tested]
    predicted = [predict(artefact, row).probability for row in rows[2]]
    against, rule = None, [each.rule for each in tested]
    if asked.against:
        known = rates([each.rule for each in given.before], [each.met for each in given.before])
        by_rule = measure(rule, outcomes[2], contacts, seed, probabilities=known(rule))
        against = Against(asked.against, by_rule)
    measured = measure(predicted, outcomes[2], contacts, seed, against=rule if asked.against else None)
    about: dict[str, float | str] = {
        "auc": round(measured.auc.value, 6),
        "ece": round(measured.ece, 6),
        "kind": asked.kind,
        "split": float(given.split),
    }
    artefact = replace(artefact, about=about)
    told = (_part(early), _part(held), _part(tested))
    asked_of = (model.id, asked.kind, digest(artefact), model.edition, given.split, model.within_ms, seed)
    return Trained(artefact, Report(*asked_of, given.seen, given.failed, *told, measured, against))


def _model(rulesets: Sequence[Ruleset], name: str) -> Model:
    found = [model for ruleset in rulesets for model in ruleset.models.values()]
    named = [model for model in found if name in ("", model.name, model.id)]
    if len(named) == 1:
        return named[0]
    there = ", ".join(model.id for model in found)
    if named:
        message = "Which model is meant is not said."
    else:
        message = f"There is no model {name} in these documents." if name else "There is no model in these documents."
    raise Refused("train.no_model", message, f"There are: {there}." if there else "Declare one under `models`.")


def _with_rule(asked: Asked, rulesets: Sequence[Ruleset], model: Model, pure: Pure) -> list[Ruleset]:
    """The same documents with the plain rule as one more feature, so that both see a contact at the same instant."""
    found: list[Ruleset] = []
    for text, ruleset in zip(asked.texts, rulesets, strict=True):
        if ruleset.name == model.ruleset:
            document = plain(cast(Any, read(text, Findings())))
            document["models"][model.name]["features"][_AGAINST] = asked.against
            try:
                ruleset = load(json.dumps(document), pure)
            except RulesetInvalid as error:
                why = error.diagnostics[0].message
                raise Refused("train.against", f"{asked.against!r} cannot be compared with: {why}.") from error
        found.append(ruleset)
    return found


def _ruled(example: Example) -> Example:
    """With what the plain rule said apart; where that is nothing, it stands below all that is something."""
    if _AGAINST not in example.features:
        return example
    said = example.features.pop(_AGAINST)
    return example._replace(rule=float(said) if isinstance(said, int | float) else float("-inf"))


def _part(examples: Sequence[Example]) -> Part:
    return Part(
        len(examples),
        sum(each.met for each in examples) / len(examples),
        len({each.contact for each in examples}),
        examples[0].at,
        examples[-1].at,
    )
