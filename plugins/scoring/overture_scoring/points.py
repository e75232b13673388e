"""The scorer ``points``: what each kind of fact is worth, no further than to a cap, and what all kinds come to.

Kept apart by kind in a score with keys, which fades by its own half-life, and added up in another one::

    scores:
      deeds: {per: type, decay: {half_life: 14d}}
      lead: {min: 0, max: 100, decay: {half_life: 14d}}
    rules:
      deeds:
        when: fact.type in ["page_viewed", "demo_requested", "order_completed"]
        then:
          - score:
              name: deeds
              by: points
              per: = fact.type
              with: {facts: {page_viewed: {points: 2, cap: 10}, demo_requested: 40, order_completed: {points: 0.1, times: total}}}
          - score: {name: lead, by: points, with: {of: deeds}}
"""  # noqa: E501

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from overture.plugin import Scored, ScoreInput, ScorerPlugin, hookimpl

TOLD = 60  # shares that are told; the plugin contract allows a few more


class Worth(BaseModel):
    """``points`` of one fact, for each of the property ``times`` if that is given. ``cap``: such facts lead no further
    than there, and do not take back what is beyond it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    points: float
    times: str = ""
    cap: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _rises(self) -> Worth:
        if self.cap is not None and self.points <= 0:
            raise ValueError("a cap is for points above 0")
        return self

    def on(self, before: float, properties: Mapping[str, Any]) -> float:
        """What stood at ``before`` after one more such fact. A property that is no number counts nothing."""
        times = properties.get(self.times) if self.times else 1
        if not isinstance(times, int | float) or isinstance(times, bool):
            return before
        after = before + self.points * times
        return after if self.cap is None else min(after, max(before, self.cap))


class PointsConfig(BaseModel):
    """Either ``facts``, what one is worth by its type (a number, or a `Worth`), or ``of``, the score with keys whose
    values are added up.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    facts: dict[str, float | Worth] = Field(default={}, max_length=100)
    of: str = ""

    @model_validator(mode="after")
    def _one_of_both(self) -> PointsConfig:
        if bool(self.facts) == bool(self.of):
            raise ValueError("say either what `facts` are worth, or the score `of` which this is the sum")
        return self


class Points:
    def __init__(self, config: PointsConfig) -> None:
        self._of = config.of
        self._worth = {
            name: each if isinstance(each, Worth) else Worth(points=each) for name, each in config.facts.items()
        }

    def score(self, given: ScoreInput) -> Scored:
        if self._of:
            return self._sum(given.contact.scores.get(self._of))
        before = _number(given.contact.scores.get(given.score), given.key)
        worth = self._worth.get(given.fact.type)
        after = before if worth is None else worth.on(before, given.fact.properties)
        return Scored(after, {"before": before, given.fact.type: after - before})

    def _sum(self, kept: Any) -> Scored:
        shares = {key: _number(kept, key) for key in kept} if isinstance(kept, Mapping) else {}
        largest = sorted(shares, key=lambda key: (-abs(shares[key]), key))
        told = {key: shares[key] for key in largest[:TOLD] if shares[key]}
        if rest := sum(shares[key] for key in largest[TOLD:]):
            told["all others"] = rest
        return Scored(sum(shares.values()), told)


def _number(kept: Any, key: str) -> float:
    value = kept.get(key) if isinstance(kept, Mapping) else None if key else kept
    return value if isinstance(value, int | float) else 0


@hookimpl
def overture_scorers() -> Iterable[ScorerPlugin[PointsConfig]]:
    yield ScorerPlugin(name="points", config=PointsConfig, open=Points, version="1")
