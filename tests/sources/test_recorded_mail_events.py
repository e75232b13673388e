"""Each webhook recorded from an e-mail service is read as somebody else's library reads it (tests/sources/recorded)."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from overture.plugin import Incoming, Refuse
from overture_sources import mailgun, postmark, sendgrid, ses
from overture_sources.forms import form
from overture_sources.reports import OURS, Report

RECORDED = Path(__file__).parent / "recorded"
THEIRS = "anymail_id"  # what that library calls its own argument, as we have ours


def requests(service: str) -> list[dict[str, Any]]:
    return json.loads((RECORDED / f"{service}_webhooks.json").read_text("utf-8"))["requests"]


EXPECTED = [
    pytest.param(service, request, id=f"{service}-{n}-{request['test'].rpartition('.')[2]}")
    for service in ("sendgrid", "mailgun", "postmark", "amazon_ses")
    for n, request in enumerate(requests(service))
    if "anymail_normalised" in request
]
REFUSED = [
    pytest.param(service, request, id=f"{service}-{n}-{request['test'].rpartition('.')[2]}")
    for service in ("mailgun", "postmark", "amazon_ses")
    for n, request in enumerate(requests(service))
    if "misconfigured" in request["test"] or "incorrect" in request["test"]
]


def read(service: str, request: dict[str, Any]) -> list[Report]:
    """What the body says. Whose it is, is asked elsewhere: the keys that signed these are not ours."""
    body = request["body_text"].replace(THEIRS, OURS).encode()
    if service == "sendgrid":
        return sendgrid.reports(body)
    if service == "postmark":
        return [postmark.report(json.loads(body))]
    if service == "amazon_ses":
        return ses.reports(json.loads(body))
    headers = {"content-type": request["content_type"]}
    incoming = Incoming(
        method="POST", endpoint="~", parts={}, query={}, headers=headers, body=body, inflated=body, at=0, peer=""
    )
    filled = form(incoming)
    return [mailgun.report(json.loads(body))] if filled is None else mailgun.older(filled)


def told(report: Report) -> dict[str, Any]:
    return {
        "event_type": report.kind,
        "timestamp": report.at,
        "event_id": report.event or None,
        "message_id": report.message or report.provider_id or None,
        "recipient": report.address or None,
        "reject_reason": report.reason or None,
        "mta_response": report.detail or None,
        "tags": list(report.tags),
        "metadata": dict(report.metadata),
        "click_url": report.url or None,
        "user_agent": report.user_agent or None,
        "description": report.description or None,
    }


def expected(event: dict[str, Any]) -> dict[str, Any]:
    """Theirs, where an empty text is as good as none, and one tag as good as a list of one."""
    tags = event["tags"] if isinstance(event["tags"], list) else [event["tags"]]
    said = {name: None if value == "" else value for name, value in event.items()}
    at = datetime.fromisoformat(event["timestamp"]) if event["timestamp"] else None
    return {**said, "timestamp": at, "tags": [tag for tag in tags if tag]}


@pytest.mark.parametrize(("service", "request_"), EXPECTED)
def test_is_read_as_the_other_library_reads_it(service: str, request_: dict[str, Any]):
    assert [told(each) for each in read(service, request_)] == [expected(e) for e in request_["anymail_normalised"]]


@pytest.mark.parametrize(("service", "request_"), REFUSED)
def test_received_mail_is_no_event(service: str, request_: dict[str, Any]):
    with pytest.raises(Refuse) as refusal:
        read(service, request_)
    assert refusal.value.code == "source.body"


def test_there_are_as_many_as_were_recorded():
    assert (len(EXPECTED), len(REFUSED)) == (65, 4)


def test_what_sns_says_of_itself_is_no_event():
    handshakes = [r for r in requests("amazon_ses") if "subscri" in r["test"] or "sns" in r["test"]]
    assert [read("amazon_ses", each) for each in handshakes if each["body_text"]] == [[]] * len(handshakes)
    assert handshakes
