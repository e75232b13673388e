"""What services post to a real server: outcomes of its own messages reach the right contact, whatever else is sent."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from serverkit import WRITE, Answer, Mailbox, Server, fact, fresh

SECRET = "s3cret-of-this-test"
KEY = ec.generate_private_key(ec.SECP256R1())
PUBLIC = base64.b64encode(KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()
TOML = f"""
[sources.sendgrid]
public_key = "{PUBLIC}"

[sources.mailgun]
signing_key = "file:hook-secret"

[sources.elsewhere]
plugin = "mailgun"
signing_key = "file:hook-secret"

[sources.shopify]
secret = "file:hook-secret"

[sources.stripe]
secret = "file:hook-secret"

[sources.shop]
plugin = "hmac"
secret = "file:hook-secret"
type = "$.event"
id = "$.id"
contact = {{user_id = "$.customer"}}
properties = {{total = "$.total"}}
"""
RULES = """\
apiVersion: overture/v1
kind: Ruleset
name: outcomes
requires: {channels: [email]}
facts:
  called: {}
  order_completed: {total: number}
traits: {unreachable: "bool?", customer: "bool?"}
rules:
  call:
    when: fact.type == "called"
    then:
      - send: {channel: email, template: call, purpose: marketing}
  note:
    when: fact.type == "message.bounced" and has(fact.template) and fact.template == "call" and has(fact.permanent)
    then:
      - set: {unreachable: true}
  bought:
    when: fact.type == "order_completed"
    then:
      - set: {customer: true}
templates:
  call: {subject: Hello, text: Hello}
"""


@pytest.fixture(scope="module")
def hooked(tmp_path_factory: pytest.TempPathFactory, mailbox: Mailbox) -> Iterator[Server]:
    here = tmp_path_factory.mktemp("hooked")
    (here / "overture.toml").write_text(TOML)
    (here / "hook-secret").write_text(SECRET + "\n")
    with Server(here, SMTP_URL=mailbox.url, RULESETS="") as server:
        server.deploy("outcomes", RULES)
        yield server


def sendgrid(server: Server, *events: dict[str, Any], at: float | None = None, tamper: bytes = b"") -> Answer:
    body, stamp = json.dumps(list(events)).encode(), str(int(at or time.time()))
    signature = base64.b64encode(KEY.sign(stamp.encode() + body, ec.ECDSA(SHA256()))).decode()
    headers = {
        "X-Twilio-Email-Event-Webhook-Signature": signature,
        "X-Twilio-Email-Event-Webhook-Timestamp": stamp,
        "Authorization": "",
    }
    return server.call("POST", "/in/sendgrid", body + tamper, headers=headers)


def mailed(server: Server, contact: str, address: str) -> str:
    """The id of a message that was sent to a contact."""
    agreed = {"channel": "email", "purpose": "marketing", "state": "granted"}
    server.facts(fact("identify", contact, email=address), fact("consent", contact, **agreed), fact("called", contact))
    (message,) = server.messages(contact)
    assert message["state"] == "sent"
    return message["id"]


def event(kind: str, address: str, message: str = "", **more: Any) -> dict[str, Any]:
    carried = {"overture_message": message} if message else {}
    said = {"email": address, "timestamp": int(time.time()) - 60, "event": kind, "sg_event_id": fresh("event-")}
    return {**said, **carried, **more}


def test_a_bounce_of_our_message_reaches_its_contact_and_suppresses_the_address(hooked: Server):
    ada = fresh("ada-")
    id = mailed(hooked, ada, f"{ada.title()}@example.org")
    bounce = event("bounce", f"{ada}@example.org", id, type="bounce", reason="550 no such user")
    for _ in range(2):  # the same delivery twice
        assert sendgrid(hooked, bounce).status == 200
    bounced = [m["fact"] for m in hooked.timeline(ada) if m["fact"]["type"] == "message.bounced"]
    assert [each["source"] for each in bounced] == ["sendgrid"]
    told = bounced[0]["properties"]
    assert (told["message"], told["template"], told["channel"]) == (id, "call", "email")
    assert (told["address"], told["detail"]) == (f"{ada.title()}@example.org", "550 no such user")
    contact = hooked.contact(ada)
    assert contact["suppressed"] == {f"email:{ada.title()}@example.org": "bounce"}
    assert contact["traits"]["unreachable"] is True
    hooked.facts(fact("called", ada))
    assert [m["reason"].partition(":")[0] for m in hooked.messages(ada, "dropped")] == ["suppressed.bounce"]


def test_the_message_says_whose_it_is_and_not_the_address(hooked: Server):
    ada, eve = fresh("ada-"), fresh("eve-")
    id = mailed(hooked, ada, f"{ada}@example.org")
    hooked.facts(fact("identify", {"user_id": eve, "email": f"{eve}@example.org"}))
    assert sendgrid(hooked, event("spamreport", f"{eve}@example.org", id)).status == 200
    assert hooked.contact(ada)["suppressed"] == {f"email:{ada}@example.org": "complaint"}
    assert hooked.contact(eve)["suppressed"] == {}


def test_what_names_a_message_that_is_gone_is_refused(hooked: Server):
    ada = fresh("ada-")
    bounce = event("bounce", f"{ada}@example.org", "no-such-message", type="bounce")
    assert sendgrid(hooked, bounce).status == 200
    (last,) = hooked.get("/v1/sources/refused?limit=1")
    assert last["code"] == "fact.message_unknown"
    assert ada not in last["fact"]
    assert hooked.call("GET", f"/v1/contacts/email:{ada}@example.org").status == 404


def test_without_a_message_of_ours_the_address_says_whose_it_is(hooked: Server):
    ada = fresh("Ada-")
    hooked.facts(fact("identify", {"user_id": ada, "email": f"{ada}@example.org"}, email=f"{ada}@Example.org"))
    bounce = event("bounce", f"{ada.upper()}@example.org", type="bounce")
    assert sendgrid(hooked, bounce, event("spamreport", "nobody@", "")).status == 200
    assert hooked.contact(ada)["suppressed"] == {f"email:{ada}@Example.org": "bounce"}
    assert hooked.get("/v1/sources/refused?limit=1")[0]["code"] == "fact.email_invalid"


def test_a_soft_bounce_suppresses_nothing_and_whoever_unsubscribes_is_asked_no_more(hooked: Server):
    ada = fresh("ada-")
    id = mailed(hooked, ada, f"{ada}@example.org")
    assert sendgrid(hooked, event("bounce", f"{ada}@example.org", id, type="blocked")).status == 200
    assert sendgrid(hooked, event("unsubscribe", f"{ada}@example.org", id)).status == 200
    contact = hooked.contact(ada)
    assert contact["suppressed"] == {}
    assert contact["consent"] == {"email": {"marketing": "denied"}}
    (last, *_) = hooked.get(f"/v1/contacts/{ada}/consent?limit=5")["items"]
    assert (last["after"], last["source"]) == ("denied", "sendgrid")
    assert hooked.call("GET", "/v1/consent/verify").json["ok"] is True


def test_nobody_else_may_say_so(hooked: Server):
    ada = fresh("ada-")
    id = mailed(hooked, ada, f"{ada}@example.org")
    bounce = event("bounce", f"{ada}@example.org", id, type="bounce")
    for answer in (sendgrid(hooked, bounce, tamper=b" "), sendgrid(hooked, bounce, at=time.time() - 100_000)):
        assert (answer.status, answer.json["code"]) == (401, "source.signature")
    unsigned = hooked.call("POST", "/in/sendgrid", [bounce], key=WRITE)
    assert (unsigned.status, unsigned.json["code"]) == (401, "source.signature")
    reserved = fact("message.bounced", ada, channel="email", address=f"{ada}@example.org", permanent=True)
    assert hooked.call("POST", "/v1/facts", reserved, key=WRITE).json["code"] == "fact.type_reserved"
    assert hooked.contact(ada)["suppressed"] == {}


def mailgun(token: str) -> dict[str, str]:
    """What stands as ``signature`` in a notification: it is over the time and the token alone."""
    at = str(int(time.time()))
    return {
        "timestamp": at,
        "token": token,
        "signature": hmac.new(SECRET.encode(), f"{at}{token}".encode(), hashlib.sha256).hexdigest(),
    }


def test_a_signature_of_mailgun_is_good_for_the_event_that_it_came_with(hooked: Server):
    ada, eve = fresh("ada-"), fresh("eve-")
    hooked.facts(fact("identify", {"user_id": ada, "email": f"{ada}@example.org"}))
    hooked.facts(fact("consent", ada, channel="email", purpose="marketing", state="granted"))
    told = {"event": "opened", "id": fresh("e"), "timestamp": time.time() - 60, "recipient": f"{eve}@example.org"}
    genuine = {"signature": mailgun(fresh("token-")), "event-data": told}
    forged = {**genuine, "event-data": {**told, "event": "unsubscribed", "recipient": f"{ada}@example.org"}}

    def post(body: dict[str, Any], path: str = "/in/mailgun") -> tuple[int, str]:
        answer = hooked.call("POST", path, body, headers={"Authorization": ""})
        return answer.status, answer.json.get("code", "")

    def check() -> None:
        assert post(genuine) == (200, "")
        assert post(forged) == (401, "source.signature")
        assert post(forged, "/in/elsewhere") == (401, "source.signature")
        assert post(genuine) == (200, "")
        (last,) = hooked.get("/v1/sources/refused?limit=1")
        assert (last["source"], last["code"]) == ("elsewhere", "source.signature")
        assert json.loads(last["fact"])["type"] == "message.unsubscribed"

    check()
    hooked.stop()
    hooked.start()
    check()
    assert post({**forged, "signature": mailgun(fresh("token-"))}) == (200, "")  # as it is signed anew
    hooked.settled()
    assert len(hooked.timeline(f"email:{eve}@example.org")) == 1
    assert hooked.contact(ada)["consent"] == {"email": {"marketing": "denied"}}
    (last, *others) = hooked.get(f"/v1/contacts/{ada}/consent?limit=5")["items"]
    assert (last["source"], len(others)) == ("mailgun", 1)


def test_a_body_of_shopify_is_one_fact_whatever_is_said_to_be_its_topic(hooked: Server):
    order = {"id": int(time.time()), "email": f"{fresh('ada-')}@example.org", "line_items": [], "total_price": "50.00"}
    body = json.dumps(order).encode()
    signature = base64.b64encode(hmac.new(SECRET.encode(), body, hashlib.sha256).digest()).decode()

    def post(topic: str) -> None:
        headers = {"X-Shopify-Hmac-Sha256": signature, "X-Shopify-Topic": topic, "Authorization": ""}
        assert hooked.call("POST", "/in/shopify", body, headers=headers).status == 200

    for topic in ("orders/create", "orders/create", "payouts/paid", "payouts-paid", "orders/cancelled"):
        post(topic)
    post("customers/update")
    hooked.settled()
    (told,) = [m["fact"] for m in hooked.timeline(f"email:{order['email']}")]
    assert told["type"] == "order_completed"
    refused = hooked.get("/v1/sources/refused?limit=4")
    assert [(each["source"], each["code"]) for each in refused] == [("shopify", "fact.id_conflict")] * 4


def stripe(server: Server, body: bytes, at: int, secret: str = SECRET) -> Answer:
    signature = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    headers = {"Stripe-Signature": f"t={at},v1={signature}", "Authorization": ""}
    return server.call("POST", "/in/stripe", body, headers=headers)


def test_an_order_at_stripe_comes_once_and_only_from_stripe(hooked: Server):
    ada, now = fresh("ada-"), int(time.time())
    about = {
        "id": "cs_1",
        "metadata": {"user_id": ada},
        "customer": fresh("cus_"),
        "amount_total": 1999,
        "currency": "eur",
    }
    said = {"id": fresh("evt_"), "type": "checkout.session.completed", "created": now - 5, "data": {"object": about}}
    body = json.dumps(said).encode()
    for answer in (stripe(hooked, body, now, "another"), stripe(hooked, body, now - 400)):
        assert (answer.status, answer.json["code"]) == (401, "source.signature")
    assert hooked.find(ada) is None
    for at in (now, now, now - 200):  # each retry is signed anew
        answer = stripe(hooked, body, at)
        assert (answer.status, answer.json) == (200, {})
    orders = [m["fact"] for m in hooked.timeline(ada) if m["fact"]["type"] == "order_completed"]
    assert [(order["id"], order["properties"]["total"]) for order in orders] == [(f"stripe:{said['id']}", 19.99)]
    assert hooked.contact(ada)["traits"] == {"customer": True}


def test_a_service_of_ones_own_under_a_name_of_its_own(hooked: Server):
    ada = fresh("ada-")
    body = json.dumps({"id": fresh("e"), "event": "Cart Saved", "customer": ada, "total": 3}).encode()
    headers = {"X-Signature": hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()}
    assert hooked.call("POST", "/in/shop", body, headers=headers).status == 200
    assert hooked.call("POST", "/in/hmac", body, headers=headers).status == 404
    ((told,),) = [[m["fact"] for m in hooked.timeline(ada)]]
    assert (told["type"], told["properties"], told["source"]) == ("hmac_cart_saved", {"total": 3}, "shop")
