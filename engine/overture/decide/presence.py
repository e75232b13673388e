"""When a contact is there, and the best hour to send it something: from its own opens, clicks and visits.

An hour of the past in which it did any of that counts once, under its hour of the week as the contact's clock showed it
then, and fades with `HALF_LIFE`. What proxies and scanners do is nobody's doing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo
from typing import NamedTuple

from overture.decide.sendtimes import in_quiet
from overture.match.calendar import next_local
from overture.match.zone import DAY_MS, HOUR_MS, clocks_put, local_time, zone_of
from overture.model import Contact, Fact
from overture.model.chosen import Presence
from overture.rules.keys import WEEKDAYS
from overture.rules.sending import Quiet

HALF_LIFE = 56 * DAY_MS
KNOWN = 2.0  # hours, faded: with fewer nothing is known of the contact
OTHER_DAY = 0.25  # what the same hour of another day counts
BESIDE = 0.5  # what the hour before or after counts
FAINT = 0.01  # below this an hour is forgotten
WEEK = 168  # hours


def attend(contact: Contact, fact: Fact) -> None:
    """The contact was there when the fact occurred."""
    contact.presence = seen(contact.presence, min(fact.occurred_at, contact.clock), zone_of(contact))


def seen(presence: Presence, at: int, zone: tzinfo) -> Presence:
    hour = at // HOUR_MS
    if hour == presence.hour:
        return presence
    weights = _as_of(presence, at)
    place = str(_place(at, zone))
    weights[place] = weights.get(place, 0.0) + 0.5 ** (max(presence.at - at, 0) / HALF_LIFE)
    return Presence(max(at, presence.at), max(hour, presence.hour), weights)


def joined(mine: Presence, theirs: Presence) -> Presence:
    """Of two contacts that become one."""
    at = max(mine.at, theirs.at)
    weights = _as_of(mine, at)
    for place, weight in _as_of(theirs, at).items():
        weights[place] = weights.get(place, 0.0) + weight
    return Presence(at, max(mine.hour, theirs.hour), weights)


class Best(NamedTuple):
    """The instant to send at, and what it goes by, for people."""

    at: int
    because: str


def best_time(
    presence: Presence, now: int, latest: int, otherwise: int | None, quiets: Sequence[Quiet], zone: tzinfo
) -> Best:
    """``now``, or the beginning of a later hour up to ``latest``: the first of those at which the contact is most
    likely there, outside quiet hours. Where nothing is known of it, the minute ``otherwise`` of its day, or ``now``.
    """
    weights = _as_of(presence, now)
    if sum(weights.values()) < KNOWN:
        at = now if otherwise is None else next_local(now - 1, otherwise, (), zone)
        return Best(at if at <= latest else now, "its hours are not known")
    hours = _hours(now, latest, zone)
    free = [at for at in hours if not any(in_quiet(each, at, zone) for each in quiets)] or hours
    # Of equal ones the first: `max` answers that.
    best = max(free, key=lambda at: round(_likely(weights, at, zone), 9))
    local = local_time(best, zone)
    return Best(best, f"most often there {WEEKDAYS[local.weekday()]} {local.hour:02}:00–{(local.hour + 1) % 24:02}:00")


def _hours(now: int, latest: int, zone: tzinfo) -> list[int]:
    """``now``, and each instant after it at which clocks there begin to show another hour."""
    found = [now]
    at = now
    while True:
        local = local_time(at, zone)
        following = at + HOUR_MS - (local.minute * 60 + local.second) * 1000 - at % 1000
        if local.utcoffset() != local_time(following, zone).utcoffset():
            following = min(following, clocks_put(at, following, zone))
        if following > latest:
            return found
        found.append(at := following)


def _likely(weights: dict[str, float], at: int, zone: tzinfo) -> float:
    place = _place(at, zone)
    likely = 0.0
    for beside, factor in ((-1, BESIDE), (0, 1.0), (1, BESIDE)):
        for days in range(7):
            weight = weights.get(str((place + beside + 24 * days) % WEEK), 0.0)
            likely += weight * factor * (OTHER_DAY if days else 1.0)
    return likely


def _place(at: int, zone: tzinfo) -> int:
    """The hour of the week that clocks there show."""
    local = local_time(at, zone)
    return 24 * local.weekday() + local.hour


def _as_of(presence: Presence, at: int) -> dict[str, float]:
    """The weights as they have faded up to then; none fades backwards."""
    faded = 0.5 ** (max(at - presence.at, 0) / HALF_LIFE)
    return {place: w for place, weight in presence.weights.items() if (w := weight * faded) >= FAINT}
