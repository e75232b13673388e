"""The one place that reads the wall clock. Everything else takes the time as an argument.

On a server that is there to try things out the clock can be put ahead (`overture.state.ahead`): all that a user sees as
time goes by `now`, and so do the pause of a circuit breaker and the rate of a channel; all else that a machine waits
for (leases, timeouts, pauses between two looks) by a clock of its own.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

_ahead = 0


def now() -> int:
    """Milliseconds since the Unix epoch, UTC."""
    return wall() + _ahead


def wall() -> int:
    """What the machine's own clock says, in the same unit: for those outside who compare it with theirs."""
    return time.time_ns() // 1_000_000


def elapsed() -> float:
    """Seconds since some instant, not touched where the machine's clock is put; ahead where `now` is."""
    return time.monotonic() + _ahead / 1000


def ahead() -> int:
    """By how many milliseconds `now` is ahead of the machine's clock."""
    return _ahead


def put_ahead(ms: int) -> None:
    """Put `now` so far ahead, in this process; it never goes back."""
    global _ahead
    _ahead = max(_ahead, ms)


def to_text(ms: int) -> str:
    """RFC 3339 in UTC with milliseconds: ``2026-03-27T10:00:00.000Z``."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
