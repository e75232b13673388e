"""The scorer ``fit``: how well a contact's traits fit who is looked for, by a table of points.

::

    score:
      name: fit
      by: fit
      with:
        traits:
          country: {is: {DE: 20, AT: 20, CH: 15}, otherwise: -10}
          seats: {at_least: {10: 15, 50: 30}}
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from overture.plugin import Scored, ScoreInput, ScorerPlugin, hookimpl


class Points(BaseModel):
    """What the values of one trait are worth: ``is``, by value; ``at_least``, by what a number reaches; or neither of
    these. A trait that is missing is worth nothing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    equals: dict[str, float] = Field(default={}, alias="is")
    at_least: dict[float, float] = {}
    otherwise: float = 0

    @model_validator(mode="after")
    def _says_something(self) -> Points:
        if not (self.equals or self.at_least):
            raise ValueError("say what it is worth: under `is`, `at_least` or both")
        return self

    def of(self, value: Any) -> float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        text = str(value).lower() if isinstance(value, bool) else str(value)
        if text in self.equals and isinstance(value, str | bool | int | float):
            return self.equals[text]
        reached = [least for least in self.at_least if number and value >= least]
        return self.at_least[max(reached)] if reached else self.otherwise


class FitConfig(BaseModel):
    """``traits``: the table, by trait. ``base``: what everybody has."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    traits: dict[str, Points] = Field(min_length=1, max_length=50)
    base: float = 0


class Fit:
    def __init__(self, config: FitConfig) -> None:
        self._config = config

    def score(self, given: ScoreInput) -> Scored:
        traits = given.contact.traits
        table = self._config.traits.items()
        worth = {name: points.of(traits[name]) for name, points in table if traits.get(name) is not None}
        return Scored(self._config.base + sum(worth.values()), {name: n for name, n in worth.items() if n})


@hookimpl
def overture_scorers() -> Iterable[ScorerPlugin[FitConfig]]:
    yield ScorerPlugin(name="fit", config=FitConfig, open=Fit, version="1")
