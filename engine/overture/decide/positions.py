"""Where contacts stand in journeys: how a position ends, when one goes on, what becomes of them at a merge."""

from __future__ import annotations

from overture.decide import limits, room
from overture.decide.work import Work
from overture.model import Contact, Effect, Position
from overture.rules.journey import END

JOURNEYS = "journeys"
"""The path that changes where somebody comes to another step."""


ENDS = (
    "done", "goal", "exit", "stopped", "redeployed", "stranded", "merged", "no_instant", "too_many_steps", "full",
    "rolled_back",
)  # fmt: skip
"""How a position ends: ``end:done`` and so on in the effects that tell of it."""


def gone(work: Work, position: Position, forgotten: bool = False) -> None:
    """It has ended. ``forgotten``: when does not matter, whoever has finished may always enter again."""
    contact = work.contact
    contact.journeys = [other for other in contact.journeys if other is not position]
    room.drop_position(contact, position)
    position.step, position.due = END, 0
    work.touched.add(JOURNEYS)
    if not forgotten:
        room.remember_end(contact, position.journey, {position.key: contact.clock})


def ended(work: Work, position: Position, outcome: str, reason: str = "") -> Effect:
    """End it where it stands."""
    effect = Effect("journey", position.journey, limits.shown(position.key), position.step, f"end:{outcome}", reason)
    leave(work, position, outcome)
    gone(work, position)
    return effect


def leave(work: Work, position: Position, how: str) -> None:
    """It goes on no further from where it stands: the send gate takes back what waits of it."""
    work.left[position.id] = f"{position.journey}: {how}"


def stop(work: Work, journey: str) -> list[Effect]:
    """End every position in a journey."""
    return [ended(work, p, "stopped") for p in work.contact.journeys.copy() if p.journey == journey]


def next_due(contact: Contact) -> int | None:
    """When the first of the positions goes on by itself."""
    return min((position.due for position in contact.journeys if position.due), default=None)


def take_over(work: Work, theirs: Contact) -> list[Effect]:
    """What a weaker contact has under way goes on here. Of two positions in one journey with the same key the one that
    was entered first does.
    """
    mine, effects = work.contact, list[Effect]()
    for journey, keys in theirs.ended.items():
        own = mine.ended.get(journey, {})
        room.remember_end(mine, journey, {key: max(at, own.get(key, 0)) for key, at in keys.items()})
    for position in theirs.journeys:
        twin = next((p for p in mine.journeys if (p.journey, p.key) == (position.journey, position.key)), None)
        reason = "journey.full" if twin is None and len(mine.journeys) >= limits.POSITIONS else ""
        if twin is not None and twin.entered_at <= position.entered_at:
            reason = "journey.merged"
        if not reason:
            reason = room.keep_position(mine, position)
        if reason:
            shown = limits.shown(position.key)
            leave(work, position, "merged")
            effects.append(Effect("journey", position.journey, shown, position.step, "end:merged", reason))
            continue
        if twin is not None:
            effects.append(ended(work, twin, "merged", "journey.merged"))
        mine.journeys.append(position)
    mine.journeys.sort(key=lambda p: (p.entered_at, p.journey, p.key))
    if mine.journeys:
        work.touched.add(JOURNEYS)
        work.moved = True
    return effects
