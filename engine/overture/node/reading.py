"""What people look at: contacts, rankings, segments, messages, read from the store as it stands."""

from __future__ import annotations

from typing import Any

from overture.deploy.rulesets import Rulesets
from overture.model import Contact, Delivery, Refused, Trace, clock
from overture.model.decay import all_scores, ranking, tidy, value_at
from overture.node.approving import Approvals
from overture.rules.ruleset import half_lives_of
from overture.state import keys
from overture.state.contacts import Contacts
from overture.state.identity import Identity
from overture.state.outbox import STATES, Outbox
from overture.state.pages import Pages
from overture.web.services import Page, RulesetState, StoredRevision
from overture.worker.plans import Plans


class ContactService:
    """Implements `overture.web.services.Contacts`."""

    def __init__(self, contacts: Contacts, identity: Identity, plans: Plans) -> None:
        self._contacts = contacts
        self._identity = identity
        self._plans = plans

    async def find(self, id_or_alias: str) -> Contact | None:
        """By contact id, or by an identifier written as ``email:…``, ``external:name:…``, ``anonymous_id:…``.

        Its scores are as of now.
        """
        name = id_or_alias.lower() if id_or_alias.startswith("email:") else id_or_alias
        contact = await self._contacts.get(await self._identity.find(name))
        if contact is None or contact.merged_into:
            return None
        if contact.stamps:
            program = await self._plans.active()
            contact.scores = all_scores(contact, half_lives_of(program.scores), clock.now())
        return contact

    async def timeline(self, contact_id: str, before: int | None, limit: int) -> list[Trace]:
        """Newest first; what was decided for contacts that were merged into this one is part of it."""
        return await self._contacts.timeline(contact_id, before, limit)


class RankingService:
    """Implements `overture.web.services.Rankings`."""

    def __init__(self, pages: Pages, plans: Plans) -> None:
        self._pages = pages
        self._plans = plans

    async def top(self, score: str, key: str, cursor: str | None, limit: int) -> Page:
        """Contacts by score, highest first; equal ones by contact id. 404 where no active ruleset declares it."""
        now, declared = clock.now(), (await self._plans.active()).scores
        if score not in declared:
            raise Refused("score.unknown", f"No active ruleset declares the score {score}.", status=404)
        if bool(declared[score].per) != bool(key):
            hint = (
                "Pass `key`: this score is kept per key." if not key else "Leave `key` out: this score is one number."
            )
            raise Refused("score.key", f"The score {score} does not fit this question.", hint)
        rows, after = await self._pages.page(
            [keys.score(p, ranking(score, key)) for p in range(self._pages.partitions)], cursor, limit
        )
        half_life = declared[score].half_life
        items = [{"contact": contact, "score": tidy(value_at(place, now, half_life))} for place, contact in rows]
        return Page(items, after)

    async def members(self, segment: str, cursor: str | None, limit: int) -> Page:
        """Contacts in a segment by contact id. 404 for a segment that no active ruleset declares."""
        program = await self._plans.active()
        if all(segment != known.name for known in program.segments):
            raise Refused("segment.unknown", f"No active ruleset declares the segment {segment}.", status=404)
        zsets = [keys.segment(p, segment) for p in range(self._pages.partitions)]
        rows, after = await self._pages.page(zsets, cursor, limit)
        return Page([{"contact": contact} for _, contact in rows], after)


class MessageService:
    """Implements `overture.web.services.Messages`."""

    def __init__(self, pages: Pages, outbox: Outbox, approvals: Approvals) -> None:
        self._pages = pages
        self._outbox = outbox
        self._approvals = approvals

    async def page(self, state: str | None, cursor: str | None, limit: int) -> Page:
        """Messages by last change, oldest first; all states, or one."""
        if state is not None and state not in STATES:
            raise Refused("message.state", f"There is no state {state!r}.", f"One of: {', '.join(STATES)}.")
        states = [state] if state else STATES
        where = {keys.messages(p, s): p for s in states for p in range(self._pages.partitions)}
        rows, after = await self._pages.page(list(where), cursor, limit)
        found = {d.message.id: d for d in await self._outbox.find_all([id for _, id in rows])}
        return Page([shown(found[id]) for _, id in rows if id in found], after)

    async def retry(self, id: str) -> bool:
        """Make a message due now, one that was dropped or given up too; False if there is none. Raises Refused 409."""
        delivery = await self._outbox.locate(id)
        if delivery is None:
            return False
        if not delivery.queued_at or delivery.state == "held":
            text = f"The send gate has not let this message go: {delivery.reason}"
            hint = "POST /v1/messages/{id}/approve lets one go that waits for approval."
            raise Refused("message.not_approved", text, hint, status=409)
        if not await self._outbox.requeue(delivery, clock.now()):
            text = "This message was sent, or has just moved."
            raise Refused("message.sent", text, "Look at it again.", status=409)
        return True

    async def approve(self, id: str, key: str) -> bool:
        """As `Approvals.answer`."""
        return await self._approvals.answer(id, key, agreed=True)

    async def reject(self, id: str, key: str) -> bool:
        """As `Approvals.answer`."""
        return await self._approvals.answer(id, key, agreed=False)


class RulesetService(Rulesets):
    """Implements `overture.web.services.Rulesets`: deploying, and two ways to look."""

    async def list(self) -> list[RulesetState]:
        _, active = await self.active()
        return [await self._state(name, active.get(name)) for name in await self.registry.names()]

    async def get(self, name: str) -> RulesetState | None:
        _, active = await self.active()
        return await self._state(name, active.get(name)) if name in await self.registry.names() else None

    async def _state(self, name: str, active: str | None) -> RulesetState:
        revisions = await self.registry.revisions(name)
        return RulesetState(name, active, [StoredRevision(r, clock.to_text(at)) for r, at in reversed(revisions)])


def shown(delivery: Delivery) -> dict[str, Any]:
    """A message as the API shows it: without what its template read."""
    m = delivery.message
    return {
        "id": m.id,
        "contact": m.contact,
        "channel": m.channel,
        "template": m.template,
        "purpose": m.purpose,
        "to": delivery.address or m.to,
        "state": delivery.state,
        "reason": delivery.reason,
        "attempts": delivery.attempts,
        "ambiguous": delivery.ambiguous,
        "provider_id": delivery.provider_id,
        "consent": delivery.consent,
        "ruleset": m.ruleset,
        "revision": m.revision,
        "rule": m.rule,
        "fact": m.fact,
        "created_at": clock.to_text(m.created_at),
        "updated_at": clock.to_text(delivery.updated_at),
        "expires_at": clock.to_text(m.expires) if m.expires else None,
        "due_at": clock.to_text(delivery.due_at) if delivery.state == "retrying" else None,
    }
