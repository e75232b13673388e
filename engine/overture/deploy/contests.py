"""Splits that look for a winner: who leads by what was counted so far, and making a lead that is certain the rule."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from overture.decide.exposures import MISSED, REACHED
from overture.model import Refused, clock
from overture.model.evidence import Count, Lead, lead
from overture.rules.journey import Contest, Journey, Split, contests
from overture.rules.program import Program
from overture.state.funnel import Counts, Funnels
from overture.state.registry import Registry
from overture.worker.plans import Plans

log = logging.getLogger("overture.deploy")


@dataclass(frozen=True, slots=True)
class Standing:
    """How it stands between the ways of a split. ``winner``: the one that all go who come now; empty until there is."""

    journey: Journey
    split: Split
    contest: Contest
    ways: dict[str, Count]
    lead: Lead | None
    winner: str

    @property
    def id(self) -> str:
        return f"{self.journey.id}.{self.split.id}"

    @property
    def certain(self) -> str:
        """The way whose lead is as certain as was asked for; empty where there is none."""
        return self.lead.way if self.lead is not None and self.lead.certainty >= self.contest.certainty else ""


def standings(program: Program, journey: Journey, counts: Counts) -> Iterator[Standing]:
    """Of the splits of an active journey; ``counts`` are its funnel's, over all revisions that say the same of it."""
    for split, contest in contests(journey):
        ways = _tally(journey, split, counts)
        winner = program.winner(journey, split)
        found = lead(ways, {way.name: way.weight for way in split.ways})
        yield Standing(journey, split, contest, ways, found, winner.name if winner is not None else "")


def _tally(journey: Journey, split: Split, counts: Counts) -> dict[str, Count]:
    found: Counter[tuple[str, str]] = Counter()
    for cell, n in counts.items():
        edition, _, outcome = cell.detail.partition(":")
        if (cell.what, cell.step, edition) == ("outcome", split.id, journey.edition):
            found[cell.variant.partition("=")[2], outcome] += n
    return {
        way.name: Count(found[way.name, REACHED], found[way.name, REACHED] + found[way.name, MISSED])
        for way in split.ways
    }


class Contests:
    """Looks at all splits of the active journeys. Any process may, at any time: the change is one atomic move, and
    nothing is lost where another one comes first.
    """

    def __init__(self, registry: Registry, funnels: Funnels, plans: Plans) -> None:
        self._registry = registry
        self._funnels = funnels
        self._plans = plans

    async def settle(self) -> list[Standing]:
        """Activate what is certain; answers those of which the winner was found just now.

        Raises Refused where the active rulesets cannot be used, StoreUnavailable.
        """
        version = await self._registry.version()
        program = await self._plans.program(version)
        found: list[Standing] = []
        for journey in program.journeys.values():
            if any(contests(journey)):
                counts = await self._funnels.of(journey.id)
                found += (s for s in standings(program, journey, counts) if not s.winner and s.certain)
        if not found:
            return []
        by = await self._registry.activation(version)
        winners = {**by.winners, **{standing.id: (standing.journey.edition, standing.certain) for standing in found}}
        try:
            await self._registry.activate(version, msgspec.structs.replace(by, winners=winners, base=0), clock.now())
        except Refused as error:
            if error.code != "ruleset.changed":
                raise
            return []  # the next look is at what has become active meanwhile
        for standing in found:
            log.info("The split %s has a winner: %s.", standing.id, standing.certain)
        return found
