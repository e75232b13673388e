"""The two programs that are compared, each compiled by itself."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from overture.decide import Plan
from overture.rules import Program, Ruleset, link, load
from overture.rules.series import Since
from overture.state.registry import ActiveSet, Registry, SeriesRows

Texts = Mapping[tuple[str, str], str]
"""(ruleset, revision) → text."""

KEPT = 8  # plans of the baseline at hand; a record may lead through many versions


class Sides:
    """Plans of both sides. They are compiled for the reference matcher, which defines what the other must answer."""

    def __init__(
        self,
        sets: Mapping[int, ActiveSet],
        texts: Texts,
        candidates: Mapping[str, str],
        series: Mapping[int, SeriesRows] | None = None,
    ):
        """``sets``: versions of the active set, the last of them the one that the candidates are put into. ``series``:
        since when contacts kept what each version needs.

        Raises RulesetInvalid where the set with the candidates does not fit together.
        """
        self._sets = sets
        self._texts = texts
        self._series = series or {}
        self._plans: dict[int, Plan] = {}
        self.version = max(sets)
        given = [load(text) for text in candidates.values()]
        self.candidate = Plan(program(self.version, sets[self.version], texts, given), "reference")

    def baseline(self, version: int) -> Plan:
        """The plan of one version of the active set. A plan of its own also where the candidate is the same."""
        plan = self._plans.get(version)
        if plan is None:
            linked = program(version, self._sets[version], self._texts)
            since = {id: Since(*row) for id, row in self._series.get(version, {}).items()}
            plan = self._plans[version] = Plan(replace(linked, since=since), "reference")
            while len(self._plans) > KEPT:
                del self._plans[next(iter(self._plans))]
        return plan


def program(
    version: int,
    active: ActiveSet,
    texts: Texts,
    given: Sequence[Ruleset] = (),
    channels: Collection[str] | None = None,
) -> Program:
    """The active rulesets, those ``given`` in place of their namesakes, linked.

    Another set is another version, as if it had been activated: contacts catch up with it at their next fact.
    ``channels``: the installed ones; None leaves them unchecked. Raises RulesetInvalid.
    """
    replaced = {ruleset.name: ruleset.revision for ruleset in given}
    others = [load(texts[pair]) for pair in active.items() if pair[0] not in replaced]
    number = version if {**active, **replaced} == active else version + 1
    return link([*given, *others], number, channels)


async def read_sets(registry: Registry, versions: set[int]) -> tuple[dict[int, ActiveSet], dict[tuple[str, str], str]]:
    """Active sets by version, and the texts of all revisions in them. Raises LookupError where one is gone."""
    sets = {version: await registry.active(version) for version in sorted(versions)}
    texts: dict[tuple[str, str], str] = {}
    for name, revision in {pair for active in sets.values() for pair in active.items()}:
        text = await registry.text(name, revision)
        if text is None:
            raise LookupError(f"The store has no text of {name} revision {revision}, though it was active.")
        texts[name, revision] = text
    return sets, texts
