"""Durations and windows as they are written: ``30m``, ``12h``, ``7d``, ``this week``."""

from __future__ import annotations

import re

from overture.rules.tree import Window

DURATION = re.compile(r"([0-9]{1,6})([smhdw])")
TIME_OF_DAY = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
UNITS = {"w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000}
DAY = UNITS["d"]
CALENDAR: dict[str, Window] = {
    "today": Window(calendar="day"),
    "this week": Window(calendar="week"),
    "this month": Window(calendar="month"),
}


def duration(text: str) -> int | None:
    """Milliseconds; None where it is no duration. A day is 24 hours, a week 7 days."""
    found = DURATION.fullmatch(text)
    return int(found[1]) * UNITS[found[2]] if found else None


def calendar_days(text: str) -> int:
    """How many days of the calendar a duration is that is written in days or weeks; 0 for any other."""
    found = DURATION.fullmatch(text)
    return int(found[1]) * UNITS[found[2]] // DAY if found and found[2] in "dw" else 0


def minute_of_day(text: str) -> int | None:
    """``21:30`` in minutes after midnight; None where it is no time of day."""
    found = TIME_OF_DAY.fullmatch(text)
    return int(found[1]) * 60 + int(found[2]) if found else None


def minute_text(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def duration_text(ms: int) -> str:
    """The shortest way to write a duration; weeks are written in days."""
    for unit in "dhm":
        if ms and ms % UNITS[unit] == 0:
            return f"{ms // UNITS[unit]}{unit}"
    return f"{ms / 1000:g}s"


def window(text: str) -> Window | None:
    """The window of ``within``; None where it is none."""
    ms = duration(text)
    return Window(ms) if ms else CALENDAR.get(text)


def window_text(w: Window) -> str:
    return next((text for text, known in CALENDAR.items() if known == w), None) or duration_text(w.ms)
