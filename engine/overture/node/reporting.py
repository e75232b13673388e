"""What others say became of our messages: to be about the contact that the message went to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from overture.intake import refused
from overture.model import Delivery
from overture.state.identity import ids_of
from overture.web.plugged import Unwanted


def message_of(fact: object) -> str:
    """The id in ``contact.message`` of a fact body; empty where there is none."""
    contact: Any = cast("Mapping[str, Any]", fact).get("contact") if isinstance(fact, Mapping) else None
    id: Any = cast("Mapping[str, Any]", contact).get("message") if isinstance(contact, Mapping) else None
    return id if isinstance(id, str) else ""


def of_none(fact: object) -> Unwanted:
    """A fact body about a message that is not there. Its contact may have been erased since: of what the report says of
    whoever that was, nothing is kept, nor does anybody come into being anew by it.
    """
    body = cast("Mapping[str, Any]", fact)
    kept = {name: body[name] for name in ("id", "type") if name in body}
    why = refused("fact.message_unknown", pointer="/contact/message")
    return Unwanted(why.code, why.message, why.pointer, {**kept, "contact": {"message": message_of(fact)}})


def about(fact: object, delivery: Delivery) -> dict[str, Any]:
    """A fact body that has `message_of`, as intake takes it: the message's own record says whom it is about and where
    that was sent.
    """
    body = dict(cast("Mapping[str, Any]", fact))
    properties: Any = body.get("properties")
    said: dict[str, Any] = {**properties} if isinstance(properties, Mapping) else {}
    told = {name: value for name, value in delivery.told().items() if value != ""}
    if body.get("type") == "message.unsubscribed":
        told["purpose"] = delivery.message.purpose
    return {**body, "contact": ids_of(delivery.message.contact), "properties": {**said, **told}}
