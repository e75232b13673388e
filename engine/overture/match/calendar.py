"""Arithmetic with what clocks on the wall show.

They are put forward and back. A time that they skip means the first instant after the gap, one that they show twice
the earlier of the two.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta, tzinfo

from overture.match.zone import DAY_MS, EARLIEST, LATEST, epoch_ms, local_time

_DAY = timedelta(days=1)
_FAR = 400 * DAY_MS  # so far from the last year that calendars know, nothing is calculated any more


def add_days(at: int, n: int, zone: tzinfo) -> int:
    """The same time on the wall so many days later (ms)."""
    if not EARLIEST <= at <= LATEST - _FAR - n * DAY_MS:
        return at + n * DAY_MS
    local = local_time(at, zone).replace(tzinfo=None) + timedelta(days=n, milliseconds=at % 1000)
    return wall_instant(local, zone)


def next_local(at: int, minute: int, weekdays: Collection[int], zone: tzinfo) -> int:
    """The first instant (ms) later than ``at`` at which it is so many minutes after midnight, on one of the weekdays
    (1: Monday; none: any).
    """
    if not EARLIEST <= at <= LATEST - _FAR:
        return at + DAY_MS
    midnight = local_time(at, zone).replace(tzinfo=None, hour=0, minute=0, second=0, microsecond=0) - _DAY
    # A time of yesterday can be later than now only where clocks were put back over midnight.
    while True:
        wall = midnight + timedelta(minutes=minute)
        if (not weekdays or wall.isoweekday() in weekdays) and (found := wall_instant(wall, zone)) > at:
            return found
        midnight += _DAY


def wall_instant(local: datetime, zone: tzinfo) -> int:
    """The instant (ms) at which clocks there show ``local``, which has no zone."""
    at = epoch_ms(local, zone)
    if _wall(at, zone) == local:
        return at
    low, high = at - DAY_MS, at
    while low + 1 < high:
        middle = (low + high) // 2
        if _wall(middle, zone) < local:
            low = middle
        else:
            high = middle
    return high


def _wall(at: int, zone: tzinfo) -> datetime:
    return local_time(at, zone).replace(tzinfo=None, fold=0) + timedelta(milliseconds=at % 1000)
