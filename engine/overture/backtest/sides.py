"""The two programs that are compared, each compiled by itself."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from overture.decide import Plan
from overture.decide.history import recorders
from overture.rules import Program, Ruleset, link, load
from overture.rules.redeploy import finishing
from overture.rules.series import keeps, since
from overture.state.registry import ActiveSet, NamedRevision, Registry, SeriesRows

Texts = Mapping[NamedRevision, str]

KEPT = 8  # plans of the baseline at hand; a record may lead through many versions


class Sides:
    """Plans of both sides. They are compiled for the reference matcher, which defines what the other must answer.

    ``same``: the candidate is what is active. Otherwise it is another version, as if it were activated where the period
    begins; ``fresh`` puts facts from before into the series that contacts keep only since then, by fact type.
    """

    def __init__(
        self,
        sets: Mapping[int, ActiveSet],
        texts: Texts,
        series: Mapping[int, SeriesRows],
        older: Mapping[int, Sequence[NamedRevision]],
        version: int,
        candidates: Mapping[str, str],
        *,
        recorded: bool,
    ) -> None:
        """``sets``, ``series`` (since when contacts keep what is counted) and ``older`` (revisions on whose journeys
        contacts finish) by version of the active set; ``version``: the one that the candidates are put into;
        ``recorded``: contacts may be of any version when the period begins.

        Raises RulesetInvalid where the set with the candidates does not fit together.
        """
        self._sets = sets
        self._texts = texts
        self._series = series
        self._older = older
        self._plans: dict[int, Plan] = {}
        self.version = version
        given = [load(text) for text in candidates.values()]
        self.same = all(sets[version].get(ruleset.name) == ruleset.revision for ruleset in given)
        number = version if self.same else max(sets) + 1
        before = [load(texts[pair]) for pair in (*older[version], *sets[version].items())]
        active = {**{ruleset.name: ruleset for ruleset in before}, **{ruleset.name: ruleset for ruleset in given}}
        linked = program(number, sets[version], texts, given, older=finishing(before, active))
        begun = since(keeps(linked.series), series.get(version, {}), number)
        fresh = [id for id, s in begun.items() if not self.same and (recorded or max(s.version, s.wide) == number)]
        self.fresh = recorders({id: linked.series[id] for id in fresh})
        self.candidate = Plan(replace(linked, since=begun), "reference")

    def baseline(self, version: int) -> Plan:
        """The plan of one version of the active set. A plan of its own also where the candidate is the same."""
        plan = self._plans.get(version)
        if plan is None:
            rows = self._series.get(version, {})
            older = [load(self._texts[pair]) for pair in self._older[version]]
            linked = program(version, self._sets[version], self._texts, rows=rows, older=older)
            plan = self._plans[version] = Plan(linked, "reference")
            while len(self._plans) > KEPT:
                del self._plans[next(iter(self._plans))]
        return plan


def program(
    version: int,
    active: ActiveSet,
    texts: Texts,
    given: Sequence[Ruleset] = (),
    channels: Collection[str] | None = None,
    rows: SeriesRows = MappingProxyType({}),
    older: Sequence[Ruleset] = (),
) -> Program:
    """The active rulesets, those ``given`` in place of their namesakes, linked.

    ``rows``: since when contacts keep series. ``older``: revisions on whose journeys they finish. ``channels``: the
    installed ones; None leaves them unchecked.
    Raises RulesetInvalid.
    """
    replaced = {ruleset.name for ruleset in given}
    others = [load(texts[pair]) for pair in active.items() if pair[0] not in replaced]
    return link([*given, *others], version, channels, rows, older)


async def read_sets(
    registry: Registry, versions: set[int]
) -> tuple[dict[int, ActiveSet], dict[int, list[NamedRevision]], dict[NamedRevision, str]]:
    """Active sets by version, the revisions on which contacts finish beside them, and the texts of all of these. Raises
    LookupError where one is gone.
    """
    sets = {version: await registry.active(version) for version in sorted(versions)}
    older = {version: await registry.older(version) for version in sets}
    pairs = {pair for active in sets.values() for pair in active.items()}.union(*older.values())
    return sets, older, {pair: await registry.activated(*pair) for pair in pairs}
