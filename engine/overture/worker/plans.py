"""Plans by version of the active set: loaded from the registry, compiled once, kept while in use."""

from __future__ import annotations

from typing import Any, Literal

from overture.decide import Plan
from overture.rules import Program, Ruleset, link, load
from overture.state.registry import Registry

KEPT = 4


class Plans:
    """Turns versions of the active set into plans; one of each kind (``durable``, ``reference``) per version."""

    def __init__(self, registry: Registry, kind: Literal["durable", "reference"]) -> None:
        self.kind: Literal["durable", "reference"] = kind
        self._registry = registry
        self._programs: dict[int, Program] = {}
        self._rulesets: dict[tuple[str, str], Ruleset] = {}
        self._plans: dict[tuple[int, str], Plan] = {}

    async def program(self, version: int) -> Program:
        """The linked rulesets of one version; version 0 is empty."""
        program = self._programs.get(version)
        if program is None:
            active = await self._registry.active(version)
            rulesets = [await self._ruleset(name, revision) for name, revision in sorted(active.items())]
            since = await self._registry.series(version)
            program = self._programs[version] = link(rulesets, version, since=since)
            _forget(self._programs)
        return program

    async def plan(self, version: int, kind: Literal["durable", "reference"] | None = None) -> Plan:
        """The plan of one version."""
        kind = kind or self.kind
        plan = self._plans.get((version, kind))
        if plan is None:
            plan = self._plans[version, kind] = Plan(await self.program(version), kind)
            _forget(self._plans)
        return plan

    async def _ruleset(self, name: str, revision: str) -> Ruleset:
        ruleset = self._rulesets.get((name, revision))
        if ruleset is None:
            ruleset = self._rulesets[name, revision] = load(await self._registry.activated(name, revision))
        return ruleset


def _forget(kept: dict[Any, Any]) -> None:
    while len(kept) > KEPT:
        del kept[next(iter(kept))]
