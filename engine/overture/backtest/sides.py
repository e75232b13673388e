"""The two programs that are compared, each compiled by itself."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from overture.decide import Plan
from overture.decide.history import recorders
from overture.model.artefact import Artefact
from overture.model.pure import NO_PLUGINS, Pure
from overture.rules import Program, Ruleset, link, load
from overture.rules.redeploy import finishing
from overture.rules.series import keeps, since
from overture.state.registry import Activation, NamedRevision, Registry

Texts = Mapping[NamedRevision, str]
Artefacts = Mapping[str, Artefact]

KEPT = 8  # plans of the baseline at hand; a record may lead through many versions


class Sides:
    """Plans of both sides. They are compiled for the reference matcher, which defines what the other must answer.

    ``same``: the candidate is what is active. Otherwise it is another version, as if it were activated where the period
    begins; ``fresh`` puts facts from before into the series that contacts keep only since then, by fact type.
    """

    def __init__(
        self,
        versions: Mapping[int, Activation],
        texts: Texts,
        version: int,
        candidates: Mapping[str, str],
        *,
        recorded: bool,
        pure: Pure = NO_PLUGINS,
        artefacts: Artefacts = MappingProxyType({}),
    ) -> None:
        """``version``: the one of ``versions`` that the candidates are put into; ``recorded``: contacts may be of any
        version when the period begins; ``pure``: what plugins add to the language; ``artefacts``: all of the versions.

        Raises RulesetInvalid where the set with the candidates does not fit together.
        """
        self._versions = versions
        self._texts = texts
        self._artefacts = artefacts
        self._pure = pure
        self._plans: dict[int, Plan] = {}
        self.version = version
        given = [load(text, pure) for text in candidates.values()]
        now = versions[version]
        self.same = all(now.rulesets.get(ruleset.name) == ruleset.revision for ruleset in given)
        number = version if self.same else max(versions) + 1
        before = [load(texts[pair], pure) for pair in (*now.older, *now.rulesets.items())]
        active = {**{ruleset.name: ruleset for ruleset in before}, **{ruleset.name: ruleset for ruleset in given}}
        older = finishing(before, active)
        linked = program(number, now, texts, given, older=older, pure=pure, artefacts=artefacts)
        begun = since(keeps(linked.series), now.series, number)
        fresh = [id for id, s in begun.items() if not self.same and (recorded or max(s.version, s.wide) == number)]
        self.fresh = recorders({id: linked.series[id] for id in fresh})
        base = linked.base if self.same else number
        self.candidate = Plan(replace(linked, since=begun, base=base), "reference")

    def baseline(self, version: int) -> Plan:
        """The plan of one version of the active set. A plan of its own also where the candidate is the same."""
        plan = self._plans.get(version)
        if plan is None:
            by = self._versions[version]
            linked = program(version, by, self._texts, pure=self._pure, artefacts=self._artefacts)
            plan = self._plans[version] = Plan(linked, "reference")
            while len(self._plans) > KEPT:
                del self._plans[next(iter(self._plans))]
        return plan


def program(
    version: int,
    by: Activation,
    texts: Texts,
    given: Sequence[Ruleset] = (),
    channels: Collection[str] | None = None,
    older: Sequence[Ruleset] | None = None,
    pure: Pure = NO_PLUGINS,
    artefacts: Artefacts = MappingProxyType({}),
) -> Program:
    """The active rulesets, those ``given`` in place of their namesakes, linked.

    ``older``: revisions on whose journeys contacts finish, if others than with these. ``channels``: the installed ones;
    None leaves them unchecked. ``pure``: what plugins add to the language. ``artefacts``: of what was learned, those
    that are at hand. Raises RulesetInvalid.
    """
    replaced = {ruleset.name for ruleset in given}
    others = [load(texts[pair], pure) for pair in by.rulesets.items() if pair[0] not in replaced]
    if older is None:
        older = [load(texts[pair], pure) for pair in by.older]
    learned = {name: artefacts[digest] for name, digest in by.learned.items() if digest in artefacts}
    return link([*given, *others], version, channels, by.series, older, by.winners, learned, by.base)


async def read_versions(
    registry: Registry, versions: set[int]
) -> tuple[dict[int, Activation], dict[NamedRevision, str], dict[str, Artefact]]:
    """What the versions decide by, the texts of all revisions in them, and what was learned, by digest.

    Raises Refused ``ruleset.lost``, ``artefact.lost``.
    """
    found = {version: await registry.activation(version) for version in sorted(versions)}
    pairs = {pair for by in found.values() for pair in (*by.rulesets.items(), *by.older)}
    texts = {pair: await registry.activated(*pair) for pair in pairs}
    return found, texts, await registry.artefacts(d for by in found.values() for d in by.learned.values())
