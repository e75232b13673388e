"""Examples that models learn from: noted when a contact is scored, counted once when it is known what came of it.

All count at the same age, those with the outcome and those without: who counted as soon as the outcome came, and the
others only when their time is over, would make it look more frequent than it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from dataclasses import replace as changed
from typing import Any

from msgspec.structs import replace

from overture.decide import limits
from overture.decide.work import Work
from overture.match import compile_condition, compile_value
from overture.model import Contact, Effect, Fact
from overture.model.artefact import Feature, Linear, Prediction, Predictor, Trees, digest, predict
from overture.model.example import Example, Outcome, featured
from overture.rules.learning import Model
from overture.rules.program import Program

EXAMPLES = "examples"
"""The path that changes where an example is noted or counted."""


PRIOR = "prior"
"""In place of a version: what the document says that the score is before anything was learned."""

ROUND = 6  # decimals of probabilities and contributions in a trace


@dataclass(frozen=True, slots=True)
class Learning:
    """The models of a program, by the key of their examples: which facts each predicts, and what decides, with its
    version.
    """

    outcomes: Mapping[str, tuple[tuple[str, Callable[[Fact, Contact], bool]], ...]]
    keys: frozenset[str]
    deciding: Mapping[str, tuple[Predictor, str]]

    @classmethod
    def of(cls, program: Program) -> Learning | None:
        """None where there are none."""
        asked: dict[str, list[tuple[str, Callable[[Fact, Contact], bool]]]] = {}
        for model in program.models.values():
            test = compile_condition(model.predict)
            for type in model.types:
                asked.setdefault(type, []).append((model.key, test))
        keys = frozenset(model.key for model in program.models.values())
        outcomes = {type: tuple(tests) for type, tests in asked.items()}
        return cls(outcomes, keys, _deciding(program)) if keys else None

    def learned(self, program: Program) -> Learning:
        """The same for a program that differs in what was learned alone."""
        return changed(self, deciding=_deciding(program))

    def observe(self, work: Work, fact: Fact) -> None:
        """A fact is shown to the rules: it may be what was predicted."""
        known = work.contact.examples
        for key, came in self.outcomes.get(fact.type, ()):
            at = fact.occurred_at
            if any(_awaits(example, at) for example in known.get(key, ())) and came(fact, work.contact):
                known[key] = [replace(e, met=True) if _awaits(e, at) else e for e in known[key]]

    def still_asked(self, contact: Contact) -> dict[str, list[Example]]:
        """The contact's examples without those that no model is for any more."""
        return {key: found for key, found in contact.examples.items() if key in self.keys}


def _deciding(program: Program) -> dict[str, tuple[Predictor, str]]:
    """What was learned of the models as they ask now."""
    found: dict[str, tuple[Predictor, str]] = {}
    for model in program.models.values():
        artefact = program.learned.get(model.id)
        if isinstance(artefact, Linear | Trees) and artefact.edition == model.edition:
            found[model.key] = artefact, digest(artefact)
    return found


def compile_prediction(model: Model) -> Callable[[Work, Fact, str], tuple[float | None, Effect]]:
    """(working copy, fact, path of the score) → the probability, None where nothing was learned, and what tells of it.
    An example is noted besides.
    """
    getters = [(name, compile_value(node)) for name, node in model.features.items()]

    def predicted(work: Work, fact: Fact, path: str) -> tuple[float | None, Effect]:
        learning = work.learning
        features = featured({name: get(fact, work.contact) for name, get in getters})
        known = None if learning is None else learning.deciding.get(model.key)
        said = None if known is None else _rounded(predict(known[0], features))
        version = "" if known is None else known[1]
        if learning is not None and model.key in learning.keys:
            note(work, model, features, 0.0 if said is None else said.probability, version)
        if said is not None:
            told = {"value": said.probability, "contributions": said.contributions}
            return said.probability, Effect("scorer", model.name, path, version, told)
        if model.otherwise is not None:
            prior: dict[str, Any] = {"value": model.otherwise, "contributions": {}}
            return model.otherwise, Effect("scorer", model.name, path, PRIOR, prior)
        sentence = f"Nothing has been learned for {model.id} yet."
        return None, Effect("scorer", model.name, path, "", sentence, "model.nothing_learned")

    return predicted


def _rounded(said: Prediction) -> Prediction:
    shares = {name: round(n, ROUND) for name, n in said.contributions.items()}
    return Prediction(round(said.probability, ROUND), shares)


def note(work: Work, model: Model, features: dict[str, Feature], probability: float, version: str) -> None:
    """The contact is scored just now. Where its last example is too near, or it has too many, this is none."""
    contact = work.contact
    known = contact.examples.get(model.key, [])
    if known and contact.clock < known[-1].at + model.every_ms:
        return
    if sum(len(found) for found in contact.examples.values()) >= limits.EXAMPLES:
        return
    example = Example(contact.clock, contact.clock + model.within_ms, features, probability, version)
    contact.examples[model.key] = [*(e for e in known if not e.counted), example]
    work.touched.add(EXAMPLES)


def count(work: Work) -> None:
    """Those whose time is over."""
    contact = work.contact
    for key, known in contact.examples.items():
        if not any(_due(example, contact.clock) for example in known):
            continue
        over = [example for example in known if _due(example, contact.clock)]
        work.outcomes += ((key, Outcome(e.due, e.features, e.met, e.probability, e.version)) for e in over)
        last = known[-1]
        mark = [Example(last.at, last.due, counted=True)] if last in over else []
        contact.examples[key] = [e for e in known if e not in over and not e.counted] + mark
        work.touched.add(EXAMPLES)


def next_count(contact: Contact) -> int | None:
    """When the first of them counts."""
    return min((e.due for known in contact.examples.values() for e in known if not e.counted), default=None)


def take_over(work: Work, theirs: Contact) -> None:
    """Who becomes known: what it does from now on is the outcome of what was said of it before, too."""
    mine = work.contact.examples
    for key, known in theirs.examples.items():
        both = sorted((*mine.get(key, ()), *known), key=lambda e: e.at)
        mine[key] = [e for e in both if not e.counted or e is both[-1]]
    while sum(len(found) for found in mine.values()) > limits.EXAMPLES:
        longest = max(mine, key=lambda key: len(mine[key]))
        mine[longest] = mine[longest][1:]
    if theirs.examples:
        work.touched.add(EXAMPLES)


def _awaits(example: Example, at: int) -> bool:
    return not example.counted and not example.met and example.at < at < example.due


def _due(example: Example, now: int) -> bool:
    return not example.counted and example.due <= now
