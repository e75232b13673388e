"""What a contact remembers beside its present state: series of facts, open joins, effects that only hold for a while.

None of these is ever changed in place: a change puts a new one in the place of the old, so that copies may share them.
"""

from __future__ import annotations

from typing import Any

import msgspec

LONGEST = 1_000
"""Facts of one series whose instants are kept; of more, the newest."""


class Series(msgspec.Struct, frozen=True, array_like=True):
    """The facts of one contact that a history feature counts. Instants are `occurred_at`, in ms; 0: none yet.

    ``at`` (sorted) and ``values`` (beside it; empty where no field is summed) reach back as far as the longest window
    of any active ruleset, and have `LONGEST` entries at most.
    """

    n: int = 0  # all facts ever
    total: float = 0.0  # sum of the field over all facts ever
    first: int = 0
    last: int = 0
    at: list[int] = []
    values: list[float] = []


class Candidate(msgspec.Struct, frozen=True, array_like=True):
    """A fact that matched one part of a join; ``properties`` are those that the join's other parts read."""

    id: str
    type: str
    occurred_at: int
    properties: dict[str, Any] = {}


class Held(msgspec.Struct, frozen=True, array_like=True):
    """One effect that may have to be taken back: of a ``while`` rule that holds, or of a rule on the end of a visit.

    ``kind``: ``score`` (``value``: what was added), ``set`` (the value, and what stood there before), ``list``,
    ``rule`` (only that it fired).
    """

    kind: str
    name: str
    key: str = ""
    value: Any = None
    before: Any = None
    at: int = 0
    revision: str = ""  # of the ruleset that did it
