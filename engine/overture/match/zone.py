"""The zone where a contact lives: when its days begin, and what its clocks show."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from overture.model import Contact

_NAME = re.compile(r"[A-Z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}")
_EPOCH = datetime(1970, 1, 1)
_MS = timedelta(milliseconds=1)
_DAY = timedelta(days=1)
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
EARLIEST, LATEST = -62_135_510_400_000, 253_370_678_400_000  # of the years 1 to 9998, so that a day has neighbours


def zone_of(contact: Contact) -> tzinfo:
    """The zone that the trait ``timezone`` names (IANA); UTC where it names none."""
    name = contact.traits.get("timezone")
    return _zone(name) if type(name) is str else UTC


@lru_cache(4096)
def _zone(name: str) -> tzinfo:
    if not _NAME.fullmatch(name):
        return UTC
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        return UTC


def local_time(ms: int, zone: tzinfo) -> datetime:
    """What clocks show at an instant between `EARLIEST` and `LATEST`, to the second."""
    return datetime.fromtimestamp(ms // 1000, zone)


@lru_cache(16384)
def day_start(day: date, zone: tzinfo) -> int:
    """The first instant of a local day: 00:00, or where clocks skip that, the instant at which they do."""
    midnight = datetime(day.year, day.month, day.day)
    start = epoch_ms(midnight, zone)
    if local_time(start, zone).replace(tzinfo=None) == midnight:
        return start  # where midnight comes twice, the first one
    low, high = start - DAY_MS, start
    while low + 1 < high:
        middle = (low + high) // 2
        if local_time(middle, zone).date() < day:
            low = middle
        else:
            high = middle
    return high


def epoch_ms(local: datetime, zone: tzinfo) -> int:
    """The instant (ms) of a local time without zone, by the offset that comes first where clocks are put."""
    offset = local.replace(tzinfo=zone).utcoffset() or timedelta()
    return (local - _EPOCH - offset) // _MS


def _today(ms: int, zone: tzinfo) -> date:
    """The local day at an instant. A day that has begun does not end again where clocks are put back over midnight."""
    day = local_time(ms, zone).date()
    return day + _DAY if day_start(day + _DAY, zone) <= ms else day


_periods: dict[tuple[tzinfo, str], tuple[int, int]] = {}  # the last ones looked up: facts come close together


def _period(ms: int, calendar: str, zone: tzinfo) -> tuple[int, int]:
    """When the day, week (from Monday) or month of an instant began, and when the next one begins."""
    known = _periods.get((zone, calendar))
    if known is None or not known[0] <= ms < known[1]:
        first = _first(_today(min(max(ms, EARLIEST), LATEST), zone), calendar)
        end = next((start for start in _starts_after(first, calendar, zone) if start > ms), LATEST)
        known = _periods[zone, calendar] = day_start(first, zone), end
    return known


def period_start(ms: int, calendar: str, zone: tzinfo) -> int:
    return _period(ms, calendar, zone)[0]


def period_end(ms: int, calendar: str, zone: tzinfo) -> int:
    return _period(ms, calendar, zone)[1]


def _first(day: date, calendar: str) -> date:
    if calendar == "week":
        return day - day.weekday() * _DAY
    return day.replace(day=1) if calendar == "month" else day


def _starts_after(first: date, calendar: str, zone: tzinfo) -> Iterator[int]:
    """More than one, because a day that is skipped begins and ends in one instant."""
    step = {"day": 1, "week": 7, "month": 32}[calendar] * _DAY
    for _ in range(4):
        first = _first(first + step, calendar)
        yield day_start(first, zone)


# --- fields of an instant ------------------------------------------------------------------------------------------


def local_field(instant: Any, name: str, contact: Contact) -> int | str | None:
    """``hour``, ``weekday`` (1: Monday), ``date`` … of an instant (ms) where the contact lives; None for no instant."""
    if type(instant) not in (int, float) or not EARLIEST <= instant <= LATEST:
        return None
    return _shown(local_time(int(instant // 1), zone_of(contact)), name)


def _shown(local: datetime, name: str) -> int | str:
    match name:
        case "weekday":
            return local.isoweekday()
        case "date":
            return local.date().isoformat()
        case _:
            return getattr(local, name)


def next_field_step(ms: int, name: str, zone: tzinfo) -> int:
    """An instant after ``ms`` up to which this field of `local_field` does not change; it may change there."""
    local = local_time(ms, zone)
    step = _natural_step(ms, local, name, zone)
    soon = ms + 3 * HOUR_MS
    return step if local.utcoffset() == local_time(soon, zone).utcoffset() else min(step, clocks_put(ms, soon, zone))


def _natural_step(ms: int, local: datetime, name: str, zone: tzinfo) -> int:
    """As if clocks were not put, or not soon."""
    if name in _UNITS:
        return ms + _UNITS[name] - (local.minute * (name == "hour") * 60 + local.second) * 1000 - ms % 1000
    first = {"month": local.replace(day=1), "year": local.replace(month=1, day=1)}.get(name, local).date()
    begin = day_start(_first(first + _AHEAD.get(name, _DAY), _CALENDAR.get(name, "day")), zone)
    if begin > ms:
        return begin
    # A day has begun and ended again: clocks were put back over midnight.
    return ms + DAY_MS - ((local.hour * 60 + local.minute) * 60 + local.second) * 1000 - ms % 1000


_UNITS = {"hour": HOUR_MS, "minute": 60_000}
_AHEAD = {"month": timedelta(days=32), "year": timedelta(days=367)}
_CALENDAR = {"month": "month", "year": "month"}


def clocks_put(low: int, high: int, zone: tzinfo) -> int:
    """When clocks are put between two instants with different offsets."""
    offset = local_time(low, zone).utcoffset()
    while low + 1 < high:
        middle = (low + high) // 2
        if local_time(middle, zone).utcoffset() == offset:
            low = middle
        else:
            high = middle
    return high
