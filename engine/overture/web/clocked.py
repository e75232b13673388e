"""What travels about the clock of a server."""

from __future__ import annotations

from typing import Annotated, Protocol

import msgspec
from msgspec import Meta

from overture.rules.durations import DURATION


class ClockView(msgspec.Struct, frozen=True):
    """``now`` on the server, ``ahead_ms`` of its machine; ``to``: where it is being put, null where it is not."""

    now: str
    ahead_ms: int
    to: str | None = None


class Advance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """By how much. With ``jump`` at once, as after an outage: what became due meanwhile is late."""

    advance: Annotated[str, Meta(pattern=f"^{DURATION.pattern}$", examples=["3d"])]
    jump: bool = False


class Clock(Protocol):
    async def view(self) -> ClockView:
        """Raises Refused 409 ``clock.fixed`` where it cannot be moved."""
        ...

    async def advance(self, ms: int, *, jump: bool) -> ClockView:
        """Raises Refused 409 where it cannot be moved, or not so far, or is being moved; 503 where nobody decides."""
        ...
