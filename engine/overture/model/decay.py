"""Scores that lose half of themselves in each half-life: kept as of one instant, exact at any later one.

All times are milliseconds. A value without an instant (it was there before the score began to decay) stays as it is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import cast

from overture.model.contact import Contact, Number, Score
from overture.model.numbers import NUMBER_LIMIT

_EVEN = 2.0**60  # the place of a score of 0 in a ranking: after all positive ones
_BELOW = 2.0**70  # the scale of the places of negative ones, after that; a power of two, so nothing is rounded
_TINY = 2048  # more than the powers of two between 1 and the smallest number there is
_LARGEST = math.log2(NUMBER_LIMIT)  # of a score; a place written under a shorter half-life may be beyond it


def remaining(value: float, since: int, at: int, half_life: int) -> float:
    """What is left at ``at`` of a value as of ``since``; all of it before that. Not rounded."""
    return value * 2.0 ** ((since - at) / half_life) if at > since else value


def tidy(value: float) -> Number:
    """A score as everybody reads it: to a millionth, a whole number without fraction."""
    value = round(value, 6)
    return int(value) if value == int(value) else value


def raw(contact: Contact, name: str, key: str, at: int, half_life: int) -> float:
    """A score at ``at``, not rounded; ``key`` is empty for a plain one, ``half_life`` 0 for one that stays."""
    value, since = contact.scores.get(name, 0), contact.stamps.get(name) if half_life else None
    if type(value) is dict:
        value = value.get(key, 0) if key else 0
    elif key:
        value = 0
    if type(since) is dict:
        since = since.get(key)
    number = cast(Number, value)
    return remaining(number, since, at, half_life) if since is not None else number  # type: ignore[arg-type]


def read(contact: Contact, name: str, key: str, at: int, half_life: int) -> Number:
    """A score at ``at`` as everybody reads it: conditions, templates, the API."""
    value = raw(contact, name, key, at, half_life)
    return tidy(value) if half_life else value


def all_scores(contact: Contact, half_lives: Mapping[str, int], at: int) -> dict[str, Score]:
    """Every score of the contact as everybody reads it at ``at``; ``half_lives`` of those that decay."""
    shown: dict[str, Score] = {}
    for name, kept in contact.scores.items():
        half_life = half_lives.get(name, 0)
        if not half_life:
            shown[name] = kept
        elif type(kept) is dict:
            shown[name] = {key: read(contact, name, key, at, half_life) for key in kept}
        else:
            shown[name] = read(contact, name, "", at, half_life)
    return shown


# --- rankings --------------------------------------------------------------------------------------------------


def ranking(name: str, key: str = "") -> str:
    """The name of the ranking in which contacts stand with a score: ``lead``; ``interest:seo`` for one kept per key."""
    return f"{name}:{key}" if key else name


def place(value: float, since: int, half_life: int) -> float:
    """Where a score stands in its ranking, best first; the same at every instant, so time moves nobody.

    Without half-life it is minus the score. With one, of two scores the one that is ahead stays ahead: positive ones
    stand by log2(value) + since ÷ half-life, those of 0 after them, negative ones last.
    """
    if not half_life:
        return -value
    if not value:
        return _EVEN
    power = math.log2(abs(value)) + since / half_life
    return -power if value > 0 else (power + _TINY) * _BELOW


def value_at(place: float, at: int, half_life: int) -> float:
    """The score behind a place at ``at``. Not rounded."""
    if not half_life:
        return -place
    if place == _EVEN:
        return 0
    if place < _EVEN:
        return 2.0 ** min(-place - at / half_life, _LARGEST)
    return -(2.0 ** min(place / _BELOW - _TINY - at / half_life, _LARGEST))
