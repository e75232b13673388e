"""Sessions: facts of a contact without a longer pause are one visit, and when the pause is over, ``session.ended``.

A fact that comes late for a visit that has ended corrects it: what rules did to scores at its end is undone, and its
end is shown to them again, as it should have been. What was sent stays sent, and is not sent again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise
from operator import itemgetter
from typing import Any

from msgspec.structs import replace

from overture.decide.limits import EVENTS, LATE, NAME_BYTES, PATHS, SESSIONS, size
from overture.decide.presence import attend
from overture.decide.work import Visit, Work
from overture.model import Contact, Effect, Fact, Held
from overture.model.decay import remaining
from overture.model.fact import RESERVED_TYPES
from overture.model.session import Session
from overture.rules.ruleset import Sessions

ENDED = "session.ended"


def observe(work: Work, sessions: Sessions, fact: Fact, *, rules: bool) -> list[Effect]:
    """Put a fact into its visit; answers what was undone because that had ended without it.

    Where rules are not to act (the step is rolled back), nothing of what they did is undone either.
    """
    if fact.type not in sessions.types if sessions.types else fact.type.startswith(RESERVED_TYPES):
        return []
    contact, idle = work.contact, sessions.idle_ms
    at = min(fact.occurred_at, contact.clock)
    attend(contact, fact)
    known = contact.sessions
    if at <= contact.clock - idle - LATE or (len(known) == SESSIONS and at <= known[0].first - idle):
        return []
    page = _page(fact)
    if known and not (last := known[-1]).ended and last.last <= at < last.last + idle and at + idle > contact.clock:
        known[-1] = _continued(last, at, page)
        work.changed.add("sessions")
        return []
    undone = _join(work, idle, Session(fact.id, at, at, 1 if page else 0, [(at, page)]), rules)
    _end_all(work, idle)
    return undone


def absorb(work: Work, sessions: Sessions, visits: Iterable[Session]) -> list[Effect]:
    """Take in the visits of a contact that was merged into this one."""
    undone = [effect for visit in visits for effect in _join(work, sessions.idle_ms, visit, True)]
    _end_all(work, sessions.idle_ms)
    return undone


def end_due(work: Work, sessions: Sessions) -> None:
    """Show the end of the visits whose pause is over at the clock."""
    contact, idle = work.contact, sessions.idle_ms
    _end_all(work, idle)
    contact.sessions = [s for s in contact.sessions if s.last + idle + LATE > contact.clock]


def next_end(contact: Contact, sessions: Sessions) -> int | None:
    return min((s.last + sessions.idle_ms for s in contact.sessions if not s.ended), default=None)


def remember_effects(contact: Contact, earned: Mapping[str, list[Held]]) -> None:
    """After the rules: keep what they did at the end of visits, by their ids, in case it has to be undone."""
    for n, session in enumerate(contact.sessions):
        if effects := earned.get(session.id):
            contact.sessions[n] = replace(session, effects=[*session.effects, *effects])


# --- one visit -------------------------------------------------------------------------------------------------


def _join(work: Work, idle: int, new: Session, rules: bool) -> list[Effect]:
    """Put a visit among the known ones; it becomes one with those to which there is no pause."""
    contact = work.contact
    touching = [s for s in contact.sessions if s.first - idle < new.last and new.first < s.last + idle]
    whole, *others = *touching, new
    for other in others:
        whole = _union(whole, other)
    parts = [s for s in (*touching, new) if s.ended]
    undone: list[Effect] = []
    same = len(parts) == 1 and _told(whole) == _told(parts[0]) and whole.last == parts[0].last
    if same or (parts and not rules):
        whole = replace(whole, ended=True, effects=[held for part in parts for held in part.effects])
    else:
        undone = [effect for part in parts for effect in _undo(work, part)]
        fired = {h.name: h for part in (*touching, new) for h in part.effects if h.kind == "rule"}
        whole = replace(whole, ended=False, effects=list(fired.values()))
    rest = [s for s in contact.sessions if s not in touching]
    contact.sessions = sorted((*rest, whole), key=lambda s: (s.first, s.id))[-SESSIONS:]
    work.changed.add("sessions")
    return undone


def _undo(work: Work, session: Session) -> list[Effect]:
    undone: list[Effect] = []
    for held in reversed(session.effects):
        if held.kind != "score":
            continue
        half_life = work.half_lives.get(held.name, 0)
        value = remaining(held.value, held.at, work.contact.clock, half_life) if half_life else held.value
        effect = work.set_score(held.name, held.key, work.score(held.name, held.key) - value)
        if effect is not None:
            undone.append(replace(effect, reason="corrected"))
    return undone


def _end_all(work: Work, idle: int) -> None:
    """End the visits whose pause is over at the clock."""
    contact = work.contact
    for n, session in enumerate(contact.sessions):
        if not session.ended and session.last + idle <= contact.clock:
            contact.sessions[n] = _end(work, session, idle)


def _end(work: Work, session: Session, idle: int) -> Session:
    """Derive the fact that the visit is over; rules that fired on it before do not send again."""
    if ENDED in work.program.types:
        fired = frozenset(held.name for held in session.effects if held.kind == "rule")
        work.derive_end(Visit(session.id, fired), ENDED, _told(session), session.last + idle)
    return replace(session, ended=True)


def _told(session: Session) -> dict[str, Any]:
    """The properties of ``session.ended``."""
    spent = _spent(session)
    told: dict[str, Any] = {
        "session": session.id,
        "started_at": session.first,
        "duration": _seconds(session.last - session.first),
        "pages": session.pages,
        "dwell": {page: _seconds(ms) for page, ms in spent.items()},
    }
    if spent:
        told["longest"] = max(spent, key=lambda page: spent[page])  # of equals the one seen first
    return told


def _spent(session: Session) -> dict[str, int]:
    """ms on each page: from its view to the next one, or to the last fact of the visit."""
    spent, page = dict(session.spent), ""
    events = session.events
    for (at, seen), (until, _) in pairwise((*events, (session.last, ""))):
        page = seen or page
        if page:
            spent[page] = spent.get(page, 0) + max(0, until - at)
    return spent


def _union(a: Session, b: Session) -> Session:
    events = sorted((*a.events, *b.events), key=itemgetter(0))  # of one instant, what was accepted later is later
    spent = dict(a.spent)
    for page, ms in b.spent.items():
        spent[page] = spent.get(page, 0) + ms
    events, spent = _bounded(events, spent)
    return Session(a.id, min(a.first, b.first), max(a.last, b.last), a.pages + b.pages, events, spent)


def _continued(session: Session, at: int, page: str) -> Session:
    """`_union` with one fact that comes last, as nearly all do."""
    pages = session.pages + (1 if page else 0)
    events, spent = _bounded([*session.events, (at, page)], session.spent)
    return Session(session.id, session.first, at, pages, events, spent, False, session.effects)


def _bounded(events: list[tuple[int, str]], spent: dict[str, int]) -> tuple[list[tuple[int, str]], dict[str, int]]:
    """The newest facts of a visit; of the others the time on each page goes to what was spent before."""
    if len(events) <= EVENTS:
        return events, spent
    spent = dict(spent)
    while len(events) > EVENTS:
        (at, page), (until, following), *_ = events
        if page:
            spent[page] = spent.get(page, 0) + until - at
        events[:2] = [(until, following or page)]
    while len(spent) > PATHS:
        del spent[min(spent, key=lambda page: spent[page])]
    return events, spent


def _page(fact: Fact) -> str:
    path = fact.properties.get("path") if fact.type == "page_viewed" else None
    return path if type(path) is str and size(path) <= NAME_BYTES else ""


def _seconds(ms: int) -> float:
    return ms // 1000 if ms % 1000 == 0 else ms / 1000
