"""Signed webhooks of business services: whose they are, and the facts that they make."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import ValidationError
from signkit import SECRET, based, fields, hexed, now, request

from overture.intake import Caps, parse
from overture.plugin import Answer, Incoming, Posted, PushSource, PushSourcePlugin, Refuse
from overture_sources import business
from overture_sources.signing import GITHUB, verify

SOURCES: dict[str, PushSourcePlugin[Any]] = {plugin.name: plugin for plugin in business.overture_sources()}
HMAC = {"type": "$.what", "contact": {"user_id": "$.who"}}


def opened(name: str, **settings: Any) -> PushSource:
    plugin = SOURCES[name]
    return plugin.open(plugin.config.model_validate({"secret": SECRET, **settings}))


async def fact(source: PushSource, asked: Incoming) -> dict[str, Any]:
    """The one fact in it, which intake takes as it is."""
    said = await source.parse(asked)
    assert isinstance(said, Posted)
    (made,) = said.facts
    parsed = parse(json.dumps(made, ensure_ascii=False).encode(), int(time.time() * 1000), Caps())
    assert parsed.rejected == []
    return dict(made)


async def refusal(source: PushSource, asked: Incoming) -> tuple[str, int]:
    with pytest.raises(Refuse) as refused:
        await source.parse(asked)
    return refused.value.code, refused.value.status


BODY = json.dumps({"what": "Order Paid", "who": "ada", "id": 7, "type": "charge.odd"}).encode()
SIGNED = {
    "stripe": lambda body, secret, at: {"Stripe_Signature": fields(body, at, secret)},
    "calendly": lambda body, secret, at: {"Calendly_Webhook_Signature": fields(body, at, secret)},
    "shopify": lambda body, secret, at: {"X_Shopify_Hmac_Sha256": based(body, secret), "X_Shopify_Topic": "a/b"},
    "woocommerce": lambda body, secret, at: {
        "X_WC_Webhook_Signature": based(body, secret),
        "X_WC_Webhook_Topic": "a.b",
    },
    "typeform": lambda body, secret, at: {"Typeform_Signature": f"sha256={based(body, secret)}"},
    "github": lambda body, secret, at: {
        "X_Hub_Signature_256": f"sha256={hexed(body, secret)}",
        "X_GitHub_Event": "push",
    },
    "hmac": lambda body, secret, at: {"X_Signature": hexed(body, secret)},
}
MORE: Mapping[str, dict[str, Any]] = {"hmac": HMAC}
NAMED = {"calendly": "event", "typeform": "event_type"}


def body_of(name: str) -> bytes:
    return json.dumps({**json.loads(BODY), NAMED.get(name, "kind"): "thing.happened"}).encode()


def test_every_service_is_tried_here():
    assert set(SIGNED) == set(SOURCES)


@pytest.mark.parametrize("name", SIGNED)
async def test_who_signs_is_heard_and_nobody_else(name: str):
    source, body = opened(name, old_secret="the-one-before", **MORE.get(name, {})), body_of(name)
    for secret in (SECRET, "the-one-before"):
        assert isinstance(await source.parse(request(body, **SIGNED[name](body, secret, now()))), Posted)
    right = SIGNED[name](body, SECRET, now())
    header = next(iter(right))
    for wrong in (
        request(body, **SIGNED[name](body, "another", now())),
        request(body + b" ", **right),
        request(body, **{k: v for k, v in right.items() if k != header}),
        request(body, **{**right, header: ""}),
        request(body, **{**right, header: "nonsense"}),
        request(body, **{**right, header: "sha256=zz,t=1,v1=é"}),
        request(body, **{**right, header: "x" * 5_000}),
    ):
        assert await refusal(source, wrong) == ("source.signature", 401)


@pytest.mark.parametrize("name", ["stripe", "calendly"])
async def test_an_old_signature_counts_no_more(name: str):
    source, body = opened(name), body_of(name)
    for at in (now(ago=301), now(ago=-320), "", "soon", "-1"):
        assert await refusal(source, request(body, **SIGNED[name](body, SECRET, at))) == ("source.signature", 401)
    assert isinstance(await source.parse(request(body, **SIGNED[name](body, SECRET, now(ago=280)))), Posted)
    patient = opened(name, tolerance=1_000)
    assert isinstance(await patient.parse(request(body, **SIGNED[name](body, SECRET, now(ago=900)))), Posted)


async def test_a_second_time_in_the_header_is_refused():
    at = now()
    signature = fields(BODY, at) + f",t={now(ago=9_999)}"
    assert await refusal(opened("stripe"), request(BODY, Stripe_Signature=signature)) == ("source.signature", 401)


def test_github_documents_a_signature_that_verifies():
    told = request(
        b"Hello, World!",
        X_Hub_Signature_256="sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
    )
    secret = SOURCES["github"].config.model_validate({"secret": "It's a Secret to Everybody"}).secrets()
    verify(told, GITHUB, secret, 300)
    with pytest.raises(Refuse):
        verify(request(b"Hello, World?", **told.headers), GITHUB, secret, 300)


async def test_the_same_delivery_twice_is_one_id_whatever_its_headers_say():
    source, body = opened("shopify"), b'{"id": 1, "email": "ada@example.org"}'
    headers = SIGNED["shopify"](body, SECRET, "")
    one = await fact(source, request(body, X_Shopify_Webhook_Id="1", **headers))
    two = await fact(source, request(body, X_Shopify_Webhook_Id="2", **headers))
    other = await fact(
        source, request(body.replace(b"1", b"2"), **SIGNED["shopify"](body.replace(b"1", b"2"), SECRET, ""))
    )
    assert one == two
    assert one["id"] != other["id"]


@pytest.mark.parametrize(("name", "topic"), [("shopify", "X-Shopify-Topic"), ("woocommerce", "X-WC-Webhook-Topic")])
async def test_a_topic_that_is_not_signed_has_no_part_in_the_id(name: str, topic: str):
    body = b'{"id": 1, "email": "ada@example.org"}'
    headers = SIGNED[name](body, SECRET, now())
    ids = {
        (await fact(opened(name), request(body, **{**headers, topic.replace("-", "_"): said})))["id"]
        for said in ("orders/create", "orders/cancelled", "Orders/Cancelled", "payouts-paid")
    }
    assert len(ids) == 1


async def stripe(kind: str, about: dict[str, Any]) -> dict[str, Any]:
    event = {"id": "evt_1", "type": kind, "created": 1_785_000_000, "data": {"object": about}}
    body = json.dumps(event).encode()
    return await fact(opened("stripe"), request(body, Stripe_Signature=fields(body, now())))


async def test_a_checkout_at_stripe_is_an_order():
    made = await stripe(
        "checkout.session.completed",
        {
            "id": "cs_1",
            "customer": "cus_1",
            "client_reference_id": "cart-7",
            "customer_details": {"email": "ada@example.org"},
            "amount_total": 1999,
            "currency": "eur",
            "metadata": {"user_id": "ada"},
        },
    )
    assert made == {
        "id": "stripe:evt_1",
        "type": "order_completed",
        "contact": {"user_id": "ada", "email": "ada@example.org", "external": {"stripe": "cus_1"}},
        "occurred_at": "2026-07-25T17:20:00+00:00",
        "properties": {
            "stripe_id": "cs_1",
            "total": 19.99,
            "currency": "EUR",
            "order_id": "cs_1",
            "reference": "cart-7",
            "metadata": {"user_id": "ada"},
        },
        "context": {"source": "stripe", "event": "checkout.session.completed"},
    }


@pytest.mark.parametrize(("currency", "total"), [("usd", 12.34), ("jpy", 1234), ("kwd", 1.234)])
async def test_amounts_are_in_the_units_of_their_currency(currency: str, total: float):
    made = await stripe("invoice.payment_failed", {"customer": "cus_1", "amount_due": 1234, "currency": currency})
    assert made["type"] == "payment_failed"
    assert (made["properties"]["total"], made["properties"]["currency"]) == (total, currency.upper())


async def test_a_subscription_and_a_customer_at_stripe():
    price = {"id": "price_1", "lookup_key": "pro", "recurring": {"interval": "month"}}
    items = {"data": [{"price": price, "quantity": 2}]}
    made = await stripe("customer.subscription.deleted", {"id": "sub_1", "customer": "cus_1", "items": items})
    assert made["type"] == "subscription_ended"
    assert made["properties"] == {"stripe_id": "sub_1", "plan": "pro", "interval": "month", "quantity": 2}
    made = await stripe("customer.updated", {"id": "cus_1", "email": "ada@example.org", "name": "Ada", "phone": None})
    assert made["type"] == "identify"
    assert made["contact"] == {"external": {"stripe": "cus_1"}, "email": "ada@example.org"}
    assert made["properties"] == {"email": "ada@example.org", "name": "Ada"}


async def test_what_is_not_known_keeps_its_name_cleaned():
    made = await stripe("issuing_card.SomethingNew-v2", {"customer": "cus_1", "deep": {"a": [1, {"b": 2**60}]}})
    assert made["type"] == "stripe_issuing_card_something_new_v2"
    assert made["properties"]["deep"] == {"a": [1, {"b": str(2**60)}]}


async def shopify(topic: str, body: dict[str, Any]) -> dict[str, Any]:
    raw = json.dumps(body).encode()
    return await fact(opened("shopify"), request(raw, X_Shopify_Hmac_Sha256=based(raw), X_Shopify_Topic=topic))


async def test_an_order_at_shopify():
    order = {
        "id": 820982911946154508,
        "name": "#1001",
        "email": "ada@example.org",
        "customer": {"id": 115310627314723954},
        "created_at": "2026-03-27T10:00:00+02:00",
        "total_price": "403.00",
        "currency": "USD",
        "discount_codes": [{"code": "SPRING"}],
        "line_items": [{"sku": "A1", "product_id": 632910392, "title": "Pod", "quantity": 2, "price": "199.00"}],
    }
    made = await shopify("orders/create", order)
    assert made["type"] == "order_completed"
    assert made["contact"] == {"email": "ada@example.org", "external": {"shopify": "115310627314723954"}}
    assert made["occurred_at"] == "2026-03-27T10:00:00+02:00"
    assert made["properties"] == {
        "order_id": "820982911946154508",
        "number": "#1001",
        "total": 403.0,
        "currency": "USD",
        "codes": ["SPRING"],
        "items": 1,
        "lines": [{"sku": "A1", "product_id": "632910392", "title": "Pod", "quantity": 2, "price": 199.0}],
    }
    assert (await shopify("orders/edited", {"email": "ada@example.org"}))["type"] == "shopify_orders_edited"
    assert (await shopify(" Orders/Create", order))["type"] == "order_completed"


async def test_an_order_at_shopify_is_no_customer_whatever_its_topic_says():
    order = {"id": 820982911946154508, "customer": {"id": 7}, "line_items": []}
    made = await shopify("customers/update", order)
    assert (made["type"], made["contact"]) == ("shopify_customers_update", {"external": {"shopify": "7"}})


async def test_a_customer_at_shopify():
    made = await shopify(
        "customers/update",
        {"id": 7, "email": "ada@example.org", "first_name": "Ada", "default_address": {"country_code": "GB"}},
    )
    assert made["type"] == "identify"
    assert made["contact"] == {"external": {"shopify": "7"}, "email": "ada@example.org"}
    assert made["properties"] == {"email": "ada@example.org", "first_name": "Ada", "country": "GB"}


async def test_a_response_at_typeform():
    body = json.dumps(
        {
            "event_type": "form_response",
            "form_response": {
                "token": "tok1",
                "form_id": "f1",
                "submitted_at": "2026-03-27T10:00:00Z",
                "hidden": {"user_id": "ada"},
                "definition": {"fields": [{"id": "q1", "title": "How many people?"}]},
                "answers": [
                    {"type": "number", "number": 12, "field": {"id": "q1"}},
                    {"type": "email", "email": "ada@example.org", "field": {"id": "q2", "ref": "mail"}},
                    {"type": "choices", "choices": {"labels": ["a", "b"]}, "field": {"id": "q3", "ref": "Which One"}},
                ],
            },
        }
    ).encode()
    made = await fact(opened("typeform"), request(body, Typeform_Signature=f"sha256={based(body)}"))
    assert (made["id"], made["type"]) == ("typeform:tok1", "typeform_form_response")
    assert made["contact"] == {"user_id": "ada", "email": "ada@example.org"}
    answers = {"how_many_people": 12, "mail": "ada@example.org", "which_one": ["a", "b"]}
    assert made["properties"] == {"form_id": "f1", "answers": answers, "hidden": {"user_id": "ada"}}


async def test_an_invitee_at_calendly_an_issue_at_github_an_order_at_woocommerce():
    body = (
        b'{"event": "invitee.created", "created_at": "2026-03-27T10:00:00.1Z", "payload": {"email": "ada@example.org"}}'
    )
    made = await fact(opened("calendly"), request(body, Calendly_Webhook_Signature=fields(body, now())))
    assert (made["type"], made["contact"]) == ("calendly_invitee_created", {"email": "ada@example.org"})
    body = b'{"action": "opened", "number": 3, "sender": {"login": "ada"}, "repository": {"full_name": "a/b"}}'
    headers = {**SIGNED["github"](body, SECRET, ""), "X_GitHub_Event": "pull_request"}
    made = await fact(opened("github"), request(body, **headers))
    assert (made["type"], made["contact"]) == ("github_pull_request", {"external": {"github": "ada"}})
    assert made["properties"] == {"action": "opened", "number": 3, "sender": "ada", "repository": "a/b"}
    order = {"customer_id": 0, "date_created_gmt": "2026-03-27T10:00:00", "billing": {"email": "ada@example.org"}}
    body = json.dumps(order).encode()
    headers = {**SIGNED["woocommerce"](body, SECRET, ""), "X_WC_Webhook_Topic": "order.created"}
    made = await fact(opened("woocommerce"), request(body, **headers))
    assert (made["type"], made["contact"]) == ("woocommerce_order_created", {"email": "ada@example.org"})
    assert made["occurred_at"] == "2026-03-27T10:00:00+00:00"


async def test_what_services_send_to_try_the_address_is_answered():
    assert await opened("woocommerce").parse(request(b"webhook_id=42")) == Answer(body={"pong": "woocommerce"})
    assert await opened("github").parse(request(b"{}", X_GitHub_Event="ping")) == Answer(body={"pong": "github"})


DEEP = b"[" * 100_000


@pytest.mark.parametrize("body", [b"", b"[]", b"7", b"{", b"\xff", DEEP, b'{"a":' + DEEP], ids=len)
async def test_what_is_no_object_is_refused_once_it_is_known_whose_it_is(body: bytes):
    assert await refusal(opened("hmac", **HMAC), request(body)) == ("source.signature", 401)
    assert await refusal(opened("hmac", **HMAC), request(body, X_Signature=hexed(body))) == ("source.body", 400)


async def test_any_other_service_by_its_settings():
    source = opened(
        "hmac",
        header="X-Acme-Signature",
        algorithm="sha512",
        prefix="v2 ",
        timestamp="X-Acme-Time",
        signed="v2:{timestamp}:{body}",
        type="order_paid",
        id="$.order.id",
        contact={"email": "$.buyers.0.mail", "external": {"acme": "header:X-Acme-Account"}},
        occurred_at="$.at",
        properties={"total": "$.order.total", "kind": "order", "missing": "$.order.no.such"},
    )
    body = b'{"order": {"id": 7, "total": 12.5}, "buyers": [{"mail": "ada@example.org"}], "at": 1785000000500}'

    def signed(at: str) -> Incoming:
        signature = hexed(b"v2:" + at.encode() + b":" + body, SECRET, "sha512")
        headers = {"X_Acme_Signature": f"v2 {signature}", "X_Acme_Time": at, "X_Acme_Account": "acc-9"}
        return request(body, **headers)

    assert await fact(source, signed(now())) == {
        "id": "hmac:7",
        "type": "order_paid",
        "contact": {"email": "ada@example.org", "external": {"acme": "acc-9"}},
        "occurred_at": "2026-07-25T17:20:00.500000+00:00",
        "properties": {"total": 12.5, "kind": "order"},
        "context": {"source": "hmac", "event": "order_paid"},
    }
    assert await refusal(source, signed(now(ago=400))) == ("source.signature", 401)


async def test_a_type_from_the_body_is_cleaned_and_the_body_is_kept():
    body = b'{"what": "Order Paid!", "who": "ada", "n": {"deep": [1, 2]}}'
    made = await fact(opened("hmac", **HMAC), request(body, X_Signature=hexed(body)))
    assert made["type"] == "hmac_order_paid"
    assert made["properties"] == {"what": "Order Paid!", "who": "ada", "n": {"deep": [1, 2]}}
    assert await refusal(opened("hmac", **HMAC), request(b"{}", X_Signature=hexed(b"{}"))) == ("source.body", 400)


async def test_a_huge_body_is_cut_to_what_a_fact_may_hold():
    body = json.dumps(
        {"what": "x", "who": "ada", "top": 1, "rows": [{f"k{n}{m}": "é" * 5_000 for m in range(40)} for n in range(40)]}
    ).encode()
    made = await fact(opened("hmac", **HMAC), request(body, X_Signature=hexed(body)))
    assert made["properties"]["top"] == 1
    assert made["properties"]["rows"]
    deep: Any = 1
    for _ in range(60):
        deep = {"a": deep, "s": "\0"}
    body = json.dumps({"what": "x", "who": "ada", "deep": deep}).encode()
    made = await fact(opened("hmac", **HMAC), request(body, X_Signature=hexed(body)))
    assert made["properties"]["deep"]["a"]["s"] == ""


@pytest.mark.parametrize(
    "wrong",
    [
        {"secret": ""},
        {"old_secret": ""},
        {"contact": {}},
        {"signed": "{timestamp}.{body}"},
        {"timestamp": "X-Time", "signed": "{body}"},
        {"timestamp": "X-Time", "fields": True},
        {"signed": "nothing"},
        {"algorithm": "md5"},
        {"header": "X Signature"},
        {"type": ""},
        {"tolerance": 0},
        {"hints": "none"},
    ],
)
def test_settings_that_cannot_be_meant_are_refused(wrong: dict[str, Any]):
    with pytest.raises(ValidationError) as error:
        opened("hmac", **{**HMAC, **wrong})
    assert SECRET not in str(error.value)


def test_secrets_come_by_reference_and_are_never_shown(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    config = SOURCES["stripe"].config.model_validate({"secret": "env:HOOK_SECRET"})
    assert config.secrets()[0].get_secret_value() == SECRET
    assert SECRET not in repr(config)
