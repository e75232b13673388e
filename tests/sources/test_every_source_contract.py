"""Every source of ours that others call holds the contract of `overture.testing`."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import pytest
from signkit import SECRET, SendgridKey, based, fields, hexed, mailgun, now
from test_mail_service_sources import BOUNCED, TOPIC, TestAmazon, aws  # noqa: F401  # a fixture
from test_twilio import SAID, URL

from overture.plugin import Incoming, PluginManager, PushSourcePlugin
from overture.testing import Caller, KeyedCaller, SignedCaller, check_source, incoming
from overture_sources.forms import form
from overture_sources.ses import Ses, SesConfig
from overture_sources.twilio import signature

KEY = SendgridKey()
ADA = "ada@example.org"
FORM = {"content-type": "application/x-www-form-urlencoded"}


def dashed(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def jsons(*bodies: Any) -> list[bytes]:
    return [json.dumps(body).encode() for body in bodies]


def signed(bodies: Sequence[bytes], sign: Callable[[bytes, str], Mapping[str, str]], **more: Any) -> SignedCaller:
    return SignedCaller(bodies=bodies, secret=SECRET, sign=sign, **more)


def keyed(path: str, *bodies: Any) -> KeyedCaller:
    return KeyedCaller(bodies=jsons(*bodies), path=path, headers={"content-type": "application/json"})


@dataclass(frozen=True)
class MailgunCaller:
    """Mailgun signs a token that is in the body, and nothing else."""

    bodies: Sequence[bytes]

    def request(self, body: bytes) -> Incoming:
        return self._with(body, SECRET)

    def forged(self, body: bytes) -> Sequence[Incoming]:
        return [self._with(body, "another"), incoming(body)]

    def _with(self, body: bytes, secret: str) -> Incoming:
        try:
            told = json.loads(body)
            signature = mailgun({}, now(), secret=secret)["signature"]
            return incoming(json.dumps({**told, "signature": signature}).encode())
        except (ValueError, TypeError, RecursionError):
            return incoming(body)


@dataclass(frozen=True)
class AmazonCaller:
    """What SES reports is a text in a message of SNS."""

    there: TestAmazon
    bodies: Sequence[bytes]

    def request(self, body: bytes) -> Incoming:
        return incoming(json.dumps(self._told(body)).encode())

    def forged(self, body: bytes) -> Sequence[Incoming]:
        told = self._told(body)
        wrong = [{**told, "Message": "{}"}, {**told, "Signature": ""}, {**told, "TopicArn": f"{TOPIC}2"}, {}]
        return [incoming(json.dumps(each).encode()) for each in wrong]

    def _told(self, body: bytes) -> dict[str, Any]:
        return self.there.signed(
            Message=body.decode("latin-1"), MessageId=f"n{self.bodies.index(body)}" if body in self.bodies else "n"
        )


def twilio(body: bytes, secret: str) -> dict[str, str]:
    filled = form(incoming(body, headers=FORM))
    return {"X-Twilio-Signature": signature(secret, URL, filled) if filled else "none"}


def shown(body: bytes, secret: str) -> dict[str, str]:
    """A password shows who calls, and says nothing of the body: none is made for one that was changed."""
    pair = base64.b64encode(f"hook:{secret}".encode()).decode()
    return {} if body.endswith(b"} ") else {"Authorization": f"Basic {pair}"}


def service(**event: Any) -> list[bytes]:
    return jsons(*({**event, "id": f"evt_{n}"} for n in PAIR))


def segment(*ids: str) -> list[dict[str, Any]]:
    return [{"batch": [{"type": "track", "event": "Seen", "userId": "ada", "messageId": id}]} for id in ids]


PAIR = (1, 2)  # two of each, told apart by their number
UUID = "0190000{}-0000-7000-8000-000000000000"
SNOWPLOW = "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4"
CALLERS: dict[str, tuple[dict[str, Any], Caller]] = {
    "stripe": ({"secret": SECRET}, signed(
        service(type="invoice.paid", created=1_785_000_000, data={"object": {"id": "in_1", "customer": "cus_1"}}),
        lambda body, secret: {"Stripe-Signature": fields(body, now(), secret)},
    )),
    "calendly": ({"secret": SECRET}, signed(
        jsons(*({"event": "invitee.created", "payload": {"uri": f"u{n}", "email": ADA}} for n in PAIR)),
        lambda body, secret: {"Calendly-Webhook-Signature": fields(body, now(), secret)},
    )),
    "shopify": ({"secret": SECRET}, signed(
        jsons(*({"id": n, "email": ADA} for n in PAIR)),
        lambda body, secret: {"X-Shopify-Hmac-Sha256": based(body, secret)},
        headers={"X-Shopify-Topic": "orders/paid"},
    )),
    "woocommerce": ({"secret": SECRET}, signed(
        jsons(*({"id": n, "billing": {"email": ADA}} for n in PAIR)),
        lambda body, secret: {"X-WC-Webhook-Signature": based(body, secret)},
        headers={"X-WC-Webhook-Topic": "order.created"},
    )),
    "typeform": ({"secret": SECRET}, signed(
        jsons(*(
            {"event_id": f"e{n}", "event_type": "form_response", "form_response": {"hidden": {"email": ADA}}}
            for n in PAIR
        )),
        lambda body, secret: {"Typeform-Signature": f"sha256={based(body, secret)}"},
    )),
    "github": ({"secret": SECRET}, signed(
        jsons(*({"action": "opened", "sender": {"login": "ada", "id": n}} for n in PAIR)),
        lambda body, secret: {"X-Hub-Signature-256": f"sha256={hexed(body, secret)}"},
        headers={"X-GitHub-Event": "issues"},
    )),
    "hmac": ({"secret": SECRET, "type": "$.what", "contact": {"user_id": "$.who"}}, signed(
        jsons(*({"what": "Order Paid", "who": "ada", "id": n} for n in PAIR)),
        lambda body, secret: {"X-Signature": hexed(body, secret)},
    )),
    "sendgrid": ({"public_key": KEY.public}, SignedCaller(
        bodies=jsons(*(
            [{"email": ADA, "timestamp": 1_785_000_000, "event": "open", "sg_event_id": f"e{n}"}] for n in PAIR
        )),
        secret="right",
        sign=lambda body, secret: dashed((KEY if secret == "right" else SendgridKey()).headers(body, now())),
    )),
    "mailgun": ({"signing_key": SECRET}, MailgunCaller(jsons(
        *({"event-data": {"event": "opened", "id": f"e{n}", "timestamp": 1_785_000_000.5, "recipient": ADA}} for n in
          PAIR)
    ))),
    "postmark": ({"username": "hook", "password": SECRET}, signed(
        jsons(*(
            {"RecordType": "Open", "MessageID": f"m{n}", "Recipient": ADA, "ReceivedAt": "2026-03-27T10:00:00Z"}
            for n in PAIR
        )),
        shown,
    )),
    "twilio": ({"auth_token": SECRET, "url": URL}, signed(
        [urlencode({**SAID, "MessageSid": f"SM{n}", "MessageStatus": "delivered"}).encode() for n in PAIR],
        twilio,
        headers=FORM,
    )),
    "segment": ({}, keyed("/v1/batch", *segment("m1", "m2"))),
    "rudderstack": ({}, keyed("~/v1/batch", *segment("m1", "m2"))),
    "posthog": ({}, keyed("/batch", *(
        {"api_key": "k", "batch": [{"event": "seen", "distinct_id": "ada", "uuid": UUID.format(n)}]}
        for n in PAIR
    ))),
    "snowplow": ({}, keyed("/com.snowplowanalytics.snowplow/tp2", *(
        {"schema": SNOWPLOW, "data": [{"e": "pv", "eid": UUID.format(n), "uid": "ada", "url": "https://example.org/"}]}
        for n in PAIR
    ))),
    "matomo": ({}, keyed("/matomo.php", *(
        {"requests": [f"?idsite=1&rec=1&uid=ada&rand={n}&url=https://example.org/{n}&cdt=1774605600"]} for n in PAIR
    ))),
    "tracker": ({}, keyed("/t", *(
        {"facts": [{"id": f"fact{n}", "type": "seen", "at": 1_774_605_600_000, "anonymous": "a1"}]} for n in PAIR
    ))),
}  # fmt: skip


@pytest.fixture(scope="module")
def sources() -> dict[str, PushSourcePlugin[Any]]:
    manager = PluginManager()
    manager.load()
    return {name: source for name, source in manager.sources.items() if isinstance(source, PushSourcePlugin)}


def test_every_one_is_tried_here(sources: dict[str, PushSourcePlugin[Any]]) -> None:
    ours = {name for name, source in sources.items() if source.config.__module__.startswith("overture_")}
    assert ours == {*CALLERS, "ses"}


@pytest.mark.parametrize("name", CALLERS)
async def test_the_contract(name: str, sources: dict[str, PushSourcePlugin[Any]]) -> None:
    settings, caller = CALLERS[name]
    plugin = sources[name]
    config = plugin.config.model_validate(settings)
    await check_source(lambda: plugin.open(config), caller, secret=SECRET if SECRET in settings.values() else "")


async def test_the_contract_of_ses(aws: TestAmazon) -> None:  # noqa: F811
    bodies = [BOUNCED.encode(), BOUNCED.replace(ADA, "bob@example.org").encode()]
    await check_source(lambda: Ses(SesConfig(topics=(TOPIC,)), aws.amazon()), AmazonCaller(aws, bodies))
