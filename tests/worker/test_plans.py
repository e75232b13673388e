"""Programs by version: what is active stays at hand, however much is asked about the past."""

from __future__ import annotations

from pathlib import Path

from workerkit import Bed

from overture.worker.plans import KEPT, Plans


async def test_what_is_active_stays_at_hand(store_url: str, tmp_path: Path) -> None:
    async with Bed(store_url, tmp_path) as bed:
        current = await bed.registry.activation(1)
        for version in range(1, KEPT + 3):
            await bed.registry.activate(version, current, 0)
        plans = Plans(bed.registry, "reference")
        active, plan = await plans.active(), await plans.plan(KEPT + 3)
        assert active.version == KEPT + 3
        past = await plans.program(1)
        for version in range(2, KEPT + 3):
            await plans.plan(version)
            assert await plans.active() is active
            assert await plans.plan(KEPT + 3) is plan
        assert await plans.program(1) is not past
        assert (await plans.program(1)).version == 1
