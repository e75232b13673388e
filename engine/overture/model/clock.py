"""The one place that reads the wall clock. Everything else takes the time as an argument."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def now() -> int:
    """Milliseconds since the Unix epoch, UTC."""
    return time.time_ns() // 1_000_000


def to_text(ms: int) -> str:
    """RFC 3339 in UTC with milliseconds: ``2026-03-27T10:00:00.000Z``."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
