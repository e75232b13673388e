"""Before anything starts: can the rulesets that accepted facts are still to be decided by be used?"""

from __future__ import annotations

from overture.model import Refused, StartupRefused
from overture.model.pure import Pure
from overture.settings import Settings
from overture.state.registry import Registry
from overture.state.wire import Wire
from overture.worker.plans import Plans


async def require_usable(wire: Wire, settings: Settings, pure: Pure) -> None:
    """Load every active set from that of the slowest partition to the newest. ``pure``: what plugins add to rulesets.

    Raises StartupRefused ``ruleset.refused`` for one that this version refuses, ``ruleset.lost`` for one without text.
    """
    registry = Registry(wire, settings.partitions)
    slowest = await registry.decided_by()
    plans = Plans(registry, "reference", pure)
    try:
        for version in range(slowest, await registry.version() + 1):
            await plans.program(version)
    except Refused as error:
        if error.code == "ruleset.lost":
            raise StartupRefused("ruleset.lost", error.message, error.hint) from error
        raise StartupRefused("ruleset.refused", error.message, error.hint) from error
