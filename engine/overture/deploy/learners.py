"""Models that learn: examples are read in their order by the process that holds partition 0, and what was learned
decides by an activation.
"""

from __future__ import annotations

import asyncio
import logging

from overture.deploy import online
from overture.model import Refused, clock
from overture.model.artefact import Artefact, Linear
from overture.model.learned import Learned
from overture.rules.learning import Model
from overture.rules.program import Program
from overture.state import examples, learners
from overture.state.examples import Counted
from overture.state.learners import Learner
from overture.state.lease import Leases
from overture.state.registry import Registry
from overture.state.wire import Wire
from overture.worker.plans import Plans

log = logging.getLogger("overture.deploy")

ENOUGH = 0.05  # of the logarithm of odds: what differs by less decides as before
FORGOTTEN = 30 * 86_400_000  # ms after which nothing is kept for a model that no active ruleset has
NOT_INSTALLED = "Learning needs river, which is not installed: pip install 'overture[learning]'."


class Learners:
    """``leases``: the worker's. ``every`` (ms): between two activations of a model, at least."""

    def __init__(
        self, wire: Wire, leases: Leases | None, registry: Registry, plans: Plans, partitions: int, every: int
    ) -> None:
        self._wire = wire
        self._leases = leases
        self._registry = registry
        self._plans = plans
        self._partitions = partitions
        self._every = every
        self._told = False

    async def settle(self) -> list[str]:
        """Learn from what has counted since; answers the models that decide by something new from now on.

        Raises Refused where the active rulesets cannot be used, StoreUnavailable, Fenced.
        """
        lease = self._leases.held.get(0) if self._leases is not None else None
        if self._leases is None or lease is None:
            return []
        program = await self._plans.active()
        known = await learners.load(self._wire)
        if not program.models and not known:
            return []
        now = clock.now()
        changed: dict[str, Learner] = {}
        for model in program.models.values():
            learner = known.setdefault(model.key, Learner())
            if await self._learn(model, learner):
                learner.at = now
                changed[model.key] = learner
        keys = {model.key for model in program.models.values()}
        gone = [key for key, each in known.items() if key not in keys and each.at < now - FORGOTTEN]
        if changed or gone:
            await self._leases.commit(lease, [*learners.save(changed), *learners.drop(gone)])
        for key, learner in changed.items():
            await examples.forget(self._wire, key, learner.places)
        for key in gone:
            await examples.drop(self._wire, key, self._partitions)
        return await self._activate(program, known, now)

    async def _learn(self, model: Model, learner: Learner) -> bool:
        """Whether there was anything to learn from."""
        if model.kind == "online" and not online.available():
            if not self._told:
                log.warning("%s The models stay as they are.", NOT_INSTALLED)
                self._told = True
            return False
        found = await examples.after(self._wire, model.key, learner.places, self._partitions)
        if found:
            await asyncio.to_thread(_take_in, model, learner, found)
        return bool(found)

    async def _activate(self, program: Program, known: dict[str, Learner], now: int) -> list[str]:
        """Let decide what has changed enough, unless a version is pinned. Nothing is lost where others are faster."""
        pinned = (await self._registry.activation(program.version)).pinned
        found: dict[str, Artefact | None] = {}
        for model in program.models.values():
            if model.kind == "online" and model.id not in pinned:
                new = news(model, program.learned.get(model.id), known[model.key].learned, now, self._every)
                found |= {} if new is None else {model.id: new}
        if not found:
            return []
        try:
            version = await self._registry.learn(found, now, expected=program.version)
        except Refused as error:
            if error.code != "ruleset.changed":
                raise
            return []
        log.info("By version %d, what was learned decides for %s.", version, ", ".join(found))
        return list(found)


def news(model: Model, deciding: Artefact | None, known: Learned, now: int, every: int) -> Linear | None:
    """What is to decide from now on in place of ``deciding``; None: that goes on."""
    same = deciding if isinstance(deciding, Linear) and deciding.edition == model.edition else None
    made = same.about.get("at") if same is not None else None  # of a put one: whatever its maker noted down
    if (isinstance(made, int | float) and 0 <= now - made < every) or online.why_not(known):
        return None
    new = online.artefact(known, model.edition, now)
    return new if same is None or online.differs(same, new) >= ENOUGH else None


def _take_in(model: Model, learner: Learner, found: list[Counted]) -> None:
    told = [(each.outcome.features, each.outcome.met) for each in found]
    if model.kind == "online":
        online.learn(learner.learned, told)
    else:
        online.watch(learner.learned, [each.outcome for each in found])
    for each in found:
        learner.places[each.p] = each.number
