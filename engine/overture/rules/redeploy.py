"""What another revision of a ruleset means for those who are on its journeys."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from overture.rules.ruleset import Ruleset

OLDER = 20  # revisions of one ruleset; who is on an even earlier one goes on by the active one


def finishing(older: Iterable[Ruleset], active: Mapping[str, Ruleset]) -> list[Ruleset]:
    """Those of the earlier revisions, oldest first, that go on deciding for who is on their journeys.

    A journey's ``on_redeploy`` is what the active revision of the ruleset says; where it has no such journey any more,
    what the earlier one said.
    """
    found: list[Ruleset] = []
    seen: Counter[str] = Counter()
    for ruleset in reversed(list(older)):
        now = active.get(ruleset.name)
        if now is not None and now.revision == ruleset.revision:
            continue
        heirs = ruleset.journeys if now is None else {**ruleset.journeys, **now.journeys}
        if any(heirs[name].on_redeploy == "finish_on_old" for name in ruleset.journeys):
            seen[ruleset.name] += 1
            if seen[ruleset.name] <= OLDER:
                found.insert(0, ruleset)
    return found


def lacking(active: Ruleset, journey: str, step: str) -> bool:
    """Whether somebody who stands at that step of a journey (its name) can go on nowhere in this revision, though all
    are to go on by it.
    """
    heir = active.journeys.get(journey)
    return heir is not None and heir.on_redeploy == "migrate" and step not in heir.steps
