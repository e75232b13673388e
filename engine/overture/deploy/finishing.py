"""Earlier revisions that go on deciding after an activation: contacts are still to finish their journeys on them."""

from __future__ import annotations

from collections import Counter

from overture.rules import Ruleset
from overture.rules.redeploy import lacking
from overture.state.registry import ActiveSet, Registry


async def older_revisions(registry: Registry, version: int, new: ActiveSet) -> list[str]:
    """The documents of those that may have to decide beside ``new``, the set that follows on ``version``; oldest first.

    One that decided so before and on whose journeys nobody is any more is left out.
    """
    replaced = await registry.activation(version)
    counts = await registry.positions()
    settled = await registry.decided_by() >= version  # else somebody may still begin what was active before
    occupied = {(stand.journey.partition("/")[0], stand.revision) for stand in counts}
    pairs = [pair for pair in replaced.older if pair in occupied or not settled]
    pairs += [pair for pair in replaced.rulesets.items() if pair not in pairs]
    return [await registry.activated(*pair) for pair in pairs if new.get(pair[0]) != pair[1]]


async def stranded(registry: Registry, ruleset: Ruleset) -> dict[str, int]:
    """How many contacts stand at steps that the ruleset lacks, by journey and step (``cart.remind``)."""
    found: Counter[str] = Counter()
    for stand, n in (await registry.positions()).items():
        owner, _, journey = stand.journey.partition("/")
        if owner == ruleset.name and stand.revision != ruleset.revision and lacking(ruleset, journey, stand.step):
            found[f"{journey}.{stand.step}"] += n
    return dict(sorted(found.items()))
