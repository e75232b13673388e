"""The scorer ``rfm``: recency, frequency and monetary value of a buyer, each from 1 to 5, and the segment they make.

The three are traits that rules keep; the score is their three digits, so 543 is recency 5, frequency 4, monetary 3::

    - set:
        last_order_at: = fact.occurred_at
        orders: = count("order_completed", within="365d")
        spent: = total("order_completed", "total", within="365d")
    - score:
        name: rfm
        by: rfm
        with:
          recency: {trait: last_order_at, days: [14, 30, 90, 180]}
          frequency: {trait: orders, at_least: [2, 4, 8, 16]}
          monetary: {trait: spent, at_least: [50, 100, 250, 500]}
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from overture.plugin import Scored, ScoreInput, ScorerPlugin, hookimpl

DAY = 86_400_000  # ms
_CONFIG = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _rising(bounds: tuple[float, ...]) -> tuple[float, ...]:
    if any(low >= high for low, high in pairwise(bounds)):
        raise ValueError("the four bounds rise")
    return bounds


Bounds = Annotated[tuple[float, float, float, float], AfterValidator(_rising)]
Grades = Annotated[tuple[int, int], AfterValidator(lambda pair: tuple(sorted(pair)))]


class Recency(BaseModel):
    """``trait``: the instant of what happened last. Up to the first of ``days`` ago it is 5, after the last one 1."""

    model_config = _CONFIG

    trait: str
    days: Bounds


class Amount(BaseModel):
    """``trait``: a number. Below the first bound it is 1, from the last one on 5."""

    model_config = _CONFIG

    trait: str
    at_least: Bounds


class Cell(BaseModel):
    """A segment: from which grade to which, both included."""

    model_config = _CONFIG

    recency: Grades = (1, 5)
    frequency: Grades = (1, 5)
    monetary: Grades = (1, 5)


SEGMENTS = {
    "champions": Cell(recency=(4, 5), frequency=(4, 5), monetary=(4, 5)),
    "loyal": Cell(recency=(3, 5), frequency=(3, 5)),
    "new": Cell(recency=(5, 5), frequency=(1, 1)),
    "promising": Cell(recency=(3, 5)),
    "cannot lose": Cell(recency=(1, 2), frequency=(4, 5), monetary=(4, 5)),
    "at risk": Cell(recency=(1, 2), frequency=(3, 5)),
    "hibernating": Cell(recency=(2, 2)),
    "lost": Cell(recency=(1, 1)),
}


class RfmConfig(BaseModel):
    """``segments`` by name: a buyer is in the first that fits."""

    model_config = _CONFIG

    recency: Recency
    frequency: Amount
    monetary: Amount
    segments: dict[str, Cell] = Field(default=SEGMENTS, max_length=50)


class Rfm:
    """0 for who has never bought; a frequency or monetary value that is missing is graded 1."""

    def __init__(self, config: RfmConfig) -> None:
        self._config = config

    def score(self, given: ScoreInput) -> Scored:
        config, traits = self._config, given.contact.traits
        last = _number(traits, config.recency.trait)
        if last is None:
            return Scored(0)
        days = max(given.now - last, 0) / DAY
        grades = {
            "recency": 5 - bisect_left(config.recency.days, days),
            "frequency": _grade(traits, config.frequency),
            "monetary": _grade(traits, config.monetary),
        }
        told: dict[str, int] = dict(grades)
        for name, cell in config.segments.items():
            if all(low <= grades[part] <= high for part, (low, high) in cell):
                told[f"segment {name}"] = 1
                break
        return Scored(grades["recency"] * 100 + grades["frequency"] * 10 + grades["monetary"], told)


def _grade(traits: Mapping[str, Any], amount: Amount) -> int:
    value = _number(traits, amount.trait)
    return 1 if value is None else 1 + bisect_right(amount.at_least, value)


def _number(traits: Mapping[str, Any], name: str) -> float | None:
    value = traits.get(name)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


@hookimpl
def overture_scorers() -> Iterable[ScorerPlugin[RfmConfig]]:
    yield ScorerPlugin(name="rfm", config=RfmConfig, open=Rfm, version="1")
