"""What others say became of our messages: to be about the contact that the message went to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from overture.model import Delivery
from overture.state.identity import ids_of


def message_of(fact: object) -> str:
    """The id in ``contact.message`` of a fact body; empty where there is none."""
    contact: Any = cast("Mapping[str, Any]", fact).get("contact") if isinstance(fact, Mapping) else None
    id: Any = cast("Mapping[str, Any]", contact).get("message") if isinstance(contact, Mapping) else None
    return id if isinstance(id, str) else ""


def about(fact: object, delivery: Delivery | None) -> dict[str, Any]:
    """A fact body that has `message_of`, as intake takes it. The message's own record says whom it is about and where
    that was sent; None: there is no such message, and the other identifiers say it.
    """
    body = dict(cast("Mapping[str, Any]", fact))
    if delivery is None:
        return {**body, "contact": {name: value for name, value in body["contact"].items() if name != "message"}}
    properties: Any = body.get("properties")
    said: dict[str, Any] = {**properties} if isinstance(properties, Mapping) else {}
    told = {name: value for name, value in delivery.told().items() if value != ""}
    if body.get("type") == "message.unsubscribed":
        told["purpose"] = delivery.message.purpose
    return {**body, "contact": ids_of(delivery.message.contact), "properties": {**said, **told}}
