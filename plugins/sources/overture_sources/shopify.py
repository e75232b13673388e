"""What Shopify's webhooks mean: the ones about customers, carts and orders, as facts of a usual name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from overture.plugin import Incoming
from overture_sources.reports import rows, table, text

_ORDERS = {
    "orders/create": "order_completed",
    "orders/paid": "order_paid",
    "orders/fulfilled": "order_fulfilled",
    "orders/cancelled": "order_cancelled",
    "checkouts/create": "checkout_started",
    "checkouts/update": "checkout_updated",
}
_CUSTOMERS = ("customers/create", "customers/update", "customers/enable", "customers/disable")
TYPES = {**_ORDERS, **dict.fromkeys(_CUSTOMERS, "identify")}
"""What it is called here."""
_LINES = 30  # of an order that are kept


def known(body: Mapping[str, Any], request: Incoming) -> dict[str, Any] | None:
    """The fact of a webhook, as far as it differs from what it would be without; None for others."""
    topic = request.headers.get("x-shopify-topic", "").strip().lower()
    if topic in _ORDERS:
        return {"type": _ORDERS[topic], "properties": _order(body)}
    # The topic is not signed, and whose an order is must not hang on it.
    if topic in _CUSTOMERS and "line_items" not in body:
        return _customer(body)
    return None


def _customer(body: Mapping[str, Any]) -> dict[str, Any]:
    address = table(body.get("default_address"))
    traits: dict[str, Any] = {
        "email": body.get("email"),
        "first_name": body.get("first_name"),
        "last_name": body.get("last_name"),
        "phone": body.get("phone"),
        "country": address.get("country_code"),
        "city": address.get("city"),
    }
    who: dict[str, Any] = {"external": {"shopify": text(body.get("id"))}}
    if isinstance(traits["email"], str) and traits["email"]:
        who["email"] = traits["email"]
    given = {name: value for name, value in traits.items() if isinstance(value, str) and value}
    return {"type": "identify", "contact": who, "properties": given}


def _order(body: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "order_id": text(body.get("id")),
        "number": text(body.get("name")),
        "total": _money(body.get("total_price")),
        "discount": _money(body.get("total_discounts")),
        "currency": body.get("currency"),
        "codes": [text(table(code).get("code")) for code in rows(body.get("discount_codes"))],
        "source_name": body.get("source_name"),
        "landing_site": body.get("landing_site"),
        "url": body.get("order_status_url") or body.get("abandoned_checkout_url"),
        "items": len(rows(body.get("line_items"))),
        "lines": [
            {
                "sku": text(line.get("sku")),
                "product_id": text(line.get("product_id")),
                "title": text(line.get("title")),
                "quantity": line.get("quantity"),
                "price": _money(line.get("price")),
            }
            for line in map(table, rows(body.get("line_items"))[:_LINES])
        ],
    }
    return {name: value for name, value in found.items() if value not in (None, "", [])}


def _money(value: object) -> float | None:
    try:
        return float(text(value))
    except ValueError:
        return None
