"""Which part of the record is compared: from ``since`` up to, not including, ``until``."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from overture.model import Refused
from overture.rules.durations import duration

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[+-]\d\d:\d\d)")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)  # that can be told as text


class Bound(NamedTuple):
    """One end as asked for: an instant, or so long ``back`` from where it is counted. Milliseconds."""

    at: int | None = None
    back: int = 0

    def counted(self, end: int) -> int:
        """The instant, where it is counted back from ``end``."""
        return max(_EARLIEST, end - self.back) if self.at is None else self.at


class Period(NamedTuple):
    """Instants in milliseconds since the epoch: ``since`` ≤ t < ``until``."""

    since: int
    until: int


def bound(text: str, name: str) -> Bound:
    """``30d`` or an RFC 3339 instant. Raises Refused ``backtest.period``; ``name`` is what the text was given for."""
    if back := duration(text):
        return Bound(back=back)
    if _RFC3339.fullmatch(text):
        try:
            return Bound(at=(datetime.fromisoformat(text.upper()) - _EPOCH) // timedelta(milliseconds=1))
        except (ValueError, OverflowError):
            pass
    raise Refused(
        "backtest.period",
        f"{name} is neither a duration nor an instant: {text[:60]!r}.",
        "Write 30d, 12h, or 2026-03-27T10:00:00Z.",
    )


def period(since: Bound | None, until: Bound | None, last: int) -> Period:
    """The period itself. ``last``: the instant of the last recorded fact, where the period ends if nothing is asked.

    A duration in ``until`` counts back from there, one in ``since`` from the end. Raises Refused ``backtest.period``.
    """
    end = last + 1 if until is None else until.counted(last + 1)
    start = 0 if since is None else since.counted(end)
    if start >= end:
        raise Refused("backtest.period", "The period ends before it begins.", "Let `since` be earlier than `until`.")
    return Period(start, end)
