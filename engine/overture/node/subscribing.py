"""Links in messages acted on, and the consent ledger read."""

from __future__ import annotations

from typing import Any

import msgspec

from overture.decide.consent import NEEDS_NO_CONSENT
from overture.delivery.links import Claim, Links, address_digest
from overture.model import Contact, Draft, clock
from overture.model.addresses import own_address
from overture.model.ids import new_fact_id
from overture.rules import Program
from overture.state.contacts import Contacts
from overture.state.identity import Identity, ids_of
from overture.state.ledger import Detail, Link
from overture.state.ledgers import Ledgers
from overture.web.services import Facts
from overture.web.subscribed import BrokenLink, ChainView, Choice, ConsentEntry, LedgerCheck, Subscription
from overture.worker.plans import Plans


class SubscriptionService:
    """Implements `overture.web.subscribed.Subscriptions`."""

    def __init__(
        self, links: Links, ledgers: Ledgers, facts: Facts, contacts: Contacts, identity: Identity, plans: Plans
    ) -> None:
        self._links = links
        self._ledgers = ledgers
        self._facts = facts
        self._contacts = contacts
        self._identity = identity
        self._plans = plans

    async def look(self, token: str) -> Subscription:
        claim = self._links.read(token, clock.now())
        return self._shown(claim, await self._contact(claim), await self._plans.active())

    async def act(self, token: str, chosen: frozenset[str]) -> Subscription:
        claim = self._links.read(token, clock.now())
        contact, program = await self._contact(claim), await self._plans.active()
        about = self._shown(claim, contact, program)
        if not contact.seq:
            return about  # erased: nothing that was sent before brings the contact back
        if claim.kind == "unsubscribe":
            await self._say(claim, [await self._consent(claim, contact, "denied")])
        elif claim.kind == "confirm" and about.state == "pending" and about.fits:
            await self._say(claim, [await self._consent(claim, contact, "granted")])
        elif claim.kind == "preferences" and "save" in chosen:
            changed = [choice for choice in about.choices if (choice.name in chosen) != choice.on]
            await self._say(claim, [_change(claim, contact, choice) for choice in changed])
        return self._shown(claim, await self._contact(claim), program)

    async def history(self, contact: str) -> list[ConsentEntry]:
        return [_entry(*each) for each in await self._ledgers.history(contact)]

    async def verify(self) -> LedgerCheck:
        walks = [await self._ledgers.walk(p) for p in range(self._ledgers.partitions)]
        broken = [BrokenLink(w.partition, w.broken, w.why) for w in walks if w.broken is not None]
        chains = [ChainView(w.partition, w.links, w.erased, w.head) for w in walks if w.head or w.links]
        links, erased = sum(w.links for w in walks), sum(w.erased for w in walks)
        return LedgerCheck(not broken, links, erased, chains, broken)

    async def _contact(self, claim: Claim) -> Contact:
        """As it stands; one that became known since is found where it went."""
        id = await self._identity.find(claim.contact)
        return await self._contacts.get(id) or Contact(id)

    def _shown(self, claim: Claim, contact: Contact, program: Program) -> Subscription:
        state = contact.consent.get(claim.channel, {}).get(claim.purpose, "")
        address = own_address(contact, claim.channel)
        fits = claim.kind != "confirm" or (address is not None and address_digest(address) == claim.address)
        other = msgspec.structs.replace(claim, kind="preferences")
        preferences = self._links.url(other).rpartition("/")[2]
        choices = _choices(claim, contact, program) if claim.kind == "preferences" else ()
        return Subscription(claim.kind, claim.channel, claim.purpose, state, fits, preferences, choices)

    async def _consent(self, claim: Claim, contact: Contact, state: str) -> Draft:
        """Posted twice while nothing was said in between it is the same fact, after a new consent another one."""
        standing = await self._ledgers.standing(contact.id, claim.channel, claim.purpose)
        number = f"{self._ledgers.partition(contact.id)}.{standing.n}" if standing else "0"
        said = {"channel": claim.channel, "purpose": claim.purpose, "state": state, "message": claim.message}
        id = f"{claim.kind}:{number}:{claim.channel}:{claim.purpose}"
        return Draft(id, "consent", ids_of(contact.id), None, said)

    async def _say(self, claim: Claim, drafts: list[Draft]) -> None:
        if drafts:
            how: dict[str, Any] = {"source": claim.kind, "backfill": False, "wait": True, "now": clock.now()}
            await self._facts.accept(drafts, **how)


def _choices(claim: Claim, contact: Contact, program: Program) -> tuple[Choice, ...]:
    """Purposes and lists on the link's own channel, and what was agreed to on others. Consents come before lists, which
    are joined with them.
    """
    asked = {(channel, purpose): state for channel, of in contact.consent.items() for purpose, state in of.items()}
    lists = [each for each in program.lists.values() if each.purpose and each.channel == claim.channel]
    pairs = {(claim.channel, claim.purpose), *asked, *((each.channel, each.purpose) for each in lists)}
    found: list[Choice] = []
    for channel, purpose in sorted(pairs):
        state = asked.get((channel, purpose), "")
        if purpose != NEEDS_NO_CONSENT and (channel == claim.channel or state == "granted"):
            name = f"consent {_word(channel)} {_word(purpose)}"
            found.append(Choice(name, channel, purpose, on=state == "granted", pending=state == "pending"))
    for each in sorted(lists, key=lambda each: each.name):
        on = each.name in contact.lists
        found.append(Choice(f"list {each.name}", each.channel, each.purpose, each.name, on))
    return tuple(found)


def _word(text: str) -> str:
    """Without blanks: those of a name are not the ones between names."""
    return text.replace("%", "%25").replace(" ", "%20")


def _change(claim: Claim, contact: Contact, choice: Choice) -> Draft:
    """The fact that turns a choice around."""
    ids, id = ids_of(contact.id), new_fact_id(clock.now())
    if choice.list:
        joined = {"list": choice.list, "state": "left" if choice.on else "joined"}
        return Draft(id, "list_changed", ids, None, joined, dedupe=False)
    state = "denied" if choice.on else "granted"
    said = {"channel": choice.channel, "purpose": choice.purpose, "state": state, "message": claim.message}
    return Draft(id, "consent", ids, None, said, dedupe=False)


def _entry(reference: str, link: Link, detail: Detail) -> ConsentEntry:
    said = detail.said
    return ConsentEntry(
        entry=reference,
        channel=link.channel,
        purpose=link.purpose,
        before=link.before,
        after=link.after,
        given_at=clock.to_text(detail.given_at),
        recorded_at=clock.to_text(link.recorded_at),
        fact=detail.fact,
        source=detail.source,
        merged_from=detail.cause,
        text=said.get("text", ""),
        version=said.get("version", ""),
        message=said.get("message", ""),
        hash=link.hash.hex(),
    )
