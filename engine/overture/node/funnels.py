"""The counts of journeys put together for a person who looks at them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence

from overture.deploy.contests import Standing, standings
from overture.model.intervals import CONFIDENCE, difference
from overture.node.underway import journey_id, unknown_journey
from overture.rules.durations import duration_text
from overture.state.funnel import HELD_OUT, Cell, Counts, Funnels
from overture.state.positions import Stand
from overture.state.registry import Registry
from overture.web.funnels import (
    Comparison,
    ContestState,
    Difference,
    Funnel,
    Group,
    JourneyState,
    RevisionFunnel,
    StepFunnel,
    VariantFunnel,
    WayCount,
)
from overture.worker.plans import Plans

Rows = Sequence[tuple[Cell, int]]


class FunnelService:
    """Implements `overture.web.funnels.Journeys`."""

    def __init__(self, funnels: Funnels, registry: Registry, plans: Plans) -> None:
        self._funnels = funnels
        self._registry = registry
        self._plans = plans

    async def list(self) -> list[JourneyState]:
        """Those of the active revisions, by id."""
        journeys = sorted((await self._plans.active()).journeys.items())
        standing = await self._registry.positions()
        counts = await asyncio.gather(*(self._funnels.of(id) for id, _ in journeys))
        return [
            _state(id, journey.revision, counted, standing)
            for (id, journey), counted in zip(journeys, counts, strict=True)
        ]

    async def funnel(self, name: str) -> Funnel:
        """Raises Refused 404 ``journey.unknown``, 400 ``journey.ambiguous``. One that is no longer active has a funnel
        as long as it was entered ever; it is asked for as ``ruleset/journey``.
        """
        program = await self._plans.active()
        id = name if "/" in name else journey_id(name, program.journeys, program)
        counts = await self._funnels.of(id)
        active = program.journeys.get(id)
        if active is None and not counts:
            raise unknown_journey(name, program)
        standing = await self._registry.positions()
        steps: dict[str, list[str]] = {r: [*journey.steps] for (j, r), journey in program.older.items() if j == id}
        if active is not None:
            steps = {active.revision: [*active.steps], **steps}
        revisions = dict.fromkeys((*steps, *sorted({cell.revision for cell in counts if cell.revision})))
        rows = {r: [(cell, n) for cell, n in counts.items() if cell.revision == r] for r in revisions}
        here = {r: Counter({s.step: n for s, n in standing.items() if s[:2] == (id, r)}) for r in revisions}
        every = list(counts.items())
        return Funnel(
            journey=id,
            entered=_sum(every, "entered"),
            under_way=sum(sum(stands.values()) for stands in here.values()),
            goal=_sum(every, "ended", detail="goal"),
            ended=_by_detail(every, "ended"),
            comparison=_comparison(every),
            revisions=[
                _revision(r, active is not None and r == active.revision, rows[r], here[r], steps.get(r, []))
                for r in revisions
            ],
            contests=[_contest(s) for s in standings(program, active, counts)] if active is not None else [],
        )


def _state(id: str, revision: str, counts: Counts, standing: Counter[Stand]) -> JourneyState:
    rows = list(counts.items())
    under_way = sum(n for stand, n in standing.items() if stand.journey == id)
    return JourneyState(id, revision, _sum(rows, "entered"), under_way, _sum(rows, "ended", detail="goal"))


def _revision(revision: str, active: bool, rows: Rows, here: Counter[str], order: list[str]) -> RevisionFunnel:
    steps = dict.fromkeys((*order, *sorted({cell.step for cell, _ in rows if cell.step} | here.keys())))
    return RevisionFunnel(
        revision=revision,
        active=active,
        entered=_sum(rows, "entered"),
        moved_in=_sum(rows, "moved_in"),
        moved_out=_sum(rows, "moved_out"),
        under_way=sum(here.values()),
        goal=_sum(rows, "ended", detail="goal"),
        ended=_by_detail(rows, "ended"),
        steps=[_step(step, [row for row in rows if row[0].step == step], here[step]) for step in steps],
        variants=[_variant(name, rows) for name in sorted({cell.variant for cell, _ in rows if cell.variant})],
        comparison=_comparison(rows),
    )


def _step(step: str, rows: Rows, here: int) -> StepFunnel:
    return StepFunnel(
        step=step,
        here=here,
        came=_sum(rows, "came"),
        passed=_sum(rows, "passed"),
        restarted=_sum(rows, "restarted"),
        left=_by_detail(rows, "ended"),
        messages=_sum(rows, "messages"),
        sent=_sum(rows, "sent"),
        held=_sum(rows, "held"),
        waiting=_sum(rows, "waiting"),
        suppressed=_by_detail(rows, "suppressed"),
        failed=_by_detail(rows, "failed"),
    )


def _variant(name: str, rows: Rows) -> VariantFunnel:
    split, _, way = name.partition("=")
    own = [(cell._replace(variant=""), n) for cell, n in rows if cell.variant == name]
    passed = _grouped((cell.step, n) for cell, n in own if cell.what == "passed")
    ended = _by_detail(own, "ended")
    return VariantFunnel(split, way, _sum(own, "entered"), ended.get("goal", 0), ended, passed)


def _comparison(rows: Rows) -> Comparison:
    treated, held_out = _group(rows, ""), _group(rows, HELD_OUT)
    found = difference(treated.goal, treated.entered, held_out.goal, held_out.entered)
    return Comparison(treated, held_out, None if found is None else Difference(*found, CONFIDENCE))


def _contest(standing: Standing) -> ContestState:
    lead = standing.lead
    return ContestState(
        split=standing.split.id,
        within=duration_text(standing.contest.within_ms),
        asked=standing.contest.certainty,
        ways=[WayCount(way, n, x, x / n if n else None) for way, (x, n) in standing.ways.items()],
        leader=lead.way if lead is not None and lead.certainty else None,
        certainty=lead.certainty if lead is not None else 0.0,
        winner=standing.winner or None,
    )


def _group(rows: Rows, group: str) -> Group:
    own = [row for row in rows if row[0].group == group]
    entered, goal = _sum(own, "entered"), _sum(own, "ended", detail="goal")
    return Group(entered, goal, goal / entered if entered else None)


def _sum(rows: Rows, what: str, detail: str | None = None) -> int:
    """Of all, whichever ways of splits they went."""
    return sum(n for cell, n in rows if cell.what == what and not cell.variant and detail in (None, cell.detail))


def _by_detail(rows: Rows, what: str) -> dict[str, int]:
    return _grouped((cell.detail, n) for cell, n in rows if cell.what == what and not cell.variant)


def _grouped(pairs: Iterable[tuple[str, int]]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for name, n in pairs:
        found[name] += n
    return {name: n for name, n in sorted(found.items()) if n}
