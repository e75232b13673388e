"""What one commit of one partition holds: facts decided in order, and those that nothing can decide."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field

from overture.decide import step
from overture.model import Contact, Fact, Step, clock
from overture.state.checkpoint import Checkpoint
from overture.worker.partition import Partition
from overture.worker.plans import Plans

log = logging.getLogger("overture.worker")

SLICE = 64  # facts decided before other tasks of this process get a turn


@dataclass(slots=True)
class Batch:
    """``after``: where the partition stands once this is committed. ``dead``: facts set aside, with the reason."""

    part: Partition
    after: Checkpoint
    steps: list[Step] = field(default_factory=list[Step])
    dead: list[tuple[Fact, str]] = field(default_factory=list[tuple[Fact, str]])


async def decide(part: Partition, facts: list[Fact], after: Checkpoint, plans: Plans) -> Batch:
    """Decide facts in their order, with the states that the partition has at hand."""
    batch = Batch(part, after)
    version = part.at.version
    now = clock.now()
    for n, fact in enumerate(facts):
        if fact.type == "$activate":
            version = int(fact.properties["version"])
            part.plan = await plans.plan(version, part.plan.kind)
            continue
        contact = part.cache.get(fact.contact) or Contact(fact.contact)
        try:
            outcome = step(contact, fact, part.plan, now)
        except Exception as error:
            log.exception("Fact %s cannot be decided", fact.id)
            batch.dead.append((fact, describe(error)))
            continue
        part.cache[fact.contact] = outcome.contact
        batch.steps.append(outcome)
        if n % SLICE == SLICE - 1:
            await asyncio.sleep(0)
    batch.after = Checkpoint(after.entry, after.facts, version)
    return batch


def describe(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
