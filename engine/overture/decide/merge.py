"""An anonymous contact becomes known: its state moves to the known contact, and later facts follow it.

Two contacts live in two partitions, so the move is two steps, each exactly once: ``$link`` in the log of the
weaker contact empties it, remembers where it went and forwards a ``$merge`` with its state; ``$merge`` in the log of
the stronger contact takes that state in. A fact that still arrives at the weaker contact is forwarded too.
"""

from __future__ import annotations

from typing import Any, cast

import msgspec

from overture.decide.work import Work
from overture.model import Contact, Effect, Fact, Step, Trace
from overture.model.contact import Number


def link(contact: Contact, fact: Fact, now: int) -> Step:
    """``$link``: properties ``{"into": contact id}``. Does nothing the second time."""
    into = str(fact.properties["into"])
    after = contact.copy()
    after.seq += 1
    after.updated_at = now
    trace = Trace(after.seq, fact, contact.program, now)
    if contact.merged_into or into == contact.id:
        return Step(after, trace)
    trace.effects = [Effect("link", into, "", None, into)]
    state: Any = msgspec.to_builtins(contact)
    merge = _forwarded(fact, into, f"$merge:{contact.id}", "$merge", {"from": contact.id, "state": state})
    emptied = Contact(contact.id, after.seq, after.program, contact.created_at, now, ids=after.ids, merged_into=into)
    return Step(emptied, trace, forwards=[merge], scores=set(ranked(contact)), segments=set(contact.segments))


def forward(contact: Contact, fact: Fact, now: int) -> Step:
    """A fact for a contact that has become known: hand it on, with its own id and times."""
    after = contact.copy()
    after.seq += 1
    after.updated_at = now
    trace = Trace(after.seq, fact, contact.program, now, effects=[Effect("forward", contact.merged_into)])
    onward = _forwarded(fact, contact.merged_into, fact.id, fact.type, fact.properties)
    return Step(after, trace, forwards=[onward])


def merge(work: Work, fact: Fact) -> list[Effect]:
    """``$merge``: take in the state of a weaker contact. What both know, the stronger knows better; scores add."""
    mine = work.contact
    theirs = msgspec.convert(fact.properties["state"], Contact)
    for kind, value in theirs.ids.items():
        merge_ids(mine.ids, kind, value)
    for name, value in theirs.traits.items():
        if name not in mine.traits:
            mine.traits[name] = value
    for name, score in theirs.scores.items():
        _add_score(work, name, score)
    for name, at in theirs.segments.items():
        if name not in mine.segments:
            # Joined silently: what entering sets off has been done for the weaker contact.
            mine.segments[name] = at
            work.segments.add(name)
    for name, at in theirs.lists.items():
        mine.lists.setdefault(name, at)
    for channel, purposes in theirs.consent.items():
        own = mine.consent.setdefault(channel, {})
        for purpose, state in purposes.items():
            # Who of the two spoke last is not known: a refusal is not to be overruled by a merge.
            own[purpose] = "denied" if "denied" in (state, own.get(purpose)) else own.get(purpose, state)
    mine.suppressed = {**theirs.suppressed, **mine.suppressed}
    for rule, memory in theirs.fired.items():
        own = mine.fired.get(rule)
        if type(memory) is dict and type(own) is dict:
            mine.fired[rule] = {**memory, **own}
        elif own is None:
            mine.fired[rule] = memory
        elif type(own) is int and type(memory) is int:
            mine.fired[rule] = max(own, memory)
    mine.issued.extend(theirs.issued)
    mine.seq += theirs.seq  # their timeline is read as part of this one: numbers for it, right before this moment's
    work.changed.add("*")  # also what they stood in and, with what the stronger knows, do not belong into
    if theirs.program != mine.program:
        mine.program = 0  # what they stood in may be gone by now: the next fact catches up
    mine.created_at = min(mine.created_at, theirs.created_at) if theirs.created_at else mine.created_at
    return [Effect("merge", theirs.id)]


def merge_ids(ids: dict[str, Any], kind: str, value: Any) -> None:
    """Add identifiers of one kind: one user_id, any number of the others (external: one per system)."""
    if kind == "user_id":
        ids.setdefault(kind, value)
    elif kind == "external":
        ids[kind] = {**value, **ids.get(kind, {})}
    else:
        known: list[str] = ids.get(kind, [])
        presented = cast(list[str], value if type(value) is list else [value])
        new = [v for v in presented if v not in known]
        if new:
            ids[kind] = [*known, *new]


def ranked(contact: Contact) -> list[str]:
    """The names under which a contact stands in rankings: ``lead``, and ``interest:seo`` for a keyed score."""
    names: list[str] = []
    for name, score in contact.scores.items():
        names.extend(f"{name}:{key}" for key in score) if type(score) is dict else names.append(name)
    return names


def _add_score(work: Work, name: str, score: Number | dict[str, Number]) -> None:
    for key, value in score.items() if type(score) is dict else [("", score)]:
        work.set_score(name, key, work.score(name, key) + value)  # type: ignore[operator]


def _forwarded(fact: Fact, to: str, id: str, type: str, properties: dict[str, Any]) -> Fact:
    """``cause`` names the contact that hands the fact on."""
    return msgspec.structs.replace(fact, id=id, type=type, contact=to, properties=properties, cause=fact.contact)
