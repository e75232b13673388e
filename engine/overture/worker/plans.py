"""Plans by version of the active set: loaded from the registry, compiled once, kept while in use."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Literal, TypeVar

from overture.decide import Plan
from overture.model import Refused
from overture.model.artefact import Artefact
from overture.model.pure import NO_PLUGINS, Pure
from overture.rules import Program, Ruleset, RulesetInvalid, link, load
from overture.state.registry import Activation, ActiveSet, Registry

KEPT = 4  # programs, and plans; those asked for last

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class Plans:
    """Turns versions of the active set into plans; one of each kind (``durable``, ``reference``) per version.

    Raises Refused (409) ``ruleset.refused`` for a set that an earlier version of Overture took and this one does not,
    ``ruleset.lost`` and ``artefact.lost`` where the store has lost a text or what was learned.
    """

    def __init__(self, registry: Registry, kind: Literal["durable", "reference"], pure: Pure = NO_PLUGINS) -> None:
        """``pure``: what plugins add to the language of rulesets."""
        self._pure = pure
        self.kind: Literal["durable", "reference"] = kind
        self._registry = registry
        self._programs: dict[int, Program] = {}
        self._linking = asyncio.Lock()  # all partitions ask for a new version at once: one of them links
        self._rulesets: dict[tuple[str, str], Ruleset] = {}
        self._plans: dict[tuple[int, str], Plan] = {}
        self._artefacts: dict[str, Artefact] = {}  # of the version made last, by digest: most stay as they are

    async def active(self) -> Program:
        """The linked rulesets that are active now."""
        return await self.program(await self._registry.version())

    async def program(self, version: int) -> Program:
        """The linked rulesets of one version; version 0 is empty."""
        program = _found(self._programs, version)
        if program is None:
            async with self._linking:
                program = _found(self._programs, version) or await self._linked(version)
        return program

    async def _linked(self, version: int) -> Program:
        by = await self._registry.activation(version)
        learned = await self._learned(by)
        same = next((known for known in self._programs.values() if known.base == by.base), None)
        if same is not None and by.base:  # 0: nothing came before it that it could be like
            return _keep(self._programs, version, replace(same, version=version, learned=learned))
        rulesets = [await self._ruleset(*pair) for pair in sorted(by.rulesets.items())]
        older = [await self._ruleset(*pair) for pair in by.older]
        try:
            program = link(rulesets, version, None, by.series, older, by.winners, learned, by.base)
        except RulesetInvalid as error:
            raise _refused(error, by.rulesets) from error
        return _keep(self._programs, version, program)

    async def plan(self, version: int, kind: Literal["durable", "reference"] | None = None) -> Plan:
        """The plan of one version."""
        kind = kind or self.kind
        plan = _found(self._plans, (version, kind))
        if plan is None:
            program = await self.program(version)
            plan = _found(self._plans, (version, kind)) or self._planned(program, kind)
        return plan

    def _planned(self, program: Program, kind: Literal["durable", "reference"]) -> Plan:
        same = next((p for p in self._plans.values() if (p.base, p.kind) == (program.base, kind)), None)
        plan = Plan(program, kind) if same is None else same.learned(program)
        return _keep(self._plans, (program.version, kind), plan)

    async def _learned(self, by: Activation) -> dict[str, Artefact]:
        wanted = set(by.learned.values())
        known = {digest: artefact for digest, artefact in self._artefacts.items() if digest in wanted}
        known |= await self._registry.artefacts(wanted - known.keys())
        self._artefacts = known
        return {name: known[digest] for name, digest in by.learned.items()}

    async def _ruleset(self, name: str, revision: str) -> Ruleset:
        ruleset = self._rulesets.get((name, revision))
        if ruleset is None:
            text = await self._registry.activated(name, revision)
            try:
                ruleset = self._rulesets[name, revision] = load(text, self._pure)
            except RulesetInvalid as error:
                raise _refused(error, {name: revision}) from error
        return ruleset


def _refused(error: RulesetInvalid, active: ActiveSet) -> Refused:
    """``active``: the revisions that the findings may be about; of several, the pointers name the ruleset."""
    found = next(d for d in error.diagnostics if d.severity == "error")
    name = next(iter(active)) if len(active) == 1 else found.pointer.partition("#")[0]
    return Refused(
        "ruleset.refused",
        f"This version of Overture refuses the ruleset {name}, revision {active.get(name, 'unknown')}: "
        f"{found.code} at {found.line}:{found.column}: {found.message}.",
        "Start the version that activated it, with the plugins that it asks; deploy a corrected revision, let it "
        "decide what waits, then upgrade.",
        status=409,
    )


def _found(kept: dict[_Key, _Value], key: _Key) -> _Value | None:
    """What is kept, which is now the last that was asked for."""
    value = kept.pop(key, None)
    if value is not None:
        kept[key] = value
    return value


def _keep(kept: dict[_Key, _Value], key: _Key, value: _Value) -> _Value:
    kept[key] = value
    while len(kept) > KEPT:
        del kept[next(iter(kept))]
    return value
