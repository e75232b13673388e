"""When messages may go: quiet hours by the clock on the contact's wall, and caps by how many there were."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import tzinfo

from overture.decide.consent import NEEDS_NO_CONSENT
from overture.match.zone import HOUR_MS, clocks_put, local_time, period_end, period_start
from overture.model import Sent
from overture.rules.durations import minute_text, window_text
from overture.rules.sending import Cap, Quiet
from overture.rules.tree import Window

_MOVED = 26 * HOUR_MS  # ms by which a local day can begin earlier once the contact lives elsewhere
_LOOKS = 16  # at quiet hours that follow each other


def covers(purposes: Collection[str], purpose: str) -> bool:
    """Whether quiet hours or a cap are about a purpose. Where they name none, about all but transactional ones."""
    return purpose in purposes if purposes else purpose != NEEDS_NO_CONSENT


def in_quiet(quiet: Quiet, at: int, zone: tzinfo) -> bool:
    local = local_time(at, zone)
    minute = 60 * local.hour + local.minute
    if quiet.start <= quiet.end:
        return quiet.start <= minute < quiet.end
    return minute >= quiet.start or minute < quiet.end


def quiet_end(quiets: Sequence[Quiet], at: int, zone: tzinfo) -> int | None:
    """The first instant from ``at`` on at which the clock shows no quiet time; None where there is none for days.

    That is ``at`` itself outside quiet hours. An end that clocks skip is the instant at which they do, as in
    `overture.match.calendar`; of one that they show twice it is the first. From between the two it is the second, for
    which that would answer with the next day: so it is not asked.
    """
    for _ in range(_LOOKS):
        quiet = next((each for each in quiets if in_quiet(each, at, zone)), None)
        if quiet is None:
            return at
        local = local_time(at, zone)
        left = (quiet.end - 60 * local.hour - local.minute) % 1440
        end = at + left * 60_000 - local.second * 1000 - at % 1000
        at = end if local.utcoffset() == local_time(end, zone).utcoffset() else min(end, clocks_put(at, end, zone))
    return None


def free_at(cap: Cap, sent: Iterable[Sent], at: int, zone: tzinfo) -> int:
    """When the cap has room for one more: ``at`` itself, or the first instant after it. ``sent``: oldest first."""
    since = _since(cap, at, zone)
    counted = [each.at for each in sent if each.at > since and covers(cap.purposes, each.purpose)]
    if len(counted) < cap.max:
        return at
    return period_end(at, cap.calendar, zone) if cap.calendar else counted[-cap.max] + cap.ms


def remembered(caps: Sequence[Cap], sent: Sequence[Sent], at: int, zone: tzinfo) -> list[Sent]:
    """Those that a cap may still count, wherever the contact lives."""
    since = [(cap.purposes, _since(cap, at, zone) - (_MOVED if cap.calendar else 0)) for cap in caps]
    return [each for each in sent if any(each.at > start and covers(p, each.purpose) for p, start in since)]


def kept_until(until: int | None, what: str, expires: int, *, at_once: bool) -> str:
    """The reason of a message that would have to wait until then (None: for ever), as it ``expires`` or goes
    ``at_once`` or never. ``what`` keeps it: ``quiet``, ``cap``.
    """
    if at_once or until is None:
        return f"{what}.expired"
    return "late.expired" if 0 < expires < until else f"{what}.held"


def on_the_wall(at: int, zone: tzinfo) -> str:
    """An instant as clocks there show it, to the second."""
    return local_time(at, zone).isoformat(timespec="seconds")


def told(thing: Quiet | Cap) -> str:
    """``21:00–08:00``, ``2 within 3d``, ``1 within today``."""
    if isinstance(thing, Quiet):
        return f"{minute_text(thing.start)}–{minute_text(thing.end)}"
    return f"{thing.max} within {window_text(Window(thing.ms, calendar=thing.calendar))}"


def _since(cap: Cap, at: int, zone: tzinfo) -> int:
    """What came after this instant counts."""
    return period_start(at, cap.calendar, zone) - 1 if cap.calendar else at - cap.ms
