"""The models by name, and all of them over the same paths."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Literal, get_args

import msgspec

from overture.attribution.markov import Markov
from overture.attribution.paths import Credits, Model, Path
from overture.attribution.shapley import Shapley, ShapleyRate
from overture.attribution.weights import ByPath, by_position, decaying, first, last, linear
from overture.model import Refused


class Tuning(msgspec.Struct, frozen=True):
    """What can be set of models: ``half_life`` in ms; ``position``: the parts of first, middle and last, which add up
    to 1; ``order`` of the Markov chain.
    """

    half_life: int = 7 * 86_400_000
    position: tuple[float, float, float] = (0.4, 0.2, 0.4)
    order: int = 1


MODELS: Mapping[str, Callable[[Tuning], Model]] = {
    "first": lambda tuning: ByPath(first),
    "last": lambda tuning: ByPath(last),
    "linear": lambda tuning: ByPath(linear),
    "decay": lambda tuning: ByPath(decaying(tuning.half_life)),
    "position": lambda tuning: ByPath(by_position(*tuning.position)),
    "markov": lambda tuning: Markov(tuning.order),
    "shapley": lambda tuning: Shapley(),
    "shapley_rate": lambda tuning: ShapleyRate(),
}

ModelName = Literal["all", "first", "last", "linear", "decay", "position", "markov", "shapley", "shapley_rate"]
assert get_args(ModelName) == ("all", *MODELS)


def attribute(paths: Iterable[Path], names: Iterable[str], tuning: Tuning) -> dict[str, Credits | Refused]:
    """What each model gives to whom, in one pass over the paths; why not, where one cannot take them."""
    answers: dict[str, Credits | Refused] = {}
    models = {name: MODELS[name](tuning) for name in names}
    for path in paths:
        for name, model in models.items():
            if name not in answers:
                try:
                    model.add(path)
                except Refused as error:
                    answers[name] = error
    for name, model in models.items():
        if name not in answers:
            try:
                answers[name] = model.credits()
            except Refused as error:
                answers[name] = error
    return {name: answers[name] for name in models}
