"""Series made from recorded facts, for contacts who were there before anybody asked for them."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from overture.decide.history import Recorder
from overture.model import Fact
from overture.model.series import Series
from overture.rules.program import Program


class Rebuilding:
    """Makes series of many contacts from their facts, shown in the order in which they were decided.

    ``fresh``: those to be made. Facts that rules derived are in no record: a series of them begins with its deploy.
    """

    def __init__(self, program: Program, fresh: Collection[str]) -> None:
        self._recorders: dict[str, list[tuple[Recorder, int, int]]] = {}
        for id in fresh:
            decl, since = program.series[id], program.since[id]
            self._recorders.setdefault(decl.key.type, []).append((Recorder(decl), since.version, since.wide))
        self._made: dict[str, dict[str, Series]] = {}

    def show(self, contact: str, fact: Fact, version: int, clock: int) -> None:
        """``version``: of the active set that decided the fact; ``clock``: where the contact is by now, at least."""
        for recorder, begun, wide in self._recorders.get(fact.type, ()):
            if version >= max(begun, wide):
                continue
            made = self._made.setdefault(contact, {})
            known = made.get(recorder.id, Series())
            after = recorder.add(known, fact, clock)
            if after is not None:
                # Single facts may be asked for further back than the series goes: those are in its figures already.
                made[recorder.id] = after if version < begun else _only_instants(known, after)

    def forget(self, contact: str) -> None:
        """It was erased: what comes later is another contact of that name."""
        self._made.pop(contact, None)

    def of(self, contact: str) -> Mapping[str, Series]:
        """What was made for one contact, by series."""
        return self._made.get(contact, {})


def _only_instants(known: Series, after: Series) -> Series:
    return Series(known.n, known.total, known.first, known.last, after.at, after.values)
