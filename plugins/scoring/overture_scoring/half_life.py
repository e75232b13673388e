"""The scorer ``half_life``: points for what happened last when, which halve in each half-life since.

The instants are traits that rules keep, such as ``set: {last_demo_at: "= fact.occurred_at"}``::

    score: {name: warmth, by: half_life, with: {days: 14, points: {last_demo_at: 40, last_visit_at: 10}}}
"""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict, Field

from overture.plugin import Scored, ScoreInput, ScorerPlugin, hookimpl

DAY = 86_400_000  # ms


class HalfLifeConfig(BaseModel):
    """``points`` by the trait that holds the instant; ``days``: in each such span they lose half of themselves."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    days: float = Field(gt=0, le=36_500)
    points: dict[str, float] = Field(min_length=1, max_length=50)


class HalfLife:
    def __init__(self, config: HalfLifeConfig) -> None:
        self._config = config

    def score(self, given: ScoreInput) -> Scored:
        worth: dict[str, float] = {}
        for name, points in self._config.points.items():
            at = given.contact.traits.get(name)
            if isinstance(at, int | float) and not isinstance(at, bool):
                worth[name] = round(points * 2.0 ** -(max(given.now - at, 0) / (self._config.days * DAY)), 6)
        return Scored(sum(worth.values()), worth)


@hookimpl
def overture_scorers() -> Iterable[ScorerPlugin[HalfLifeConfig]]:
    yield ScorerPlugin(name="half_life", config=HalfLifeConfig, open=HalfLife, version="1")
