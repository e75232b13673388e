"""Programs by version: what is active stays at hand, however much is asked about the past."""

from __future__ import annotations

import asyncio
from pathlib import Path

from workerkit import Bed

from overture.model.artefact import Linear, digest
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


async def test_however_many_ask_for_a_version_at_once_it_is_linked_once(store_url: str, tmp_path: Path) -> None:
    async with Bed(store_url, tmp_path) as bed:
        plans = Plans(bed.registry, "reference")
        made = await asyncio.gather(*(plans.plan(1) for _ in range(8)), *(plans.plan(1, "durable") for _ in range(8)))
        assert len({id(plan.program) for plan in made}) == 1
        assert [len({id(plan) for plan in some}) for some in (made[:8], made[8:])] == [1, 1]
        assert made[0] is await plans.plan(1)


async def test_what_was_learned_decides_without_anything_being_compiled_or_swept_again(
    store_url: str, tmp_path: Path
) -> None:
    first, second = Linear("e", 0.5, {"baskets": 1.0}), Linear("e", 0.7, {"baskets": 1.5})
    async with Bed(store_url, tmp_path) as bed:
        plans = Plans(bed.registry, "reference")
        before = await plans.plan(1)
        assert await bed.registry.learn({"count/buys": first}, 0) == 2
        assert await bed.registry.learn({"count/buys": first}, 0) == 2  # that is so already
        assert await bed.registry.learn({"count/buys": second, "count/b": first}, 0) == 3
        plan = await plans.plan(3)
        assert (plan.version, plan.base) == (3, 1)
        assert plan.matcher is before.matcher
        assert plan.program.learned == {"count/buys": second, "count/b": first}
        assert (await Plans(bed.registry, "reference").plan(3)).program.learned == plan.program.learned
        assert await bed.registry.learn({"count/b": None}, 0) == 4
        assert (await bed.registry.activation(4)).learned == {"count/buys": digest(second)}
        assert (await plans.plan(4)).program.learned["count/buys"] is plan.program.learned["count/buys"]
        assert (await plans.plan(2)).program.learned == {"count/buys": first}
        await bed.join()
        await bed.feed("ada")
        await bed.drained()
        ada = await bed.contacts.get("ada")
        assert ada is not None
        assert ada.program == 1  # not 4: there was nothing to catch up with


async def test_an_activation_is_not_like_the_beginning_when_nothing_was_active(store_url: str, tmp_path: Path) -> None:
    async with Bed(store_url, tmp_path) as bed:
        plans = Plans(bed.registry, "reference")
        assert (await plans.plan(0)).program.rules == ()
        assert (await plans.plan(1)).program.rules != ()
