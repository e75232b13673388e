"""The check of a scorer catches each way to break the contract, and names it."""

from __future__ import annotations

import itertools
import time
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from overture.plugin import Scored, ScoreInput, ScorerPlugin
from overture.testing import check_scorer, score_input

INPUTS = [score_input(properties={"total": n, "items": [n]}, traits={"plan": "pro"}) for n in (1, 20)]


class Config(BaseModel):
    model_config = ConfigDict(extra="forbid")
    factor: float = 1.0


class Careless(BaseModel):
    model_config = ConfigDict(extra="allow")
    factor: float = 1.0


class Good:
    def __init__(self, config: Config) -> None:
        self.factor = config.factor
        self.calls = itertools.count()

    def score(self, given: ScoreInput) -> Any:
        total = given.fact.properties.get("total", 0)
        return Scored(self.factor * total, {"total": total})


class Remembers(Good):
    def score(self, given: ScoreInput) -> Any:
        return Scored(next(self.calls))


class RemembersPerScorer(Good):
    seen: Any = None

    def score(self, given: ScoreInput) -> Any:
        self.seen = self.seen or given.fact.properties.get("total", 5)
        return Scored(self.seen + given.fact.properties.get("total", 0))


class Infinite(Good):
    def score(self, given: ScoreInput) -> Any:
        return Scored(float("inf"))


class Changes(Good):
    def score(self, given: ScoreInput) -> Any:
        given.fact.properties._values["total"] = 7  # type: ignore[attr-defined]
        return super().score(given)


class Raises(Good):
    def score(self, given: ScoreInput) -> Any:
        return Scored(given.fact.properties["total"])


class WrongType(Good):
    def score(self, given: ScoreInput) -> Any:
        return 7


class Slow(Good):
    def score(self, given: ScoreInput) -> Any:
        time.sleep(30)


class Same(Good):
    def score(self, given: ScoreInput) -> Any:
        return Scored(1)


class WrongShare(Good):
    def score(self, given: ScoreInput) -> Any:
        return Scored(given.fact.properties.get("total", 0), {"total": "much"})  # type: ignore[dict-item]


def plugin(open: type[Good], config: type[Any] = Config) -> ScorerPlugin[Any]:
    return ScorerPlugin(name="s", config=config, open=open, version="1")


@pytest.mark.parametrize(
    ("scorer", "sentence"),
    [
        (Remembers, "the same input must give the same score"),
        (RemembersPerScorer, "the same input must give the same score by another scorer"),
        (Infinite, "value of a score is a finite number, not inf"),
        (Changes, "a scorer does not change its input"),
        (Raises, "must not raise, whatever is missing in its input: KeyError"),
        (WrongType, "answers Scored, not 7"),
        (Slow, "must be quick: The scorer s kept the process to itself for 100 ms"),
        (Same, "inputs that should not score the same did"),
        (WrongShare, "total of a score is a finite number, not 'much'"),
    ],
)
def test_a_broken_scorer_is_caught(scorer: type[Good], sentence: str) -> None:
    inputs = [score_input(properties={"total": n}) for n in (1, 20)]
    with pytest.raises(AssertionError, match=sentence):
        check_scorer(plugin(scorer), {"factor": 2}, inputs)


def test_settings_that_there_are_not_are_refused() -> None:
    with pytest.raises(AssertionError, match="a setting that there is not must be refused"):
        check_scorer(plugin(Good, Careless), {}, INPUTS)


def test_a_sound_scorer_passes() -> None:
    check_scorer(plugin(Good), {"factor": 2}, INPUTS)
