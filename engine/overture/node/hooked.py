"""What plugins offer besides channels and sources, opened for one process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from overture.intake.careful import identifiers
from overture.node.admission import Admission, acceptable
from overture.plugin.checking import HostedCheck
from overture.plugin.enriching import HostedEnricher
from overture.plugin.gating import HostedGate
from overture.plugin.kinds import BY_KIND, Kind
from overture.plugin.manager import PluginManager
from overture.plugin.observing import HostedObserver
from overture.plugin.redacting import HostedRedactor
from overture.plugin.resolving import HostedIdentity
from overture.settings import Settings


class Seen(Protocol):
    """What all of it can be asked by people."""

    @property
    def name(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def failures(self) -> int: ...
    @property
    def last(self) -> str: ...
    @property
    def dropped(self) -> int: ...


H = TypeVar("H", bound=Seen)


@dataclass(frozen=True, slots=True)
class Hooked:
    """By kind, in the order of their names."""

    identities: Sequence[HostedIdentity]
    enrichers: Sequence[HostedEnricher]
    redactors: Sequence[HostedRedactor]
    gates: Sequence[HostedGate]
    observers: Sequence[HostedObserver]
    checks: Sequence[HostedCheck]

    @classmethod
    def open(cls, plugins: PluginManager, settings: Settings) -> Hooked:
        """What is set up. What nothing may pass without being asked (identity, redactors, gates), and cannot be opened
        or is named in the settings and offered by nobody that could be loaded, is there as one that always fails.
        """
        stands_in = _StandIns(plugins, settings)

        def checking(name: str, why: str) -> HostedCheck:
            return HostedCheck(name, plugins.offered("health_check").get(name), None, why)

        return cls(
            _sorted(
                plugins.open("identity", lambda name, _, it: HostedIdentity(name, it, identifiers)).values(),
                stands_in.made("identity", lambda name, why: HostedIdentity(name, None, identifiers, why)),
            ),
            _sorted(plugins.open("enricher", HostedEnricher).values()),
            _sorted(
                plugins.open("redactor", lambda name, _, it: HostedRedactor(name, it, acceptable)).values(),
                stands_in.made("redactor", lambda name, why: HostedRedactor(name, None, acceptable, why)),
            ),
            _sorted(
                plugins.open("delivery_gate", lambda name, _, it: HostedGate(name, it)).values(),
                stands_in.made("delivery_gate", lambda name, why: HostedGate(name, None, why)),
            ),
            _sorted(plugins.open("observer", HostedObserver).values()),
            _sorted(
                plugins.open("health_check", HostedCheck).values(),
                stands_in.made("health_check", checking),
            ),
        )

    def admission(self) -> Admission:
        return Admission(self.identities, self.enrichers, self.redactors)

    def seen(self) -> dict[tuple[str, str], Seen]:
        """All of it by kind and name."""
        kinds: dict[Kind, Sequence[Seen]] = {
            "identity": self.identities,
            "enricher": self.enrichers,
            "redactor": self.redactors,
            "delivery_gate": self.gates,
            "observer": self.observers,
            "health_check": self.checks,
        }
        return {(kind, each.name): each for kind, all_ in kinds.items() for each in all_}

    async def close(self) -> None:
        """What that raises is of no use to anyone any more. Bounded."""
        opened = (*self.identities, *self.enrichers, *self.gates, *self.observers, *self.checks)
        await asyncio.gather(*(each.close() for each in opened))


class _StandIns:
    def __init__(self, plugins: PluginManager, settings: Settings) -> None:
        self._plugins = plugins
        self._settings = settings

    def made(self, kind: Kind, make: Callable[[str, str], H]) -> Iterable[H]:
        """Called once everything of the kind was opened."""
        of = BY_KIND[kind]
        if of.role not in self._settings.roles:
            return
        faults = self._plugins.faults(kind)
        known = self._plugins.offered(kind)
        for name, given in getattr(self._settings, of.table).items():
            if str(given.get("plugin", name)) not in known:
                faults.setdefault(name, "no plugin that could be loaded offers it")
        for name, why in faults.items():
            yield make(name, why)


def _sorted(opened: Iterable[H], stand_ins: Iterable[H] = ()) -> list[H]:
    """``stand_ins`` is looked at after what is opened: only then is it known what could not be."""
    return sorted([*opened, *stand_ins], key=lambda each: each.name)
