"""What outcomes decide: asked every few seconds, and at each stop of a clock that is put ahead."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Settles(Protocol):
    async def settle(self) -> Sequence[object]:
        """Activate what is certain, or was learned; answers what has changed just now. Raises Refused,
        StoreUnavailable.
        """
        ...


class Settling:
    """All that looks at outcomes, one after the other."""

    def __init__(self, *all: Settles) -> None:
        self._all = all

    async def settle(self) -> bool:
        """Whether anything changed. Raises Refused, StoreUnavailable."""
        found = [await each.settle() for each in self._all]
        return any(found)
