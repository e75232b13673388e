"""What somebody answers about a message that waits for approval goes into the log, and is decided there."""

from __future__ import annotations

import asyncio
from typing import Any

from overture.decide.approvals import APPROVAL, PENDING
from overture.delivery.attempt import ended
from overture.model import Delivery, Fact, Refused, clock
from overture.model.errors import Overloaded
from overture.model.ids import new_fact_id
from overture.model.reasons import sentence
from overture.node.facts import PATIENCE
from overture.state.log import Entry, Log
from overture.state.outbox import Outbox
from overture.worker.replies import Replies


class Approvals:
    """Answers messages that wait for it."""

    def __init__(self, outbox: Outbox, log: Log, replies: Replies) -> None:
        self._outbox = outbox
        self._log = log
        self._replies = replies

    async def answer(self, id: str, key: str, *, agreed: bool) -> bool:
        """Agree to a message, or do not, in the name of a ``key``; False where there is no such message.

        Raises Refused 409 where it does not wait for an answer, or where the send gate does not let it go all the
        same; Overloaded where no worker has decided it in time: it will be.
        """
        delivery = await self._outbox.locate(id)
        if delivery is None:
            return False
        if not _pending(delivery):
            raise _not_held(delivery)
        effects = await self._said(delivery, key, agreed)
        if not effects or effects[0].get("reason") == "approval.not_awaited":
            await self._gone(id, key, agreed)
        verdict = next((effect for effect in effects if effect["kind"] == "gate"), None)
        if agreed and verdict is not None and (reason := verdict.get("reason", "")) and not reason.endswith(".held"):
            why = sentence(reason, before=verdict.get("before"), after=verdict.get("after"))
            text = f"Somebody has agreed now, and the send gate does not let it go: {reason}: {why}"
            raise Refused("message.suppressed", text, "GET /v1/messages?state=dropped has it.", status=409)
        return True

    async def _said(self, delivery: Delivery, key: str, agreed: bool) -> list[dict[str, Any]]:
        """Put it into the log, and wait for what comes of it: the effects about the message."""
        now, id = clock.now(), delivery.message.id
        reply = self._replies.expect()
        said = {"message": id, "agreed": agreed, "by": key}
        contact = delivery.message.contact
        fact = Fact(new_fact_id(now), APPROVAL, contact, now, now, said, reply=reply.token, source=key)
        try:
            await self._log.append([Entry(fact)])
            await asyncio.wait([reply.future], timeout=PATIENCE)
            decision = reply.decision or {}
        finally:
            reply.forget()
        if "effects" not in decision:
            raise Overloaded("message.undecided", "This answer is on record, and not decided yet.", status=503)
        return [effect for effect in decision["effects"] if effect.get("key") == id]

    async def _gone(self, id: str, key: str, agreed: bool) -> None:
        """It did not wait any more when the answer came. Raises Refused, but where one is rejected that only the
        outbox knows of: then that is where it is dropped.
        """
        delivery = await self._outbox.locate(id)
        if delivery is None or not _pending(delivery):
            raise _not_held(delivery)
        if agreed:
            text = "Its contact knows nothing of this message any more."
            raise Refused("message.not_held", text, "Reject it: then it is listed no more.", status=409)
        reason = f"approval.rejected: {sentence('approval.rejected', before=key)}"
        after, outcome = ended(delivery, "dropped", reason, clock.now())
        if not await self._outbox.change(delivery, after, outcome):
            raise _not_held(delivery)


def _pending(delivery: Delivery) -> bool:
    return delivery.state == "held" and delivery.reason.startswith(PENDING)


def _not_held(delivery: Delivery | None) -> Refused:
    what = "gone" if delivery is None else delivery.state
    why = f" ({delivery.reason})" if delivery is not None and delivery.reason else ""
    text = f"This message is {what}: it does not wait for approval{why}."
    return Refused("message.not_held", text, "GET /v1/messages?state=held lists those that do.", status=409)
