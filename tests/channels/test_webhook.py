from __future__ import annotations

import asyncio
import json
import socket
import subprocess
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from pydantic import ValidationError
from standardwebhooks import Webhook, WebhookVerificationError

from overture.model import clock
from overture.plugin import AmbiguousHandOff, Outgoing, Rejected, RetryLater, Sent
from overture.testing import Answer, ReceivedRequest, WebhookReceiver, check_channel
from overture_channels.webhook import WebhookChannel, WebhookConfig

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
LOCAL = ("127.0.0.0/8",)
VERIFIER = Path(__file__).parents[1] / "peers" / "webhook_verifier.cjs"


@pytest.fixture
async def receiver() -> AsyncIterator[WebhookReceiver]:
    async with WebhookReceiver() as receiver:
        yield receiver


def opened(**settings: object) -> WebhookChannel:
    values: dict[str, object] = {"secret": SECRET, "egress_allow": LOCAL}
    return WebhookChannel(WebhookConfig.model_validate(values | settings))


def outgoing(to: str, **changes: object) -> Outgoing:
    values: dict[str, object] = {
        "id": "f1:sales/alert:0", "channel": "webhook", "to": to, "subject": "Lead", "text": "Ada is hot",
        "purpose": "alert", "contact": "ada", "created_at": 1_774_605_600_000,
        "properties": {"fact": {"total": 3, "name": "Jörg"}},
    }  # fmt: skip
    return Outgoing(**(values | changes))  # type: ignore[arg-type]


async def test_contract(receiver: WebhookReceiver):
    await check_channel(opened, receiver, secret=SECRET, open_impatient=lambda: opened(timeout=0.5))


async def test_a_receiver_can_verify_what_it_got(receiver: WebhookReceiver):
    channel = opened()
    assert await channel.send(outgoing(receiver.to)) == Sent()
    await channel.close()
    [request] = receiver.requests
    verified = Webhook(SECRET).verify(request.body, dict(request.headers))
    assert verified == {
        "type": "overture.message",
        "timestamp": "2026-03-27T10:00:00.000Z",
        "data": {
            "id": "f1:sales/alert:0", "contact": "ada", "purpose": "alert", "subject": "Lead", "text": "Ada is hot",
            "html": "", "properties": {"fact": {"total": 3, "name": "Jörg"}}, "data": {},
        },
    }  # fmt: skip
    assert request.headers["webhook-id"] == "f1:sales/alert:0"
    assert request.headers["content-type"] == "application/json"
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(request.body + b" ", dict(request.headers))
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_AAAA").verify(request.body, dict(request.headers))


async def test_an_id_that_no_header_can_carry_is_escaped_and_still_verifies(receiver: WebhookReceiver):
    channel = opened()
    await channel.send(outgoing(receiver.to, id="ä 100%\r\nX-Evil: 1"))
    await channel.close()
    [request] = receiver.requests
    assert request.headers["webhook-id"] == "%C3%A4%20100%25%0D%0AX-Evil:%201"
    assert Webhook(SECRET).verify(request.body, dict(request.headers))["data"]["id"] == "ä 100%\r\nX-Evil: 1"


async def test_without_a_secret_nothing_is_signed(receiver: WebhookReceiver):
    channel = opened(secret=None)
    await channel.send(outgoing(receiver.to))
    await channel.close()
    assert "webhook-signature" not in receiver.requests[0].headers


@pytest.mark.parametrize(
    ("status", "permanent"), [(400, False), (401, False), (404, False), (410, True), (413, False), (304, False)]
)
async def test_refusals(receiver: WebhookReceiver, status: int, permanent: bool):
    channel = opened()
    await receiver.script(status)
    answer = await channel.send(outgoing(receiver.to))
    await channel.close()
    assert isinstance(answer, Rejected)
    assert answer.permanent is permanent
    assert str(status) in answer.message


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
async def test_later(receiver: WebhookReceiver, status: int):
    channel = opened()
    await receiver.script(status)
    with pytest.raises(RetryLater) as caught:
        await channel.send(outgoing(receiver.to))
    await channel.close()
    assert caught.value.code == f"webhook.{status}"
    assert caught.value.after_seconds is None


async def test_retry_after_as_number_date_and_nonsense(receiver: WebhookReceiver):
    channel = opened()
    soon = format_datetime(datetime.fromtimestamp(clock.now() / 1000, UTC) + timedelta(hours=1), usegmt=True)
    waits: list[float | None] = []
    for value in ("120", soon, "Wed, 21 Oct 2015 07:28:00 GMT", "soon", "-5", "²"):
        await receiver.script(Answer(429, {"Retry-After": value}))
        with pytest.raises(RetryLater) as caught:
            await channel.send(outgoing(receiver.to))
        waits.append(caught.value.after_seconds)
    await channel.close()
    assert waits[0] == 120
    assert waits[1] is not None
    assert 3500 < waits[1] <= 3600
    assert waits[2:] == [0.0, None, None, None]


async def test_redirects_are_not_followed(receiver: WebhookReceiver):
    channel = opened()
    await receiver.script(Answer(302, {"Location": f"http://127.0.0.1:{receiver.port}/internal"}))
    answer = await channel.send(outgoing(receiver.to))
    await channel.close()
    assert isinstance(answer, Rejected)
    assert answer.code == "webhook.redirected"
    assert [request.path for request in receiver.requests] == ["/hook"]


@pytest.mark.parametrize("headers", [{}, {"Content-Encoding": "gzip"}])
async def test_a_huge_or_odd_body_does_not_matter(receiver: WebhookReceiver, headers: dict[str, str]):
    channel = opened()
    await receiver.script(Answer(200, headers, b"x" * 20_000_000))
    assert await channel.send(outgoing(receiver.to)) == Sent()
    assert await channel.send(outgoing(receiver.to)) == Sent()
    await channel.close()


@pytest.mark.parametrize("action", ["drop", "stall"])
async def test_a_lost_answer_is_ambiguous(receiver: WebhookReceiver, action: str):
    channel = opened(timeout=1.0)
    await receiver.script(action)
    with pytest.raises(AmbiguousHandOff) as caught:
        await channel.send(outgoing(receiver.to))
    await channel.close()
    assert caught.value.code == "webhook.unconfirmed"
    assert len(receiver.requests) == 1


async def test_nobody_there_is_for_later():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    channel = opened()
    for url in (f"http://127.0.0.1:{port}/", f"https://127.0.0.1:{port}/", "http://does-not-exist.invalid/"):
        with pytest.raises(RetryLater) as caught:
            await channel.send(outgoing(url))
        assert caught.value.code == "webhook.unreachable"
    await channel.close()


@pytest.mark.parametrize(
    "url",
    ["", "ada@example.com", "ftp://example.com/x", "file:///etc/passwd", "http://", "//example.com", "http://[::1",
     "http://user:pass@127.0.0.1/", "http://user@127.0.0.1/", "http://:@127.0.0.1/", "http://127.0.0.1:99999/",
     "http://2130706433/", "http://127.1/"],
)  # fmt: skip
async def test_urls_that_are_never_called(url: str):
    channel = opened()
    answer = await channel.send(outgoing(url))
    await channel.close()
    assert isinstance(answer, Rejected)
    assert (answer.code, answer.permanent) == ("webhook.url_invalid", True)


async def test_private_addresses_are_refused_unless_allowed(receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("http_proxy", receiver.to)
    channel = opened(egress_allow=())
    for host in ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0"):
        answer = await channel.send(outgoing(f"http://{host}:{receiver.port}/"))
        assert isinstance(answer, Rejected)
        assert answer.code == "webhook.egress_refused"
        assert not answer.permanent
    await channel.close()
    assert receiver.requests == []


@pytest.mark.parametrize(
    "settings",
    [
        {"secret": "not base64!"},
        {"secret": ""},
        {"secret": "whsec_YWJj-ZGVm"},
        {"egress_allow": ["localhost"]},
        {"timeout": 0},
        {"timeout": True},
        {"timeout": "5"},
        {"timeout": 61},
        {"x": 1},
    ],
)
def test_wrong_settings(settings: dict[str, object]):
    with pytest.raises(ValidationError) as caught:
        WebhookConfig.model_validate(settings)
    assert "not base64!" not in str(caught.value)


def test_the_secret_shows_nowhere(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOOK", SECRET)
    for reference in (SECRET, "env:HOOK"):
        config = WebhookConfig.model_validate({"secret": reference})
        shown = repr(config) + str(config) + json.dumps(config.model_dump(mode="json")) + repr(WebhookChannel(config))
        assert SECRET.removeprefix("whsec_") not in shown


def verified_by_node(request: ReceivedRequest, **changes: object) -> dict[str, object]:
    given = {"secret": SECRET, "body": request.body.decode(), "headers": dict(request.headers)} | changes
    run = subprocess.run(["node", str(VERIFIER)], input=json.dumps(given), capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


async def test_the_library_of_another_language_verifies_what_was_sent(receiver: WebhookReceiver):
    channel = opened()
    await channel.send(outgoing(receiver.to, text="grüße — 📦 \u2028 \x00", data={"url": "https://example.com/?a=1&b"}))
    await channel.close()
    [request] = receiver.requests
    verified = await asyncio.to_thread(verified_by_node, request)
    assert verified == {"verified": Webhook(SECRET).verify(request.body, dict(request.headers))}
    text = request.body.decode().replace("Ada", "Eve").replace("grüße", "Grüße")
    assert "refused" in await asyncio.to_thread(verified_by_node, request, body=text)
    other = {**request.headers, "webhook-id": "another"}
    assert "refused" in await asyncio.to_thread(verified_by_node, request, headers=other)
    assert "refused" in await asyncio.to_thread(verified_by_node, request, secret="whsec_" + "A" * 32)
