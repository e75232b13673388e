"""What Stripe's events mean: the ones about customers, payments and subscriptions, as facts of a usual name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from overture.plugin import Incoming
from overture_sources.reports import rows, table, text

EMAIL = (
    "$.data.object.customer_details.email",
    "$.data.object.customer_email",
    "$.data.object.receipt_email",
    "$.data.object.billing_details.email",
)
_WHOLE = frozenset((
    "bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "ugx", "vnd", "vuv", "xaf", "xof", "xpf",
))  # fmt: skip
_THOUSANDTHS = frozenset(("bhd", "jod", "kwd", "omr", "tnd"))

_TYPES = {  # the fact, and where its amount stands
    "checkout.session.completed": ("order_completed", "amount_total"),
    "checkout.session.expired": ("checkout_abandoned", "amount_total"),
    "invoice.paid": ("invoice_paid", "amount_paid"),
    "invoice.payment_failed": ("payment_failed", "amount_due"),
    "payment_intent.payment_failed": ("payment_failed", "amount"),
    "charge.refunded": ("order_refunded", "amount_refunded"),
    "charge.dispute.created": ("payment_disputed", "amount"),
    "customer.subscription.created": ("subscription_started", ""),
    "customer.subscription.updated": ("subscription_changed", ""),
    "customer.subscription.deleted": ("subscription_ended", ""),
    "customer.subscription.trial_will_end": ("trial_ending", ""),
}
_CUSTOMER = ("customer.created", "customer.updated")
TYPES = {**{said: type for said, (type, _) in _TYPES.items()}, **dict.fromkeys(_CUSTOMER, "identify")}
"""What it is called here."""
_TRAITS = ("email", "name", "phone")


def known(event: Mapping[str, Any], request: Incoming) -> dict[str, Any] | None:
    """The fact of an event, as far as it differs from what it would be without; None for others."""
    said, about = text(event.get("type")), table(table(event.get("data")).get("object"))
    if said in _CUSTOMER:
        traits = {name: value for name in _TRAITS if isinstance(value := about.get(name), str) and value}
        who: dict[str, Any] = {"external": {"stripe": text(about.get("id"))}}
        if user := text(table(about.get("metadata")).get("user_id")):
            who["user_id"] = user
        if "email" in traits:
            who["email"] = traits["email"]
        return {"type": "identify", "contact": who, "properties": traits}
    if said not in _TYPES:
        return None
    type, where = _TYPES[said]
    properties: dict[str, Any] = {"stripe_id": about.get("id"), "status": about.get("status")}
    currency = text(about.get("currency")).lower()
    if where and isinstance(about.get(where), int):
        properties |= {"total": amount(about[where], currency), "currency": currency.upper()}
    if type == "order_completed":
        # Whose that is, only the shop knows: a customer's, a cart's, an order's.
        properties |= {"order_id": about.get("id"), "reference": about.get("client_reference_id")}
    if type.startswith(("subscription", "trial")):
        item = table(next(iter(rows(table(about.get("items")).get("data"))), None))
        price = table(item.get("price"))
        properties |= {
            "plan": text(price.get("lookup_key")) or text(price.get("id")),
            "interval": table(price.get("recurring")).get("interval"),
            "quantity": item.get("quantity"),
            "cancels": about.get("cancel_at_period_end"),
        }
    properties["metadata"] = table(about.get("metadata"))
    given = {name: value for name, value in properties.items() if value not in (None, "", {})}
    return {"type": type, "properties": given}


def amount(minor: int, currency: str) -> float:
    """In units of the currency, from its smallest."""
    return minor / (1 if currency in _WHOLE else 1000 if currency in _THOUSANDTHS else 100)
