"""Deploying rulesets: check, test, keep, activate, roll back. Revisions never change; activation is one atomic move."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from overture.deploy.finishing import older_revisions, stranded
from overture.deploy.scratch import Scratch
from overture.model import Diagnostic, Refused, clock
from overture.model.pages import Engine
from overture.model.pure import NO_PLUGINS, Pure
from overture.model.script import Check, Problem
from overture.rules import Ruleset, RulesetInvalid, load, require_name
from overture.rules.difference import Change, difference
from overture.rules.series import since
from overture.state.registry import Activation, ActiveSet, Registry
from overture.trial.job import Prove, Try
from overture.trial.reading import inspect
from overture.trial.results import Result, TrialsFailed

SCRIPTS = 10.0  # seconds after which no further script of a document is checked: others wait for the same process


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

    def __init__(
        self,
        registry: Registry,
        channels: Mapping[str, str] | None = None,
        allowed: Collection[str] | None = None,
        pure: Pure = NO_PLUGINS,
        engine: Engine | None = None,
        scripts: Check | None = None,
        script_timeout_ms: int = 50,
    ) -> None:
        """``channels``: those that may be named, with what sends on each (`PluginManager.channel_names`); None leaves
        it unchecked whether a ruleset's channels are there. ``allowed``: the distributions whose plugins tests may
        import; None: all. ``pure``: what plugins add to the language of rulesets. ``engine``: who is asked about
        templates; ``scripts``: about scripts. ``script_timeout_ms``: how long a call of one may take in tests.
        """
        self.registry = registry
        self._channels = channels
        self._allowed = None if allowed is None else sorted(allowed)
        self._pure = pure
        self._checking = dataclasses.replace(pure, templates=engine, check=scripts)
        self._script_timeout_ms = script_timeout_ms
        self._scratch = Scratch()

    async def check(self, text: str) -> tuple[Ruleset | None, list[Diagnostic]]:
        """All findings about a document and the tests in it; nothing is kept.

        A large document takes a second: in a thread, so that others are answered meanwhile.
        """
        checking = dataclasses.replace(self._checking, check=_bounded(self._checking.check))
        ruleset, _, findings = await asyncio.to_thread(inspect, text, checking)
        return ruleset, findings

    async def put(self, name: str, text: str) -> Revision:
        """Keep a revision without activating it. Raises RulesetInvalid with every error."""
        ruleset, findings = await self.check(text)
        if ruleset is None:
            raise RulesetInvalid(findings)
        require_name(ruleset, name)
        new = await self.registry.put(name, ruleset.revision, text, clock.now())
        active = (await self.registry.active(await self.registry.version())).get(name)
        return Revision(name, ruleset.revision, new, active == ruleset.revision, tuple(findings))

    async def test(self, name: str, document: str, revision: str | None = None) -> Result:
        """Run tests among the active rulesets; nothing is kept.

        ``document``: a ruleset with tests, or tests alone for a kept revision (None: the active one). Raises
        RulesetInvalid, Refused ``ruleset.unknown``, ``ruleset.name_differs``, ``ruleset.too_costly``; Overloaded.
        """
        _, active = await self.active()
        wanted = revision or active.get(name)
        stored = await self.registry.text(name, wanted) if wanted else None
        texts, timeout = await self._texts(active), self._script_timeout_ms
        job = Try(texts, name, document, stored or "", self._installed(), self._allowed, timeout)
        (result,) = (await self._scratch.run(job)).results
        return result

    async def activate(self, name: str, revision: str, if_match: Collection[str] | None = None) -> int:
        """Make a revision the active one; answers the new version of the active set.

        The whole set that would be active is linked and compiled first, and the revision's tests are run. ``if_match``:
        revisions of which one must be active now; ``*`` stands for any. Raises RulesetInvalid (the set does not fit
        together), TrialsFailed, Refused ``ruleset.unknown``, ``ruleset.changed``, ``ruleset.too_costly``; Overloaded.
        """
        return await self.activate_all({name: revision}, {} if if_match is None else {name: if_match})

    async def activate_all(self, wanted: ActiveSet, if_match: Mapping[str, Collection[str]] | None = None) -> int:
        """Activate several revisions in one move: rulesets that need each other become active together."""
        version = await self.registry.version()
        before = await self.registry.activation(version)
        active = before.rulesets
        for name, expected in (if_match or {}).items():
            revision = active.get(name)
            if revision is None or not {revision, "*"} & set(expected):
                raise Refused(
                    "ruleset.changed",
                    f"Active is {revision or 'nothing'} of {name}, which If-Match does not name.",
                    "Look at what is active now and decide again.",
                    status=412,
                )
        new = {**active, **wanted}
        if new == active:
            return version
        texts, older = await self._texts(new), await older_revisions(self.registry, version, new)
        timeout = self._script_timeout_ms
        proof = await self._scratch.run(Prove(texts, sorted(wanted), self._installed(), older, self._allowed, timeout))
        if not all(result.passed for result in proof.results):
            raise TrialsFailed(proof.results)
        while True:
            rows = since(proof.keeps, before.series, version + 1)
            by = Activation(new, rows, proof.finishing, before.winners, before.learned, pinned=before.pinned)
            try:
                return await self.registry.activate(version, by, clock.now())
            except Refused:
                version = await self.registry.version()
                now = await self.registry.activation(version)
                if (
                    replace(now, winners=before.winners, learned=before.learned, base=before.base, pinned=before.pinned)
                    != before
                ):
                    raise
                before = now  # only what outcomes say has changed meanwhile: what was proved is the same

    async def stranded(self, name: str, revision: str) -> dict[str, int]:
        """How many contacts stand at steps of journeys that migrate and that this revision lacks, by ``journey.step``.

        Raises Refused ``ruleset.unknown``.
        """
        ruleset = await asyncio.to_thread(load, await self.text(name, revision), self._pure)
        return await stranded(self.registry, ruleset)

    async def rollback(self, name: str, if_match: Collection[str] | None = None) -> tuple[str, int]:
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

    async def text(self, name: str, revision: str) -> str:
        """The document of a revision, as it was put. Raises Refused ``ruleset.unknown``."""
        return (await self._texts({name: revision}))[name]

    async def diff(self, name: str, to: str, before: str | None = None) -> list[Change]:
        """What the revision ``to`` means that ``before`` (None: the active one) does not.

        Raises Refused ``ruleset.unknown``, RulesetInvalid where this version no longer takes one of the two.
        """
        before = before or (await self.active())[1].get(name)
        if before is None:
            raise Refused("ruleset.unknown", f"No revision of {name} is active.", "Say which: ?from=…", status=404)
        earlier, later = await self.text(name, before), await self.text(name, to)
        pure = self._pure
        return await asyncio.to_thread(lambda: difference(load(earlier, pure), load(later, pure)))

    async def active(self) -> tuple[int, ActiveSet]:
        """(version, {name: revision}) of what is active."""
        version = await self.registry.version()
        return version, await self.registry.active(version)

    async def _texts(self, active: ActiveSet) -> dict[str, str]:
        texts: dict[str, str] = {}
        for name, revision in sorted(active.items()):
            text = await self.registry.text(name, revision)
            if text is None:
                raise Refused(
                    "ruleset.unknown", f"There is no revision {revision} of {name}.", "Put it first.", status=404
                )
            texts[name] = text
        return texts

    def _installed(self) -> dict[str, str] | None:
        return None if self._channels is None else dict(self._channels)


def _bounded(check: Check | None) -> Check | None:
    """The same, for the scripts of one document, from now on."""
    if check is None:
        return None
    until = time.monotonic() + SCRIPTS

    def bounded(source: str, stub: str) -> Sequence[Problem]:
        if time.monotonic() < until:
            return check(source, stub)
        message = "The scripts before it took too long to check, so this one was not checked."
        return [Problem("script.syntax", 1, 1, message)]

    return bounded


__all__ = ["Revision", "RulesetInvalid", "Rulesets"]
