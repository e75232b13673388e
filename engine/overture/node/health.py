"""Is this process able to serve, and what is it?"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from overture.delivery.loop import Deliverer
from overture.deploy.rulesets import Rulesets
from overture.match import available
from overture.model import OvertureError, clock
from overture.node.gauges import Gauges
from overture.plugin.checking import HostedCheck
from overture.plugin.host import HostedChannel
from overture.plugin.listening import HostedPush
from overture.plugin.manager import PluginManager
from overture.settings import Settings
from overture.state.probe import StoreFacts
from overture.worker.loop import Worker


class Health:
    """Implements `overture.web.services.Health`."""

    def __init__(
        self,
        settings: Settings,
        store: StoreFacts,
        gauges: Gauges,
        rulesets: Rulesets,
        worker: Worker | None,
        deliverer: Deliverer | None,
        plugins: PluginManager,
        channels: Mapping[str, HostedChannel],
        sources: Collection[HostedPush],
        checks: Sequence[HostedCheck],
    ) -> None:
        self._settings = settings
        self._store = store
        self._gauges = gauges
        self._rulesets = rulesets
        self._worker = worker
        self._deliverer = deliverer
        self._plugins = plugins
        self._channels = channels
        self._sources = sources
        self._checks = checks

    async def ready(self) -> dict[str, Any]:
        """``ready`` and why: the store with its durability, the active revisions, how far the workers are behind."""
        told: dict[str, Any] = {
            "ready": True,
            "roles": sorted(self._settings.roles),
            "matcher": self._settings.matcher if available() else "reference",
            "clock": {"now": clock.to_text(clock.now()), "ahead_ms": clock.ahead()},
            "store": {
                "kind": self._store.kind,
                "version": self._store.version,
                "durability": self._store.durability,
                "weakness": self._store.weakness,
            },
            "plugins": [{"name": p.name, "state": p.state, "error": p.error} for p in self._plugins.states()],
            "channels": {name: channel.state for name, channel in self._channels.items()},
            "sources": {source.name: source.state for source in self._sources},
        }
        errors = await asyncio.gather(*(check.error() for check in self._checks))
        told["checks"] = {
            check.name: {"well": not error, "required": check.required, "error": error}
            for check, error in zip(self._checks, errors, strict=True)
        }
        for check, error in zip(self._checks, errors, strict=True):
            if error and check.required:
                told |= {"ready": False, "error": error}
        try:
            await self._gauges.refresh()
            version, active = await self._rulesets.active()
            sweep = await self._gauges.sweep(version)
        except OvertureError as error:
            return {**told, "ready": False, "error": str(error)}
        told |= {"program": version, "rulesets": active, "sweep": sweep, "lag": self._gauges.lag}
        told |= {"accepted": self._gauges.accepted, "decided": self._gauges.decided}
        for name, part in (("worker", self._worker), ("delivery", self._deliverer)):
            if part is not None and not part.healthy:
                told |= {"ready": False, "error": f"The {name} cannot renew its leases."}
        if self._worker is not None and self._worker.refusal:
            told |= {"ready": False, "error": self._worker.refusal}
        return told
