"""Web push: what a browser's push service is sent, and what another library's server makes of it."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import http_ece
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from py_vapid import Vapid02
from pydantic import ValidationError

from overture.plugin import Outgoing, Rejected, RetryLater, Sent
from overture.testing import Answer, WebhookReceiver, check_channel
from overture_channels.web_push import LARGEST, WebPushChannel, WebPushConfig, payload

PEERS = Path(__file__).parents[1] / "peers"
SERVER = PEERS / "node_modules" / "web-push-testing" / "src" / "bin" / "server.js"
PRIVATE = ec.derive_private_key(7 << 200, ec.SECP256R1())


def text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def point(key: ec.EllipticCurvePrivateKey) -> bytes:
    of = serialization.PublicFormat.UncompressedPoint
    return key.public_key().public_bytes(serialization.Encoding.X962, of)


SECRET = text(PRIVATE.private_numbers().private_value.to_bytes(32, "big"))
PUBLIC = text(point(PRIVATE))


def opened(**settings: object) -> WebPushChannel:
    given = {"private_key": SECRET, "subject": "mailto:ops@example.com", "egress_allow": ["127.0.0.0/8", "::1"]}
    return WebPushChannel(WebPushConfig.model_validate(given | settings))


def outgoing(to: str, **changes: Any) -> Outgoing:
    message = Outgoing(
        id="f1:shop/sent:0", channel="web_push", to=to, subject="Unterwegs", text="Your order left — 📦",
        purpose="transactional", contact="ada", created_at=1_774_605_600_000,
        data={"url": "https://shop.example.com/orders/7", "total": 3},
    )  # fmt: skip
    return replace(message, **changes)


class Browser(WebhookReceiver):
    """A browser and its push service: takes what is posted and decrypts it."""

    def __init__(self) -> None:
        super().__init__()
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._auth = os.urandom(16)

    @property
    def to(self) -> str:
        keys = {"p256dh": text(point(self._key)), "auth": text(self._auth)}
        return json.dumps({"endpoint": super().to, "expirationTime": None, "keys": keys})

    def told(self) -> list[Any]:
        """What its service worker is given, of each message."""
        return [
            json.loads(http_ece.decrypt(r.body, private_key=self._key, auth_secret=self._auth, version="aes128gcm"))
            for r in self.requests
        ]

    def keys(self) -> list[str]:
        return [each["id"] for each in self.told()]


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with Browser() as browser:
        yield browser


async def test_the_contract(browser: Browser) -> None:
    await check_channel(opened, browser, secret=SECRET, open_impatient=lambda: opened(timeout=0.3))


async def test_what_a_push_service_is_sent(browser: Browser) -> None:
    channel = opened(ttl=60, urgency="high")
    await browser.script(Answer(201, {"Location": "https://push.example.com/m/1"}))
    assert await channel.send(outgoing(browser.to)) == Sent("https://push.example.com/m/1")
    for topic in ("order 7", "order 7", "order 8"):
        await channel.send(outgoing(browser.to, data={"topic": topic}))
    await channel.close()
    (told, *_) = browser.told()
    assert told == {
        "id": "f1:shop/sent:0", "title": "Unterwegs", "body": "Your order left — 📦",
        "data": {"url": "https://shop.example.com/orders/7", "total": 3},
    }  # fmt: skip
    (first, *others) = (request.headers for request in browser.requests)
    assert (first["content-type"], first["content-encoding"]) == ("application/octet-stream", "aes128gcm")
    assert (first["ttl"], first["urgency"], first.get("topic")) == ("60", "high", None)
    topics = [each["topic"] for each in others]
    assert topics[0] == topics[1] != topics[2]
    assert max(map(len, topics)) <= 32
    assert Vapid02.verify(first["authorization"])
    claims = json.loads(base64.urlsafe_b64decode(first["authorization"].split(".")[1] + "=="))
    assert (claims["aud"], claims["sub"]) == (f"http://127.0.0.1:{browser.port}", "mailto:ops@example.com")


@pytest.mark.parametrize(
    ("status", "permanent"), [(404, True), (410, True), (400, False), (403, False), (413, False), (302, False)]
)
async def test_only_who_is_not_subscribed_any_more_is_dead(browser: Browser, status: int, permanent: bool) -> None:
    channel = opened()
    await browser.script(status)
    answer = await channel.send(outgoing(browser.to))
    await channel.close()
    assert isinstance(answer, Rejected)
    assert answer.permanent is permanent


async def test_a_push_service_that_is_busy_says_when(browser: Browser) -> None:
    channel = opened()
    await browser.script(Answer(429, {"Retry-After": "90"}))
    with pytest.raises(RetryLater) as caught:
        await channel.send(outgoing(browser.to))
    await channel.close()
    assert (caught.value.code, caught.value.after_seconds) == ("web_push.429", 90)


async def test_what_is_too_large_is_not_sent(browser: Browser) -> None:
    channel = opened()
    room = LARGEST - len(payload(outgoing("", text="")))
    assert isinstance(await channel.send(outgoing(browser.to, text="x" * room)), Sent)
    assert len(browser.requests[0].body) == 4096
    answer = await channel.send(outgoing(browser.to, text="x" * (room + 1)))
    await channel.close()
    assert isinstance(answer, Rejected)
    assert (answer.code, answer.permanent) == ("web_push.too_large", False)
    assert len(browser.requests) == 1


async def test_what_is_no_subscription_is_no_address(browser: Browser) -> None:
    channel, good = opened(), json.loads(browser.to)
    keys = good["keys"]
    for wrong in (
        "", "no JSON", "[]", "{}", json.dumps({**good, "keys": None}), json.dumps({**good, "endpoint": 3}),
        json.dumps({**good, "endpoint": "http://push.example.com/x"}), json.dumps({**good, "endpoint": "file:///x"}),
        json.dumps({**good, "endpoint": "https://[2001:db8::1]/x"}),
        json.dumps({**good, "endpoint": "https://u:p@push.example.com/x"}),
        json.dumps({**good, "keys": {**keys, "auth": "AAAA"}}), json.dumps({**good, "keys": {**keys, "auth": "*"}}),
        json.dumps({**good, "keys": {**keys, "p256dh": text(b"\x04" + b"\x01" * 64)}}),
        json.dumps({**good, "keys": {"p256dh": None, "auth": None}}), json.dumps({**good, "keys": {**keys, "auth": 7}}),
        "[" * 100_000,
    ):  # fmt: skip
        answer = await channel.send(outgoing(wrong))
        assert isinstance(answer, Rejected), wrong
        assert (answer.code, answer.permanent) == ("web_push.address_invalid", True)
    await channel.close()
    assert browser.requests == []


async def test_a_push_service_is_not_looked_for_behind_the_firewall(browser: Browser) -> None:
    channel = opened(egress_allow=[])
    answer = await channel.send(outgoing(browser.to))
    await channel.close()
    assert isinstance(answer, Rejected)
    assert answer.code == "web_push.egress_refused"
    assert browser.requests == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"private_key": "x" * 40}, {"private_key": ""}, {"private_key": "-----BEGIN PRIVATE KEY-----\nx"},
        {"subject": "ops@example.com"}, {"subject": "http://example.com"}, {"ttl": -1}, {"urgency": "now"},
        {"egress_allow": ["x"]}, {"timeout": 61.0},
    ],
)  # fmt: skip
def test_settings_that_cannot_be(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError) as caught:
        opened(**wrong)
    assert SECRET not in str(caught.value)


def test_the_key_may_be_pem() -> None:
    pem = PRIVATE.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    assert repr(opened(private_key=pem.decode())) == "<WebPushChannel mailto:ops@example.com>"


class TestingServer:
    """npm web-push-testing, in a process of its own."""

    __test__ = False

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}"

    async def ask(self, path: str, **body: Any) -> Any:
        async with (
            aiohttp.ClientSession() as session,
            session.post(self._url + path, json=body) as response,
        ):
            return await response.json() if response.content_type == "application/json" else response.status


@pytest.fixture
async def another() -> AsyncIterator[TestingServer]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec("node", str(SERVER), str(port), stdout=pipe, stderr=pipe)
    try:
        assert process.stdout is not None
        assert b"running" in await asyncio.wait_for(process.stdout.readline(), 30)
        yield TestingServer(port)
    finally:
        process.kill()
        await process.communicate()


async def test_another_library_decrypts_it_and_knows_who_sent_it(another: TestingServer) -> None:
    subscribed = (await another.ask("/subscribe", applicationServerKey=PUBLIC))["data"]
    browser = subscribed.pop("clientHash")
    message = outgoing(json.dumps(subscribed))
    channel, stranger = opened(), opened(private_key=text(b"\x01" * 32))
    assert await channel.send(message) == Sent()
    told = (await another.ask("/get-notifications", clientHash=browser))["data"]["messages"]
    assert [json.loads(each) for each in told] == [json.loads(payload(message))]

    refused = await stranger.send(message)
    assert isinstance(refused, Rejected)
    assert (refused.code, refused.permanent) == ("web_push.400", False)

    assert await another.ask(f"/expire-subscription/{browser}") == 200
    dead = await channel.send(message)
    await channel.close()
    await stranger.close()
    assert isinstance(dead, Rejected)
    assert (dead.code, dead.permanent) == ("web_push.410", True)
    assert len((await another.ask("/get-notifications", clientHash=browser))["data"]["messages"]) == 1
