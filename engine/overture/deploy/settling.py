"""What outcomes decide: asked every few seconds, and at each stop of a clock that is put ahead."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Protocol

from overture.model import OvertureError
from overture.model.errors import describe

log = logging.getLogger("overture.deploy")


class Settles(Protocol):
    async def settle(self) -> Sequence[object]:
        """Activate what is certain, or was learned; answers what has changed just now. Raises Refused,
        StoreUnavailable.
        """
        ...


class Settling:
    """All that looks at outcomes, one after the other: what goes wrong in one keeps no other from being asked."""

    def __init__(self, *all: Settles) -> None:
        self._all = all
        self._told: dict[int, str] = {}  # of each, what is in the log already

    async def settle(self) -> bool:
        """Whether anything changed. Raises Refused, StoreUnavailable, of one that could not be asked."""
        changed, failed = False, None
        for n, each in enumerate(self._all):
            try:
                changed = bool(await each.settle()) or changed
            except OvertureError as error:
                failed = failed or error
            except Exception as error:
                if (told := describe(error)) != self._told.get(n):
                    self._told[n] = told
                    log.exception("What outcomes say cannot be worked out; it is tried again")
        if failed is not None and not changed:
            raise failed
        return changed
