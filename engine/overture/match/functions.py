"""The functions that a condition may call. Each takes values (``None`` is missing) and never raises."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from overture.match.values import bounded, inside, is_number
from overture.model import Contact, Refused
from overture.rules.patterns import OPTIONS, re2

SEARCHED = 2_000


def _startswith(text: Any, start: Any) -> bool:
    return type(text) is str and type(start) is str and text.startswith(start)


def _endswith(text: Any, end: Any) -> bool:
    return type(text) is str and type(end) is str and text.endswith(end)


def _has(x: Any) -> bool:
    return x is not None


def _contains(whole: Any, part: Any) -> bool:
    return inside(part, whole)


def _lower(text: Any) -> str | None:
    return text.lower() if type(text) is str else None


def _len(x: Any) -> int | None:
    return len(x) if type(x) in (str, list, dict) else None


def _numbers(choose: Callable[..., Any]) -> Callable[..., Any]:
    def chosen(*xs: Any) -> Any:
        return bounded(choose(xs)) if all(map(is_number, xs)) else None

    return chosen


def age(x: Any, contact: Contact) -> Any:
    """From an instant to the contact's clock, in ms."""
    return bounded(contact.clock - x) if is_number(x) else None


def _abs(x: Any) -> Any:
    return bounded(abs(x)) if is_number(x) else None


def _round(x: Any, digits: Any = None) -> Any:
    """Half to even, as in Python; to a whole number, or to ``digits`` places."""
    if not is_number(x) or bounded(x) is None or not (digits is None or (type(digits) is int and -20 <= digits <= 20)):
        return None
    return bounded(round(x, digits))


FUNCTIONS: dict[str, tuple[Callable[..., Any], int, int]] = {
    "has": (_has, 1, 1),
    "startswith": (_startswith, 2, 2),
    "endswith": (_endswith, 2, 2),
    "contains": (_contains, 2, 2),
    "lower": (_lower, 1, 1),
    "len": (_len, 1, 1),
    "min": (_numbers(min), 2, 16),
    "max": (_numbers(max), 2, 16),
    "abs": (_abs, 1, 1),
    "round": (_round, 1, 2),
}
"""name → function, fewest and most arguments. Those that take more than values are not here: ``matches``, whose pattern
is compiled beforehand, and those that ask the contact (its clock, its zone, its history).
"""


def pattern(source: str) -> Callable[[Any], bool]:
    """A test whether a text has a part that matches ``source`` (RE2 syntax; anchor with ``^`` and ``$``).

    A text of more than `SEARCHED` characters matches nothing: RE2 is linear, but a costly pattern over it would take
    seconds in which this process does nothing else.

    Raises:
        Refused: the pattern is not valid RE2.
    """
    try:
        search: Callable[[str], object] = re2.compile(source, OPTIONS).search
    except (re2.error, UnicodeEncodeError) as error:
        raise Refused("condition.pattern", f"The pattern is not valid: {error}.", "Patterns are RE2.") from None

    def matches(text: Any) -> bool:
        if type(text) is not str or len(text) > SEARCHED:
            return False
        try:
            return search(text) is not None
        except UnicodeEncodeError:  # a lone surrogate is no text that RE2 can read
            return False

    return matches
