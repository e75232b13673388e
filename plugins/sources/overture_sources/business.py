"""Webhooks of business services, signed by a keyed hash over the body: Stripe, Shopify, GitHub, Typeform, Calendly,
WooCommerce, and any other that its settings describe.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from overture.plugin import Endpoint, PushSourcePlugin, hookimpl
from overture_sources import shopify, signing, stripe, typeform
from overture_sources.generic import HmacConfig
from overture_sources.service import Business, Service, Signed

SERVICES = (
    Service(
        name="stripe",
        scheme=signing.STRIPE,
        type=("$.type",),
        id=("$.id",),
        at=("$.created",),
        contact={
            "user_id": ("$.data.object.metadata.user_id",),
            "email": stripe.EMAIL,
        },
        external={"stripe": ("$.data.object.customer",)},
        about="$.data.object",
        known=stripe.known,
    ),
    Service(
        name="shopify",
        scheme=signing.SHOPIFY,
        type=("header:X-Shopify-Topic",),
        at=("$.updated_at", "$.created_at"),
        contact={"email": ("$.email", "$.customer.email")},
        external={"shopify": ("$.customer.id",)},
        known=shopify.known,
    ),
    Service(
        name="github",
        scheme=signing.GITHUB,
        type=("header:X-GitHub-Event",),
        external={"github": ("$.sender.login",)},
        properties={
            "action": "$.action",
            "repository": "$.repository.full_name",
            "sender": "$.sender.login",
            "ref": "$.ref",
            "number": "$.number",
            "title": "$.issue.title",
            "url": "$.issue.html_url",
        },
        ping=lambda request: request.headers.get("x-github-event") == "ping",
    ),
    Service(
        name="typeform",
        scheme=signing.TYPEFORM,
        type=("$.event_type",),
        id=("$.form_response.token", "$.event_id"),
        at=("$.form_response.submitted_at",),
        known=typeform.known,
    ),
    Service(
        name="calendly",
        scheme=signing.CALENDLY,
        type=("$.event",),
        at=("$.created_at",),
        contact={"email": ("$.payload.email", "$.payload.invitee.email")},
        about="$.payload",
    ),
    Service(
        name="woocommerce",
        scheme=signing.WOOCOMMERCE,
        type=("header:X-WC-Webhook-Topic",),
        at=("$.date_modified_gmt", "$.date_created_gmt"),
        contact={"email": ("$.billing.email", "$.email")},
        external={"woocommerce": ("$.customer_id",)},
        ping=lambda request: request.body.startswith(b"webhook_id=") and len(request.body) < 40,
    ),
)


@hookimpl
def overture_sources() -> Iterable[PushSourcePlugin[Any]]:
    endpoints = [Endpoint(method="POST", path="~", proof="source")]
    for service in SERVICES:
        yield PushSourcePlugin(
            name=service.name,
            config=Signed,
            open=lambda config, service=service: Business(config, service),
            endpoints=endpoints,
        )
    yield PushSourcePlugin(
        name="hmac", config=HmacConfig, open=lambda config: Business(config, config.service()), endpoints=endpoints
    )
