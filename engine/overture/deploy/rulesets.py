"""Deploying rulesets: check, keep, activate, roll back. A revision never changes; activation is one atomic move."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from overture.decide import Plan
from overture.model import Diagnostic, Refused, clock
from overture.rules import Program, Ruleset, RulesetInvalid, inspect, link, load
from overture.state.registry import ActiveSet, Registry


@dataclass(frozen=True, slots=True)
class Revision:
    """One revision of one ruleset as stored. Times in milliseconds since the epoch."""

    name: str
    revision: str
    new: bool
    active: bool
    warnings: tuple[Diagnostic, ...] = ()


class Rulesets:
    """What the API and the command line do with rulesets."""

    def __init__(self, registry: Registry, channels: Collection[str] | None = None) -> None:
        """``channels``: the installed ones; None leaves it unchecked whether a ruleset's channels are there."""
        self.registry = registry
        self._channels = channels

    def check(self, text: str) -> tuple[Ruleset | None, list[Diagnostic]]:
        """All findings about a document; nothing is kept."""
        return inspect(text)

    async def put(self, name: str, text: str) -> Revision:
        """Keep a revision without activating it. Raises RulesetInvalid with every error."""
        ruleset = load(text)
        if ruleset.name != name:
            raise Refused(
                "ruleset.name_differs",
                f"The document says name: {ruleset.name}, the address says {name}.",
                "Make them equal.",
                "/name",
                422,
            )
        new = await self.registry.put(name, ruleset.revision, text, clock.now())
        active = (await self.registry.active(await self.registry.version())).get(name)
        warnings = tuple(d for d in inspect(text)[1] if d.severity != "error")
        return Revision(name, ruleset.revision, new, active == ruleset.revision, warnings)

    async def activate(self, name: str, revision: str, if_match: str | None = None) -> int:
        """Make a revision the active one; answers the new version of the active set.

        The whole set that would be active is linked and compiled first. ``if_match``: the revision that must be active
        now. Raises RulesetInvalid (the set does not fit together), Refused ``ruleset.unknown``, ``ruleset.changed``.
        """
        return await self.activate_all({name: revision}, {name: if_match} if if_match else {})

    async def activate_all(self, wanted: ActiveSet, if_match: ActiveSet | None = None) -> int:
        """Activate several revisions in one move: rulesets that need each other become active together."""
        version = await self.registry.version()
        active = await self.registry.active(version)
        for name, expected in (if_match or {}).items():
            if active.get(name) != expected:
                raise Refused(
                    "ruleset.changed",
                    f"Active is {active.get(name) or 'nothing'} of {name}, not {expected}.",
                    "Look at what is active now and decide again.",
                    status=412,
                )
        new = {**active, **wanted}
        if new == active:
            return version
        Plan(await self._program(new, version + 1))
        return await self.registry.activate(version, new, clock.now())

    async def rollback(self, name: str, if_match: str | None = None) -> tuple[str, int]:
        """Activate what was active of this ruleset before its present revision; answers (revision, version)."""
        version = await self.registry.version()
        now_active = (await self.registry.active(version)).get(name)
        if now_active is None:
            raise Refused("ruleset.unknown", f"No revision of {name} is active.", status=404)
        for earlier in range(version - 1, 0, -1):
            revision = (await self.registry.active(earlier)).get(name)
            if revision is not None and revision != now_active:
                return revision, await self.activate(name, revision, if_match)
        raise Refused("ruleset.no_earlier", f"No other revision of {name} was ever active.", status=409)

    async def active(self) -> tuple[int, ActiveSet]:
        """(version, {name: revision}) of what is active."""
        version = await self.registry.version()
        return version, await self.registry.active(version)

    async def program(self) -> Program:
        """What is active now, linked."""
        version, active = await self.active()
        return await self._program(active, version)

    async def _program(self, active: ActiveSet, version: int) -> Program:
        rulesets: list[Ruleset] = []
        for name, revision in sorted(active.items()):
            text = await self.registry.text(name, revision)
            if text is None:
                raise Refused(
                    "ruleset.unknown", f"There is no revision {revision} of {name}.", "Put it first.", status=404
                )
            rulesets.append(load(text))
        return link(rulesets, version, self._channels)


__all__ = ["Revision", "RulesetInvalid", "Rulesets"]
