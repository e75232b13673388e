"""E-mail services say what became of messages: whose word it is, and the facts that it makes."""

from __future__ import annotations

import base64
import datetime
import json
import socket
import ssl
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from pydantic import ValidationError
from signkit import SECRET, SendgridKey, mailgun, now, request

from overture.intake import Caps, parse
from overture.model.fact import REPORTED_TYPES
from overture.plugin import Answer, EgressRefused, Incoming, Posted, PushSource, Refuse
from overture_sources.mailgun import Mailgun, MailgunConfig
from overture_sources.postmark import Postmark, PostmarkConfig
from overture_sources.sendgrid import Sendgrid, SendgridConfig
from overture_sources.ses import Ses, SesConfig
from overture_sources.sns import Amazon

KEY = SendgridKey()


async def facts(source: PushSource, asked: Incoming) -> list[dict[str, Any]]:
    """The facts in it, which intake takes from a source that checks who calls; of ``contact.message`` the host makes a
    contact before.
    """
    said = await source.parse(asked)
    assert isinstance(said, Posted)
    for each in said.facts:
        known = {**each, "contact": {k: v for k, v in each["contact"].items() if k != "message"} or "ada"}
        raw = json.dumps(known).encode()
        assert parse(raw, int(time.time() * 1000), Caps(own=REPORTED_TYPES)).rejected == []
    return [dict(each) for each in said.facts]


async def refusal(source: PushSource, asked: Incoming) -> tuple[str, int]:
    with pytest.raises(Refuse) as refused:
        await source.parse(asked)
    return refused.value.code, refused.value.status


# --- SendGrid ---------------------------------------------------------------------------------------------------------


def sendgrid(*events: dict[str, Any], at: str = "", key: SendgridKey = KEY) -> Incoming:
    body = json.dumps(list(events)).encode()
    return request(body, **key.headers(body, at or now()))


BOUNCE = {
    "email": "Ada@example.org",
    "timestamp": 1_785_000_000,
    "event": "bounce",
    "type": "bounce",
    "reason": "550 5.1.1 no such user",
    "sg_event_id": "ev1",
    "sg_message_id": "m1.filter",
    "overture_message": "f1:welcome:1:aa",
    "campaign": "spring",
}


async def test_a_bounce_at_sendgrid_is_about_the_message_that_it_carries():
    source = Sendgrid(SendgridConfig.model_validate({"public_key": KEY.public}))
    soft = {**BOUNCE, "sg_event_id": "ev2", "type": "blocked"}
    (hard_fact, soft_fact) = await facts(source, sendgrid(BOUNCE, soft))
    assert hard_fact == {
        "id": "sendgrid:ev1",
        "type": "message.bounced",
        "contact": {"message": "f1:welcome:1:aa", "email": "Ada@example.org"},
        "occurred_at": "2026-07-25T17:20:00+00:00",
        "properties": {
            "channel": "email",
            "address": "Ada@example.org",
            "provider_id": "m1.filter",
            "detail": "550 5.1.1 no such user",
            "permanent": True,
            "metadata": {"campaign": "spring"},
        },
        "context": {"source": "sendgrid"},
    }
    assert soft_fact["properties"]["permanent"] is False
    assert soft_fact["id"] == "sendgrid:ev2"


async def test_who_is_not_sendgrid_is_refused():
    source = Sendgrid(SendgridConfig.model_validate({"public_key": KEY.public}))
    right = sendgrid(BOUNCE)
    for wrong in (
        sendgrid(BOUNCE, key=SendgridKey()),
        sendgrid(BOUNCE, at=now(ago=90_000)),
        sendgrid(BOUNCE, at="data timestamp"),
        request(right.body + b" ", **right.headers),
        request(right.body, **{**right.headers, "x-twilio-email-event-webhook-timestamp": now(ago=5)}),
        request(right.body, **{**right.headers, "x-twilio-email-event-webhook-signature": "not base64 é"}),
        request(right.body),
    ):
        assert await refusal(source, wrong) == ("source.signature", 401)
    for body in (b"{}", b"[" * 100_000):
        assert await refusal(source, request(body, **KEY.headers(body, now()))) == ("source.body", 400)


@pytest.mark.parametrize("key", ["", "abc", base64.b64encode(b"no key at all").decode()])
def test_a_verification_key_that_is_none_is_told_at_once(key: str):
    with pytest.raises(ValidationError):
        SendgridConfig.model_validate({"public_key": key})


def test_a_verification_key_may_be_pem():
    pem = f"-----BEGIN PUBLIC KEY-----\n{KEY.public[:64]}\n{KEY.public[64:]}\n-----END PUBLIC KEY-----\n"
    assert Sendgrid(SendgridConfig.model_validate({"public_key": pem}))


async def test_each_kind_at_sendgrid_has_its_type():
    source = Sendgrid(SendgridConfig.model_validate({"public_key": KEY.public}))
    kinds = [
        "delivered",
        "deferred",
        "open",
        "click",
        "spamreport",
        "unsubscribe",
        "group_unsubscribe",
        "dropped",
        "processed",
        "new",
    ]
    events = [{"email": "ada@example.org", "timestamp": 1, "event": kind, "sg_event_id": kind} for kind in kinds]
    assert [each["type"] for each in await facts(source, sendgrid(*events))] == [
        "message.delivered",
        "message.deferred",
        "message.opened",
        "message.clicked",
        "message.complained",
        "message.unsubscribed",
        "message.unsubscribed",
        "message.rejected",
        "email_queued",
        "email_unknown",
    ]


async def test_a_mail_that_sendgrid_received():
    source = Sendgrid(SendgridConfig.model_validate({"public_key": KEY.public}))
    body = urlencode({"from": "Ada <ada@example.org>", "subject": "Hi", "text": "Stop, please."}).encode()
    headers = {"Content_Type": "application/x-www-form-urlencoded", **KEY.headers(body, now())}
    (made,) = await facts(source, replace(request(body, **headers), endpoint="~/inbound"))
    assert (made["type"], made["contact"]) == ("email_received", {"email": "ada@example.org"})
    assert made["properties"] == {
        "channel": "email",
        "from": "Ada <ada@example.org>",
        "subject": "Hi",
        "text": "Stop, please.",
    }
    forged = replace(request(body + b"!", **headers), endpoint="~/inbound")
    assert await refusal(source, forged) == ("source.signature", 401)


# --- Mailgun ----------------------------------------------------------------------------------------------------------


COMPLAINT = {
    "event": "complained",
    "id": "ncV2",
    "timestamp": 1_785_000_000.5,
    "recipient": "ada@example.org",
    "user-variables": {"overture_message": "f1:welcome:1:aa"},
}


async def test_a_complaint_at_mailgun_and_the_same_again_with_another_token():
    source = Mailgun(MailgunConfig.model_validate({"signing_key": SECRET}))
    (first,) = await facts(source, request(mailgun(COMPLAINT, now())))
    (again,) = await facts(source, request(mailgun(COMPLAINT, now(), token="b" * 50)))
    assert first["id"] == again["id"] == "mailgun:ncV2:1785000000"
    assert first["type"] == "message.complained"
    assert first["contact"] == {"message": "f1:welcome:1:aa", "email": "ada@example.org"}
    assert first["occurred_at"] == "2026-07-25T17:20:00.500000+00:00"


async def test_who_is_not_mailgun_is_refused():
    source = Mailgun(MailgunConfig.model_validate({"signing_key": SECRET}))
    unsigned = {"event-data": COMPLAINT}
    for wrong in (
        mailgun(COMPLAINT, now(), secret="another"),
        mailgun(COMPLAINT, now(ago=50_000)),
        mailgun(COMPLAINT, now(), token=""),
        {**mailgun(COMPLAINT, now()), "signature": "x"},
        unsigned,
    ):
        assert await refusal(source, request(wrong)) == ("source.signature", 401)
    form = "event=complained&recipient=ada%40example.org&timestamp=1&token=t&signature=s"
    asked = request(form.encode(), Content_Type="application/x-www-form-urlencoded")
    assert await refusal(source, asked) == ("source.signature", 401)
    for body in (b"\xff", b"[" * 100_000):
        assert await refusal(source, request(body)) == ("source.body", 400)


@pytest.mark.parametrize("charset", ["idna", "unicode_escape", "punycode", "rot13", "no-such"])
async def test_what_a_form_says_of_its_charset_is_not_trusted(charset: str):
    source = Mailgun(MailgunConfig.model_validate({"signing_key": SECRET}))
    part = (
        f'--b\r\nContent-Disposition: form-data; name="%s"\r\nContent-Type: text/plain; charset={charset}\r\n\r\n%s\r\n'
    )
    body = (
        "".join(part % each for each in (("token", "\\ud800"), ("timestamp", "1" * 80), ("signature", "s"))) + "--b--"
    )
    asked = request(body.encode(), Content_Type="multipart/form-data; boundary=b")
    assert await refusal(source, asked) == ("source.signature", 401)


# --- Postmark ---------------------------------------------------------------------------------------------------------


async def test_postmark_shows_a_password_or_a_header():
    body = {
        "RecordType": "Open",
        "MessageID": "m1",
        "Recipient": "ada@example.org",
        "ReceivedAt": "2026-03-27T10:00:00Z",
    }
    basic = Postmark(PostmarkConfig.model_validate({"username": "hook", "password": SECRET}))
    named = Postmark(PostmarkConfig.model_validate({"header": "X-Hook", "token": SECRET}))
    pair = base64.b64encode(f"hook:{SECRET}".encode()).decode()
    (one,) = await facts(basic, request(body, Authorization=f"Basic {pair}"))
    (two,) = await facts(named, request(body, X_Hook=SECRET))
    assert one == two
    assert (one["type"], one["contact"]) == ("message.opened", {"email": "ada@example.org"})
    for source in (basic, named):
        right = {"Authorization": f"Basic {pair}", "X-Hook": SECRET}
        assert await refusal(source, request(b"[" * 100_000, **right)) == ("source.body", 400)
        for headers in ({}, {"Authorization": "Basic x"}, {"X-Hook": "wrong é"}, {"Authorization": f"Bearer {SECRET}"}):
            assert await refusal(source, request(body, **headers)) == ("source.signature", 401)


async def test_mails_that_the_others_received():
    ours = Postmark(PostmarkConfig.model_validate({"header": "X-Hook", "token": SECRET}))
    body = {"FromFull": {"Email": "ada@example.org"}, "TextBody": "Stop.", "MessageID": "m1"}
    (made,) = await facts(ours, replace(request(body, X_Hook=SECRET), endpoint="~/inbound"))
    assert (made["id"], made["contact"]) == ("postmark:mail:m1", {"email": "ada@example.org"})
    theirs = Mailgun(MailgunConfig.model_validate({"signing_key": SECRET}))
    signed = mailgun({}, now())["signature"]
    raw = "From: ada@example.org\nSubject: Hi\n\nStop."
    form = urlencode({**signed, "recipient": "stop@example.com", "body-mime": raw}).encode()
    asked = request(form, Content_Type="application/x-www-form-urlencoded")
    (made,) = await facts(theirs, replace(asked, endpoint="~/inbound"))
    assert made["properties"]["text"] == "Stop."
    assert made["properties"]["address"] == "stop@example.com"
    assert await refusal(theirs, replace(request(form + b"0", Content_Type="text/plain"), endpoint="~/inbound")) == (
        "source.body",
        400,
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"username": "a"},
        {"password": "b"},
        {"header": "X"},
        {"token": "b"},
        {"username": "a", "password": ""},
        {"username": "a", "password": "b", "header": "X", "token": "c"},
    ],
)
def test_postmark_needs_one_of_them(wrong: dict[str, str]):
    with pytest.raises(ValidationError):
        PostmarkConfig.model_validate(wrong)


async def test_a_hard_bounce_and_a_soft_one_at_postmark():
    source = Postmark(PostmarkConfig.model_validate({"header": "X-Hook", "token": SECRET}))
    found: dict[str, Any] = {}
    for kind in ("HardBounce", "SoftBounce", "BadEmailAddress", "Transient", "ManualSuppression", "SpamComplaint"):
        body = {"RecordType": "Bounce", "ID": 1, "Type": kind, "Email": "ada@example.org"}
        (made,) = await facts(source, request(body, X_Hook=SECRET))
        found[kind] = made["type"], made["properties"].get("permanent")
    assert found == {
        "HardBounce": ("message.bounced", True),
        "SoftBounce": ("message.bounced", False),
        "BadEmailAddress": ("message.bounced", True),
        "Transient": ("message.deferred", None),
        "ManualSuppression": ("message.unsubscribed", None),
        "SpamComplaint": ("message.complained", None),
    }


# --- SES through SNS --------------------------------------------------------------------------------------------------


TOPIC = "arn:aws:sns:eu-west-1:123456789012:outcomes"
HOST = "sns.eu-west-1.amazonaws.com"
CERTIFICATE = f"https://{HOST}/SimpleNotificationService-0123abcd.pem"


def certified(name: str, days: int = 30) -> tuple[rsa.RSAPrivateKey, x509.Certificate]:
    key = rsa.generate_private_key(65537, 2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    today = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - datetime.timedelta(days=60))
        .not_valid_after(today + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, SHA256())
    )
    return key, certificate


class Here(AbstractResolver):
    """Every name is at this machine, at one port: where the test's Amazon listens."""

    def __init__(self, port: int) -> None:
        self.port = port

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [ResolveResult(hostname=host, host="127.0.0.1", port=self.port, family=socket.AF_INET, proto=0, flags=0)]

    async def close(self) -> None: ...


@dataclass
class TestAmazon:
    """An HTTPS server with a certificate of Amazon's host, and what it was asked."""

    __test__ = False
    key: rsa.RSAPrivateKey
    port: int = 0
    client: ssl.SSLContext | None = None
    asked: list[str] = field(default_factory=list)

    def amazon(self, allow: tuple[str, ...] = ("127.0.0.0/8",)) -> Amazon:
        return Amazon(Here(self.port), self.client, allow)

    def signed(self, version: str = "1", **message: str) -> dict[str, Any]:
        """An SNS message; keys of the signature in the order that is documented."""
        stamp = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        told = {"Type": "Notification", "MessageId": "n1", "TopicArn": TOPIC, "Timestamp": stamp, **message}
        text = "".join(f"{name}\n{told[name]}\n" for name in sorted(told))
        signature = self.key.sign(text.encode(), padding.PKCS1v15(), SHA1() if version == "1" else SHA256())
        more = {"SignatureVersion": version, "SigningCertURL": CERTIFICATE}
        return {**told, **more, "Signature": base64.b64encode(signature).decode()}


@pytest.fixture
async def aws(tmp_path: Path) -> AsyncIterator[TestAmazon]:
    server_key, server_certificate = certified(HOST)
    pem = tmp_path / "server.pem"
    secret = server_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    pem.write_bytes(secret + server_certificate.public_bytes(Encoding.PEM))
    key, certificate = certified("sns.amazonaws.com")
    _, old = certified("sns.amazonaws.com", days=-1)
    there = TestAmazon(key)

    async def answer(asked: web.Request) -> web.Response:
        there.asked.append(asked.path_qs)
        if asked.path.endswith("-0123abcd.pem"):
            return web.Response(body=certificate.public_bytes(Encoding.PEM))
        if asked.path.endswith("-expired.pem"):
            return web.Response(body=old.public_bytes(Encoding.PEM))
        if asked.path.endswith("-moved.pem"):
            raise web.HTTPFound(CERTIFICATE)
        if asked.path.endswith("-down.pem"):
            return web.Response(status=503)
        return web.Response(status=200 if asked.query.get("Action") == "ConfirmSubscription" else 404)

    app = web.Application()
    app.router.add_get("/{rest:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    own = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    own.load_cert_chain(pem)
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=own).start()
    there.port = runner.addresses[0][1]
    there.client = ssl.create_default_context(cadata=server_certificate.public_bytes(Encoding.PEM).decode())
    try:
        yield there
    finally:
        await runner.cleanup()


@pytest.fixture
async def ses(aws: TestAmazon) -> AsyncIterator[Ses]:
    source = Ses(SesConfig(topics=(TOPIC,)), aws.amazon())
    yield source
    await source.close()


BOUNCED = json.dumps(
    {
        "eventType": "Bounce",
        "bounce": {
            "bounceType": "Permanent",
            "bounceSubType": "General",
            "bouncedRecipients": [{"emailAddress": "ada@example.org", "diagnosticCode": "550 no"}],
        },
        "mail": {
            "messageId": "ses-1",
            "destination": ["ada@example.org"],
            "headers": [{"name": "X-Overture-Message", "value": "f%25:welcome:1:aa"}],
        },
    }
)


@pytest.mark.parametrize("version", ["1", "2"])
async def test_a_bounce_at_ses_and_its_certificate_is_fetched_once(aws: TestAmazon, ses: Ses, version: str):
    (made,) = await facts(ses, request(aws.signed(version, Message=BOUNCED)))
    (with_subject,) = await facts(ses, request(aws.signed(version, Message=BOUNCED, Subject="Amazon SES")))
    assert made["id"] == with_subject["id"] == "ses:n1:ada@example.org"
    assert made["type"] == "message.bounced"
    assert made["contact"] == {"message": "f%:welcome:1:aa", "email": "ada@example.org"}
    assert made["properties"]["permanent"] is True
    assert aws.asked == ["/SimpleNotificationService-0123abcd.pem"]


async def test_who_is_not_one_of_our_topics_is_refused(aws: TestAmazon, ses: Ses):
    right = aws.signed(Message=BOUNCED)
    old = (datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=3)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    another = TestAmazon(certified("sns.amazonaws.com")[0])
    for wrong in (
        aws.signed(Message=BOUNCED, TopicArn=TOPIC + "2"),
        aws.signed(Message=BOUNCED, Timestamp=old),
        another.signed(Message=BOUNCED),
        {**right, "Message": BOUNCED.replace("ada", "eve")},
        {**right, "Subject": "more"},
        {**right, "Signature": "é"},
        {**right, "SignatureVersion": "2"},
        {**right, "SignatureVersion": "3"},
        {k: v for k, v in right.items() if k != "Signature"},
        {},
    ):
        assert await refusal(ses, request(wrong)) == ("source.signature", 401)
    assert await refusal(ses, request(b"no json")) == ("source.body", 400)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "http://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123abcd.pem",
        "https://sns.eu-west-1.amazonaws.com:8443/SimpleNotificationService-0123abcd.pem",
        "https://sns.eu-west-1.amazonaws.com.evil.example/SimpleNotificationService-0123abcd.pem",
        "https://evil.example/SimpleNotificationService-0123abcd.pem",
        "https://evil.example#sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123abcd.pem",
        "https://ada:pw@sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123abcd.pem",
        "https://sns.eu-west-1.amazonaws.com@evil.example/SimpleNotificationService-0123abcd.pem",
        "https://bucket.s3.eu-west-1.amazonaws.com/SimpleNotificationService-0123abcd.pem",
        "https://sns.eu-west-1.amazonaws.com/other.pem",
        "https://sns.eu-west-1.amazonaws.com/a/../SimpleNotificationService-0123abcd.pem?x=1",
        "https://169.254.169.254/SimpleNotificationService-0123abcd.pem",
        "https://[::1",
    ],
)
async def test_a_certificate_from_elsewhere_is_not_even_asked_for(aws: TestAmazon, ses: Ses, address: str):
    message = {**aws.signed(Message=BOUNCED), "SigningCertURL": address}
    assert await refusal(ses, request(message)) == ("source.signature", 401)
    assert aws.asked == []


@pytest.mark.parametrize("name", ["gone", "expired", "moved"])
async def test_a_certificate_that_proves_nothing(aws: TestAmazon, ses: Ses, name: str):
    message = {**aws.signed(Message=BOUNCED), "SigningCertURL": CERTIFICATE.replace("0123abcd", name)}
    assert await refusal(ses, request(message)) == ("source.signature", 401)
    assert aws.asked == [f"/SimpleNotificationService-{name}.pem"]


async def test_amazon_out_of_reach_is_no_refusal(aws: TestAmazon, ses: Ses):
    message = {**aws.signed(Message=BOUNCED), "SigningCertURL": CERTIFICATE.replace("0123abcd", "down")}
    with pytest.raises(ConnectionError):
        await ses.parse(request(message))
    behind = Ses(SesConfig(topics=(TOPIC,)), aws.amazon(allow=()))
    with pytest.raises(OSError) as error:
        await behind.parse(request(aws.signed(Message=BOUNCED)))
    assert isinstance(getattr(error.value, "os_error", None), EgressRefused)
    await behind.close()


async def test_a_subscription_is_confirmed_for_our_topics_alone(aws: TestAmazon, ses: Ses):
    link = f"https://{HOST}/?Action=ConfirmSubscription&Token=t1"
    ask = {"Type": "SubscriptionConfirmation", "Token": "t1", "Message": "You have chosen", "SubscribeURL": link}
    assert await ses.parse(request(aws.signed(**ask))) == Answer(body={"confirmed": TOPIC})
    assert aws.asked[-1] == "/?Action=ConfirmSubscription&Token=t1"
    asked = len(aws.asked)
    assert await refusal(ses, request(aws.signed(**{**ask, "TopicArn": "arn:x"}))) == ("source.signature", 401)
    elsewhere = aws.signed(**{**ask, "SubscribeURL": "https://evil.example/"})
    assert await refusal(ses, request(elsewhere)) == ("source.signature", 401)
    assert len(aws.asked) == asked
    with pytest.raises(ConnectionError):
        await ses.parse(request(aws.signed(**{**ask, "SubscribeURL": f"https://{HOST}/?Action=Other"})))
    gone = aws.signed(**{**ask, "Type": "UnsubscribeConfirmation"})
    assert await ses.parse(request(gone)) == Answer(body={"ignored": "UnsubscribeConfirmation"})
    assert await facts(ses, request(aws.signed(Message="Successfully validated SNS topic"))) == []
