"""Each mail that was recorded as a service hands it on is read as somebody else's library reads it."""

from __future__ import annotations

import base64
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from signkit import request

from overture.plugin import Refuse
from overture_sources import inbound, mailgun, postmark, sendgrid, ses
from overture_sources.forms import form
from overture_sources.inbound import Mail, posted_mail

RECORDED = Path(__file__).parent / "recorded"
STORED = "test_inbound_s3"  # its content was put into a bucket, which nobody has recorded
ATTACHED = "test_attachments"  # a mail without a text; the other library takes that of a mail attached to it


def requests(service: str) -> list[dict[str, Any]]:
    return json.loads((RECORDED / f"{service}_inbound.json").read_text("utf-8"))["requests"]


def name(asked: dict[str, Any]) -> str:
    return asked["test"].rpartition(".")[2]


EVERY = [
    pytest.param(service, asked, id=f"{service}-{n}-{name(asked)}")
    for service in ("sendgrid", "mailgun", "postmark", "amazon_ses")
    for n, asked in enumerate(requests(service))
    if "anymail_normalised" in asked
]
EVENTS = [
    pytest.param(service, asked, id=f"{service}-{name(asked)}")
    for service in ("mailgun", "postmark", "amazon_ses")
    for asked in requests(service)
    if "tracking" in name(asked)
]


def read(service: str, asked: dict[str, Any]) -> Mail | None:
    body = base64.b64decode(asked["body_base64"]) if "body_base64" in asked else asked["body_text"].encode()
    incoming = request(body, Content_Type=asked["content_type"])
    if service == "sendgrid":
        return sendgrid.received(incoming)
    if service == "postmark":
        return postmark.received(json.loads(body))
    if service == "amazon_ses":
        return ses.received(json.loads(body))
    filled = form(incoming)
    if filled is None:
        raise Refuse("source.body", "As the source itself says where there is no form.")
    return mailgun.received(filled)


@pytest.mark.parametrize(("service", "asked"), EVERY)
def test_is_read_as_the_other_library_reads_it(service: str, asked: dict[str, Any]):
    (event,) = asked["anymail_normalised"]
    mail = read(service, asked)
    assert mail is not None
    said = event["message"]
    assert mail.event == (event["event_id"] or "")
    assert mail.at == (datetime.fromisoformat(event["timestamp"]) if event["timestamp"] else None)
    assert mail.recipient == (said["envelope_recipient"] or "")
    assert bool(mail.spam) == bool(said["spam_detected"])
    if name(asked) == STORED:
        assert mail.sender == ("", "")
        return
    assert inbound.shown(mail.sender) == said["from"].replace("None", "")
    assert [inbound.shown(each) for each in mail.to] == said["to"]
    assert mail.subject == said["subject"].replace("None", "")
    assert mail.text == ("" if name(asked) == ATTACHED else said["text"] or "")


@pytest.mark.parametrize(("service", "asked"), EVENTS)
def test_an_event_is_no_mail(service: str, asked: dict[str, Any]):
    with pytest.raises(Refuse) as refusal:
        read(service, asked)
    assert refusal.value.code == "source.body"


def test_there_are_as_many_as_were_recorded():
    assert (len(EVERY), len(EVENTS)) == (20, 4)


def test_the_fact_is_about_who_wrote_it():
    (asked,) = [each for each in requests("mailgun") if name(each) == "test_inbound_basics"]
    mail = read("mailgun", asked)
    assert mail is not None
    (made,) = posted_mail("mailgun", "email", mail).facts
    assert made == {
        "id": f"mailgun:mail:{mail.event}",
        "type": "email_received",
        "contact": {"email": "from+test@example.org"},
        "occurred_at": "2016-04-21T17:55:30+00:00",
        "properties": {
            "channel": "email",
            "address": "test@inbound.example.com",
            "from": "Displayed From <from+test@example.org>",
            "to": ["Test Inbound <test@inbound.example.com>", "other@example.com"],
            "subject": "Test subject",
            "text": "Test body plain",
            "spam": False,
        },
        "context": {"source": "mailgun"},
    }


@pytest.mark.parametrize(
    "raw", [b"", b"\xff\xfe", b"From: <@\n\nx", b"To: " + b"a@b," * 5_000, b"From: =?utf-8?q?=00?= <a@b>\n\n"]
)
def test_a_mail_that_nobody_should_have_sent_is_read_all_the_same(raw: bytes):
    (made,) = posted_mail("ses", "email", inbound.written(raw, Mail())).facts
    assert json.dumps(made)
    assert "\0" not in str(made)
