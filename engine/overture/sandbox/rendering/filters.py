"""What templates can do with dates, money, numbers and counted things: as is customary where the contact lives."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import Decimal, InvalidOperation
from typing import Any, Protocol

from babel import Locale, dates, numbers
from minijinja import pass_state

from overture.sandbox.rendering.locales import locale_named, zone_named

_LONGEST_FORMAT = 100
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_CURRENCY = re.compile(r"[A-Z]{3}")
_STYLES = frozenset({"short", "medium", "long", "full"})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CATEGORIES = frozenset({"zero", "one", "two", "few", "many", "other"})


class State(Protocol):
    def lookup(self, name: str) -> Any: ...


class Missing(Exception):
    """There is no value."""


class Wrong(Exception):
    """A sentence without full stop about the value."""


def _locale(state: State) -> Locale:
    return locale_named(str(state.lookup("locale")), "en")


def _zone(state: State, zone: str | None) -> tzinfo:
    return zone_named(str(zone or state.lookup("zone")))


def _instant(value: Any, zone: tzinfo) -> datetime | date:
    """A text in RFC 3339, or milliseconds since 1970, there; a day by itself is the same day everywhere."""
    if value is None:
        raise Missing
    try:
        if isinstance(value, str):
            if _DAY.fullmatch(value):
                return date.fromisoformat(value)
            read = datetime.fromisoformat(value)
            return (read if read.tzinfo else read.replace(tzinfo=UTC)).astimezone(zone)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return (_EPOCH + timedelta(milliseconds=value)).astimezone(zone)
    except (ValueError, OverflowError):
        pass
    raise Wrong(f"{str(value)[:40]!r} is no time")


def _format(format: Any) -> str:
    if not isinstance(format, str) or not 0 < len(format) <= _LONGEST_FORMAT:
        raise Wrong(f"A format is a text of at most {_LONGEST_FORMAT} characters")
    return format


@pass_state
def _date(state: State, value: Any, format: Any = "medium", zone: Any = None) -> str:
    there = _instant(value, _zone(state, zone))
    return _formatted(there, _format(format), state, dates.format_date)


@pass_state
def _time(state: State, value: Any, format: Any = "short", zone: Any = None) -> str:
    there = _instant(value, _zone(state, zone))
    if not isinstance(there, datetime):
        raise Wrong(f"{value!r} has no time of day")
    return _formatted(there, _format(format), state, dates.format_time)


@pass_state
def _datetime(state: State, value: Any, format: Any = "medium", zone: Any = None) -> str:
    there = _instant(value, _zone(state, zone))
    if not isinstance(there, datetime):
        raise Wrong(f"{value!r} has no time of day")
    return _formatted(there, _format(format), state, dates.format_datetime)


def _formatted(there: datetime | date, format: str, state: State, by: Callable[..., str]) -> str:
    """A style by its name; else a pattern of CLDR, which may ask for day and time of day alike."""
    locale = _locale(state)
    try:
        if format in _STYLES:
            if isinstance(there, datetime) and by is not dates.format_date:
                return by(there, format, tzinfo=there.tzinfo, locale=locale)
            return by(there, format, locale=locale)
        if isinstance(there, datetime):
            return dates.format_datetime(there, format, tzinfo=there.tzinfo, locale=locale)
        return dates.format_date(there, format, locale=locale)
    except (ValueError, KeyError, AttributeError, IndexError, TypeError):
        raise Wrong(f"{format[:40]!r} is no format for this") from None


def _number(value: Any) -> Decimal:
    if value is None:
        raise Missing
    try:
        if isinstance(value, int | float | str) and not isinstance(value, bool):
            read = Decimal(str(value))
            if read.is_finite() and abs(read) < Decimal(10) ** 18:
                return read
    except InvalidOperation:
        pass
    raise Wrong(f"{str(value)[:40]!r} is no number")


@pass_state
def _money(state: State, value: Any, currency: Any = None) -> str:
    amount = _number(value)
    if not isinstance(currency, str) or not _CURRENCY.fullmatch(currency):
        raise Wrong("A currency has three capital letters, as EUR")
    return numbers.format_currency(amount, currency, locale=_locale(state))


@pass_state
def _shown_number(state: State, value: Any, decimals: Any = None) -> str:
    amount, locale = _number(value), _locale(state)
    pattern = locale.decimal_formats[None].pattern.partition(".")[0]
    return numbers.format_decimal(amount, None if decimals is None else _to_decimals(pattern, decimals), locale)


@pass_state
def _percent(state: State, value: Any, decimals: Any = 0) -> str:
    amount, locale = _number(value), _locale(state)
    return numbers.format_percent(amount, _to_decimals(locale.percent_formats[None].pattern, decimals), locale)


def _to_decimals(pattern: str, decimals: Any) -> str:
    """A pattern of CLDR for whole numbers, with so many digits behind the point."""
    if not isinstance(decimals, int) or not 0 <= decimals <= 9:
        raise Wrong("decimals is a whole number from 0 to 9")
    return pattern.replace("0", f"0.{'0' * decimals}", 1) if decimals else pattern


@pass_state
def _plural(state: State, value: Any, **forms: Any) -> str:
    amount, locale = _number(value), _locale(state)
    if "other" not in forms or not forms.keys() <= _CATEGORIES:
        raise Wrong("plural takes zero, one, two, few, many, and always other")
    shown = str(forms.get(locale.plural_form(amount), forms["other"]))
    return shown.replace("#", numbers.format_decimal(amount, locale=locale))


FILTERS: dict[str, Callable[..., str]] = {
    "date": _date,
    "datetime": _datetime,
    "money": _money,
    "number": _shown_number,
    "percent": _percent,
    "plural": _plural,
    "time": _time,
}
