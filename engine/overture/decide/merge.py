"""An anonymous contact becomes known: its state moves to the known contact, and later facts follow it.

Two contacts live in two partitions, so the move is two steps, each exactly once: ``$link`` in the log of the
weaker contact empties it, remembers where it went and forwards a ``$merge`` with its state; ``$merge`` in the log of
the stronger contact takes that state in. A fact that still arrives at the weaker contact is forwarded too.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec

from overture.decide import choosing, examples, exposures, gatekeeping, joins, positions, room
from overture.decide.clockwork import begin
from overture.decide.consent import joined
from overture.decide.history import merged
from overture.decide.holds import held_too
from overture.decide.visits import absorb
from overture.decide.work import Work
from overture.model import Contact, Delivery, Effect, Fact, Held, Step, Trace
from overture.model.contact import Score
from overture.model.decay import ranking, raw


def link(contact: Contact, fact: Fact, now: int) -> Step:
    """``$link``: properties ``{"into": contact id}``. Does nothing the second time."""
    into = str(fact.properties["into"])
    after = begin(contact, fact)
    trace = Trace(after.seq, fact, abs(contact.program), now)
    if contact.merged_into or into == contact.id:
        return Step(after, trace)
    trace.effects = [Effect("link", into, "", None, into)]
    state: Any = msgspec.to_builtins(contact)
    # One erased may become part of the same contact once more: that is another fact.
    id = f"$merge:{contact.id}:{fact.accepted_at}"
    merge = _forwarded(fact, into, id, "$merge", {"from": contact.id, "state": state})
    # Nobody's state has no instant in recorded history at which it could be taken in.
    forwards = [merge] if contact.seq or not fact.backfill else []
    emptied = Contact(contact.id, after.seq, after.program, contact.created_at, after.clock, ids=after.ids)
    emptied.merged_into, emptied.clock = into, after.clock
    emptied.weight = room.weigh(emptied)
    # What waits for approval is shown where the contact is that will send it.
    records = [Delivery(each.message, "") for each in contact.waiting if each.message.approval]
    ranks, segments = dict.fromkeys(ranked(contact)), set(contact.segments)
    return Step(emptied, trace, records=records, forwards=forwards, scores=ranks, segments=segments)


def forward(contact: Contact, fact: Fact, now: int) -> Step:
    """A fact for a contact that has become known: hand it on, with its own id and times."""
    after = begin(contact, fact)
    trace = Trace(after.seq, fact, abs(contact.program), now, effects=[Effect("forward", contact.merged_into)])
    onward = _forwarded(fact, contact.merged_into, fact.id, fact.type, fact.properties)
    return Step(after, trace, forwards=[onward])


def merge(work: Work, fact: Fact) -> list[Effect]:
    """``$merge``: take in the state of a weaker contact. What both know, the stronger knows better; scores add.

    For what there is no room, an effect says how many of what kind were left out.
    """
    mine = work.contact
    theirs = msgspec.convert(fact.properties["state"], Contact)
    mine.clock = max(mine.clock, theirs.clock)
    left_out: Counter[str] = Counter()
    for kind, value in theirs.ids.items():
        left_out[kind] += len(room.keep_ids(mine, kind, value))
    both = _take_over_held(mine, theirs)
    for name, value in theirs.traits.items():
        if name not in mine.traits and room.keep_trait(mine, name, value):
            left_out["traits"] += 1
    for name, score in theirs.scores.items():
        left_out["scores"] += _add_score(work, theirs, name, score)
    for held in both:
        work.set_score(held.name, held.key, work.score(held.name, held.key) - held.value)
    for name, at in theirs.segments.items():
        if name not in mine.segments:
            # Joined silently: what entering sets off has been done for the weaker contact.
            mine.segments[name] = at
            work.segments.add(name)
    _take_over_history(work, theirs)
    for id, parts in theirs.joins.items():
        mine.joins[id] = joins.joined(mine.joins[id], parts) if id in mine.joins else parts
    for name, at in theirs.lists.items():
        mine.lists.setdefault(name, at)
    agreed = _take_over_consent(work, theirs, left_out)
    for address, reason in theirs.suppressed.items():
        if address not in mine.suppressed:
            room.suppress(mine, address, reason)
    for rule, memory in theirs.fired.items():
        keyed = type(mine.fired.get(rule, memory)) is dict
        if type(memory) is dict and keyed:
            room.remember(mine, rule, memory)
        elif type(memory) is not dict and not keyed:
            room.remember_firings(mine, rule, room.firings(theirs, rule))
    for code in theirs.issued:
        room.keep_code(mine, code)
    gated = gatekeeping.take_over(work, theirs)
    gated += positions.take_over(work, theirs)
    exposures.take_over(work, theirs)
    gated += choosing.take_over(work, theirs)
    examples.take_over(work, theirs)
    mine.seq += theirs.seq  # their timeline is read as part of this one: numbers for it, right before this moment's
    work.changed.add("*")  # also what they stood in and, with what the stronger knows, do not belong into
    if theirs.program != mine.program:
        mine.program = -mine.program  # what they stood in may be gone by now: the next fact catches up
    mine.created_at = min(mine.created_at, theirs.created_at) if theirs.created_at else mine.created_at
    corrected = absorb(work, work.program.sessions, theirs.sessions) if work.program.sessions is not None else []
    refused = (Effect("merge", kind, theirs.id, None, n, room.FULL) for kind, n in left_out.items() if n)
    return [Effect("merge", theirs.id), *agreed, *refused, *corrected, *gated]


def _take_over_consent(work: Work, theirs: Contact, left_out: Counter[str]) -> list[Effect]:
    """What the stronger contact agrees to from now on, or does no longer."""
    changed: list[Effect] = []
    for channel, purposes in theirs.consent.items():
        for purpose, state in purposes.items():
            before = work.contact.consent.get(channel, {}).get(purpose)
            after = joined(before, state)
            if after == before:
                continue
            effect = work.set_consent(channel, purpose, after)
            if effect.reason:
                left_out["consent"] += 1
            else:
                changed.append(effect)
    return changed


def _take_over_history(work: Work, theirs: Contact) -> None:
    """What the other did before a series was asked for is still to be told, by the sweep of its own partition."""
    mine = work.contact
    for id, since in work.program.since.items():
        begun = abs(theirs.program) >= since.version
        if missing := theirs.partial.get(id, []) if begun else [theirs.id]:
            mine.partial[id] = [*mine.partial.get(id, []), *missing]
        if not begun:
            theirs.history.pop(id, None)
    for id, series in theirs.history.items():
        mine.history[id] = merged(mine.history[id], series) if id in mine.history else series


def told(fact: Fact) -> Fact:
    """A ``$merge`` as the timeline keeps it: of the state, only what leads to the moments before."""
    id, seq, *_ = fact.properties["state"]
    return msgspec.structs.replace(fact, properties={**fact.properties, "state": [id, seq]})


def ranked(contact: Contact) -> list[str]:
    """The names under which a contact stands in rankings: ``lead``, and ``interest:seo`` for a keyed score."""
    names: list[str] = []
    for name, score in contact.scores.items():
        names.extend(ranking(name, key) for key in score) if type(score) is dict else names.append(name)
    return names


def _take_over_held(mine: Contact, theirs: Contact) -> list[Held]:
    """What rules with ``while`` hold of the other holds here; answers the points that both have of the same rule."""
    both: list[Held] = []
    taken: dict[str, list[Held]] = {}
    for id, held in theirs.held.items():
        if id in mine.held:
            both += (h for h in held if h.kind == "score")
        else:
            taken[id] = [h for own in held if (h := _taken_over(mine, own)) is not None]
    mine.held |= taken
    return both


def _taken_over(mine: Contact, held: Held) -> Held | None:
    """A trait or a list that was here before is not theirs to take away, unless rules hold it here too."""
    there = {"set": mine.traits, "list": mine.lists}.get(held.kind, {})
    if held.name not in there:
        return held
    ours = held_too(mine, held.kind, held.name, held.value)
    return None if ours is None else msgspec.structs.replace(held, before=ours.before)


def _add_score(work: Work, theirs: Contact, name: str, score: Score) -> int:
    """Answers how many there was no room for."""
    refused = 0
    clock, half_life = work.contact.clock, work.half_lives.get(name, 0)
    for key in score if type(score) is dict else [""]:
        both = raw(work.contact, name, key, clock, half_life) + raw(theirs, name, key, clock, half_life)
        effect = work.set_score(name, key, both)
        refused += effect is not None and bool(effect.reason)
    return refused


def _forwarded(fact: Fact, to: str, id: str, type: str, properties: dict[str, Any]) -> Fact:
    """``cause`` names the contact that hands the fact on."""
    return msgspec.structs.replace(fact, id=id, type=type, contact=to, properties=properties, cause=fact.contact)
