"""Messages that somebody has to agree to before they go.

The send gate keeps them with what waits, until ``$approval`` says what somebody answered: what goes follows from the
log alone. What is shown of them (``GET /v1/messages``) is told by the step, and written in its commit.
"""

from __future__ import annotations

from msgspec.structs import replace

from overture.decide import room
from overture.decide.work import Work
from overture.model import Delivery, Effect, Fact, Message
from overture.model.reasons import sentence

APPROVAL = "$approval"
PENDING = "approval.pending"
WAITING = "waiting"
"""The path that changes where a message begins or ends to wait."""


def answered(work: Work, fact: Fact) -> list[Effect]:
    """``$approval``: what somebody (``by``) answered about a message, ``{"message", "agreed", "by"}``.

    Where they agreed, it is for the gate to judge in this step. Only the first answer counts.
    """
    id, by, contact = fact.properties["message"], fact.properties["by"], work.contact
    asked = next((each for each in contact.waiting if each.message.id == id and each.reason == PENDING), None)
    if asked is None:
        return [Effect("approval", "", id, reason="approval.not_awaited")]
    work.touched.add(WAITING)
    message, others = asked.message, [each for each in contact.waiting if each is not asked]
    if fact.properties["agreed"]:
        contact.waiting = [*others, replace(asked, due=contact.clock, approved=True)]
        return [Effect("approval", message.template, id, None, by)]
    contact.waiting = others
    room.drop_message(contact, asked)
    effect = Effect("gate", message.template, id, by, None, "approval.rejected")
    note(work, message, effect, "dropped")
    return [effect]


def note(work: Work, message: Message, verdict: Effect, state: str) -> None:
    """Have it shown what the gate said about a message that needs approval."""
    reason = f"{verdict.reason}: {sentence(verdict.reason, before=verdict.before, after=verdict.after)}"
    work.records.append(Delivery(replace(message, context={}), state, reason=reason))
