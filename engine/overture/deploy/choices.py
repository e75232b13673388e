"""Choices that learn: what was counted becomes a posterior, and a posterior that shows other things decides."""

from __future__ import annotations

import asyncio
import logging

from overture.decide.choosing import Sampler, learned_as
from overture.model import Refused, clock
from overture.model.artefact import Artefact, Posterior
from overture.model.sampler import beliefs, best_of
from overture.rules.ruleset import Choice
from overture.state.choices import Cell, ChoiceCounts, Counts
from overture.state.registry import Registry
from overture.worker.plans import Plans

log = logging.getLogger("overture.deploy")

PAUSE = 60_000  # ms between two activations
ENOUGH = 0.01  # of all impressions: a variant whose share changes by less is shown as before


def posterior(choice: Choice, counts: Counts) -> Posterior:
    """What the counts of its edition say. It takes some milliseconds to work out."""
    arms: dict[str, tuple[float, float]] = {}
    for variant in choice.variants:
        cell = Cell(choice.id, choice.edition, variant.name, "reached")
        reached = counts[cell]
        arms[variant.name] = (float(reached), float(counts[cell._replace(what="counted")] - reached))
    best = best_of(beliefs([*arms.values()]))
    examples = int(sum(good + bad for good, bad in arms.values()))
    return Posterior(choice.edition, arms, examples, {}, dict(zip(arms, best, strict=True)))


def differs(choice: Choice, known: Artefact | None, new: Posterior) -> bool:
    """Whether contacts would be shown something else by it, by more than `ENOUGH`."""
    every = tuple(range(len(choice.variants)))
    before, after = (Sampler(choice, each).shares(every) for each in (known, new))
    return max(abs(a - b) for a, b in zip(before, after, strict=True)) > ENOUGH


class Learning:
    """Looks at all active choices. Any process may, at any time: the change is one atomic move, and nothing is lost
    where another one comes first.
    """

    def __init__(self, registry: Registry, counts: ChoiceCounts, plans: Plans) -> None:
        self._registry = registry
        self._counts = counts
        self._plans = plans
        self._last = -PAUSE

    async def settle(self) -> list[str]:
        """Decide by what was counted; answers the choices that show something else from now on.

        Raises Refused where the active rulesets cannot be used, StoreUnavailable.
        """
        now = clock.now()
        if now - self._last < PAUSE:
            return []
        program = await self._plans.active()
        found: dict[str, Artefact | None] = {}
        for id, choice in program.choices.items():
            counts = await self._counts.of(id)
            new = await asyncio.to_thread(posterior, choice, counts)
            known = program.learned.get(learned_as(id))
            if await asyncio.to_thread(differs, choice, known, new):
                found[learned_as(id)] = new
        if not found:
            return []
        try:
            version = await self._registry.learn(found, now)
        except Refused as error:
            if error.code != "ruleset.changed":
                raise
            return []  # the next look is at what has become active meanwhile
        self._last = now
        log.info("By version %d, what was learned is shown by %s.", version, ", ".join(found))
        return list(found)
