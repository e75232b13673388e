"""A cell of a table as a value of a fact."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

Kind = Literal["text", "int", "number", "bool", "date", "datetime", "list"]
YES = frozenset({"true", "yes", "y", "t", "1", "on"})
NO = frozenset({"false", "no", "n", "f", "0", "off"})

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_INT = re.compile(r"[-+]?[0-9]{1,20}")
_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?")


class Unfit(ValueError):
    """A cell does not hold what the mapping says; the text is a sentence about it."""


def reader(kind: Kind, format: str = "", zone: str = "UTC", separator: str = ";") -> Callable[[str], Any]:
    """What reads a cell that is not empty, without blanks around it; it raises `Unfit`.

    ``format`` is one of strptime, or ``unix`` or ``unix_ms``; empty for ISO 8601. ``zone`` counts where none is said.
    """
    match kind:
        case "text":
            return str
        case "int":
            return _int
        case "number":
            return _number
        case "bool":
            return _bool
        case "list":
            return lambda text: [each for part in text.split(separator) if (each := part.strip())]
        case "date":
            return lambda text: _date(text, format)
        case "datetime":
            there = ZoneInfo(zone)
            return lambda text: _instant(text, format, there)


def _int(text: str) -> int:
    if not _INT.fullmatch(text):
        raise Unfit(f"{text[:40]!r} is not a whole number.")
    return int(text)


def _number(text: str) -> float | int:
    if _INT.fullmatch(text):
        return int(text)
    if not _NUMBER.fullmatch(text):
        raise Unfit(f"{text[:40]!r} is not a number.")
    return float(text)


def _bool(text: str) -> bool:
    folded = text.casefold()
    if folded in YES:
        return True
    if folded in NO:
        return False
    raise Unfit(f"{text[:40]!r} is neither true nor false.")


def _date(text: str, format: str) -> str:
    try:
        return (datetime.strptime(text, format).date() if format else date.fromisoformat(text)).isoformat()
    except ValueError:
        raise Unfit(f"{text[:40]!r} is not a date{_as(format)}.") from None


def _instant(text: str, format: str, zone: ZoneInfo) -> int:
    """Milliseconds since the epoch: what a datetime is to a rule."""
    try:
        if format in ("unix", "unix_ms"):
            moment = datetime.fromtimestamp(float(_number(text)) / (1 if format == "unix" else 1000), UTC)
        else:
            moment = datetime.strptime(text, format) if format else datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=zone)
        return (moment - _EPOCH) // timedelta(milliseconds=1)
    except (ValueError, OverflowError, OSError):
        raise Unfit(f"{text[:40]!r} is not a time{_as(format)}.") from None


def rfc3339(ms: int) -> str:
    """An instant as ``occurred_at`` has it."""
    return (_EPOCH + timedelta(milliseconds=ms)).isoformat(timespec="milliseconds")


def _as(format: str) -> str:
    return f" as {format!r} says" if format else ""
