"""Earlier revisions that go on deciding after an activation: contacts are still to finish their journeys on them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from overture.rules import Ruleset, RulesetInvalid, load
from overture.rules.redeploy import finishing, lacking
from overture.state.registry import ActiveSet, Registry

OLDER = 20  # revisions of one ruleset; who is on an even earlier one goes on by the active one


async def older_revisions(registry: Registry, version: int, new: Mapping[str, Ruleset]) -> list[Ruleset]:
    """Those that decide beside ``new``, which is to follow on ``version`` of the active set; oldest first.

    One that decided so before and on whose journeys nobody is any more is left out.
    """
    replaced: ActiveSet = await registry.active(version)
    counts = await registry.positions()
    settled = await registry.decided_by() >= version  # else somebody may still begin what was active before
    occupied = {(stand.journey.partition("/")[0], stand.revision) for stand in counts}
    pairs = [pair for pair in await registry.older(version) if pair in occupied or not settled]
    pairs += [pair for pair in replaced.items() if pair not in pairs]
    known = [ruleset for pair in pairs if (ruleset := await _known(registry, *pair)) is not None]
    kept: list[Ruleset] = []
    seen: Counter[str] = Counter()
    for ruleset in reversed(finishing(known, new)):
        seen[ruleset.name] += 1
        if seen[ruleset.name] <= OLDER:
            kept.insert(0, ruleset)
    return kept


async def stranded(registry: Registry, ruleset: Ruleset) -> dict[str, int]:
    """How many contacts stand at steps that the ruleset lacks, by journey and step (``cart.remind``)."""
    found: Counter[str] = Counter()
    for stand, n in (await registry.positions()).items():
        owner, _, journey = stand.journey.partition("/")
        if owner == ruleset.name and stand.revision != ruleset.revision and lacking(ruleset, journey, stand.step):
            found[f"{journey}.{stand.step}"] += n
    return dict(sorted(found.items()))


async def _known(registry: Registry, name: str, revision: str) -> Ruleset | None:
    """None where this version of Overture takes it no longer."""
    try:
        return load(await registry.activated(name, revision))
    except RulesetInvalid:
        return None
