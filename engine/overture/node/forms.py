"""Forms shown to visitors, and what they answer made facts.

Who a visitor says it is, an anonymous id or an e-mail address, proves nothing: of such a one only what was said under
its anonymous id counts as known, nothing is shown, and its answers add to what is known without changing it. The last
is for the step to see to, which knows what is known when they are decided: the fact only says which must not change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import msgspec

from overture.decide.intrinsic import FIXED
from overture.delivery.links import Links, address_digest
from overture.intake import fields, refused
from overture.model import Contact, Draft, Fact, Refused, clock
from overture.model.addresses import own_address
from overture.model.ids import digest
from overture.node.answers import read_answers
from overture.node.claims import claimed
from overture.rules.form import IDENTIFIER, Form, shown
from overture.state.contacts import TIMELINE, Contacts
from overture.state.identity import Identity, derived_ids, ids_of
from overture.web.formed import FieldView, FormView, Submission, Submitted, Visitor
from overture.web.services import Facts
from overture.worker.plans import Plans

_canonical = msgspec.json.Encoder(order="sorted")


@dataclass(frozen=True, slots=True)
class _Who:
    """``values``: the traits of an identified visitor; None: it is not identified. ``known``: not to be asked again.
    ``fixed``: those that it cannot change by its answers once they are known.
    """

    ids: dict[str, Any]
    values: Mapping[str, Any] | None
    known: frozenset[str]
    fixed: frozenset[str] = frozenset()


class FormService:
    """Implements `overture.web.formed.Forms`."""

    def __init__(self, links: Links, facts: Facts, contacts: Contacts, identity: Identity, plans: Plans) -> None:
        self._links = links
        self._facts = facts
        self._contacts = contacts
        self._identity = identity
        self._plans = plans

    async def show(self, name: str, visitor: Visitor) -> FormView:
        form, who = await self._form(name), await self._who(visitor)
        views = [
            FieldView(
                each.trait,
                each.label,
                each.kind,
                each.required,
                list(each.options) or msgspec.UNSET,
                msgspec.UNSET if value is None else value,
            )
            for each, value in shown(form, who.known, who.values)
        ]
        return FormView(name, who.values is not None, views)

    async def submit(self, name: str, visitor: Visitor, said: Submission, source: str) -> Submitted:
        form, who = await self._form(name), await self._who(visitor)
        asked = shown(form, who.known - said.answers.keys(), who.values)  # as before this was taken for the first time
        traits, about = read_answers(form, said.answers, said.about, [each for each, value in asked if value is None])
        ids, fixed = who.ids, who.fixed
        if who.values is None:
            ids, fixed = await self._unproved(visitor.anonymous_id, traits.get(IDENTIFIER)), traits.keys()
        context = {"form": {"name": name, "answered": sorted(traits), FIXED: sorted(fixed & traits.keys())}}
        id = f"form:{name}:{digest(said.id, _canonical.encode([traits, about]).decode()).hex()}"
        drafts = [Draft(f"{id}:who", "identify", ids, None, traits, context)] if traits else []
        drafts.append(Draft(id, form.fact, ids, None, about, context))
        # What an id stands for was said under it before: whatever the receipts say, it is taken.
        await self._facts.accept(drafts, source=source, backfill=False, wait=True, now=clock.now())
        return Submitted(name)

    async def _form(self, name: str) -> Form:
        form = (await self._plans.active()).forms.get(name)
        if form is None:
            raise Refused("form.unknown", "No active ruleset has a form of this name.", status=404)
        return form

    async def _who(self, visitor: Visitor) -> _Who:
        if visitor.contact:
            contact, fixed = await self._vouched(visitor.contact), frozenset[str]()
        elif visitor.token:  # a mail may be handed on, and is not to give its contact's address away
            contact, fixed = await self._proved(visitor.token), frozenset({IDENTIFIER})
        else:
            return _Who({}, None, await self._said_under(visitor.anonymous_id))
        values = _values(contact)
        return _Who(ids_of(contact.id), values, frozenset(values), fixed)

    async def _vouched(self, name: str) -> Contact:
        """Whom the app names; it may be new."""
        ids = ids_of(name)
        if "anonymous_id" in ids:
            hint = "Send it as anonymous_id: whoever has a cookie is not known by that."
            raise Refused("form.contact", "An anonymous id identifies nobody.", hint)
        if "email" in ids:
            ids = {"email": fields.email(ids["email"])}
            if not ids["email"]:
                raise refused("fact.email_invalid", pointer="/contact")
        elif not fields.is_name(name, 300) or ("user_id" in ids and not fields.is_user_id(name)):
            raise refused("fact.identifier_invalid", pointer="/contact")
        return await self._contact(derived_ids(ids)[0])

    async def _proved(self, token: str) -> Contact:
        """Who got the message with this token, while its address is still the contact's."""
        claim = self._links.visitor(token, clock.now())
        contact = await self._contact(claim.contact)
        address = own_address(contact, claim.channel)
        if not contact.seq or address is None or address_digest(address) != claim.address:
            raise Refused(
                "link.invalid", "This link is no longer good.", "Use the one in your newest mail.", status=404
            )
        return contact

    async def _said_under(self, anonymous: str) -> frozenset[str]:
        """The traits that were said under an anonymous id. Where it has become part of a contact, what that one knows
        besides is nobody's business: a stranger may have claimed to be it.
        """
        if not anonymous:
            return frozenset()
        own = f"anonymous_id:{anonymous}"
        root = await self._identity.find(own)
        if root == own:
            return frozenset(_values(await self._contact(own)))
        found: set[str] = set()
        for trace in await self._contacts.timeline(root, None, TIMELINE):
            if trace.fact.ids.get("anonymous_id") == anonymous:
                found |= _answered(trace.fact)
        return frozenset(found)

    async def _unproved(self, anonymous: str, email: str | None) -> dict[str, Any]:
        """Under which identifiers its answers are facts."""
        if not anonymous and not email:
            hint = "Send anonymous_id, or let the form ask for the e-mail address."
            raise Refused("form.nobody", "Nothing says whose answers these are.", hint)
        if anonymous and not fields.is_name(anonymous, 256):
            raise refused("fact.identifier_invalid", pointer="/anonymous_id")
        if not email:
            return {"anonymous_id": anonymous}
        return await claimed(self._identity, anonymous, {"email": email}, clock.now())

    async def _contact(self, name: str) -> Contact:
        id = await self._identity.find(name)
        return await self._contacts.get(id) or Contact(id)


def _values(contact: Contact) -> dict[str, Any]:
    """What is known of a contact, by trait."""
    known = {name: value for name, value in contact.traits.items() if value is not None}
    address = own_address(contact, "email")
    return {IDENTIFIER: address, **known} if address else known


def _answered(fact: Fact) -> set[str]:
    form = fact.context.get("form")
    if isinstance(form, dict):
        answered = cast("dict[str, Any]", form).get("answered")
        return (
            {each for each in cast("list[Any]", answered) if isinstance(each, str)}
            if isinstance(answered, list)
            else set()
        )
    return set(fact.properties) if fact.type == "identify" else set()
