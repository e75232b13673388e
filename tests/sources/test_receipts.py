"""Services that a channel and a source of ours share: what they report comes back as a fact about the message."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from signkit import SECRET, SendgridKey, mailgun, now, request

from overture.plugin import Incoming, Outgoing, PluginManager, Sent
from overture.testing import WebhookReceiver, check_receipt

KEY = SendgridKey()
MAIL = {"sender": "Ada's News <news@example.org>", "egress_allow": ["127.0.0.0/8"]}


class Service(WebhookReceiver):
    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def to(self) -> str:
        return "ada@example.com"


@dataclass(frozen=True)
class Pair:
    """Settings of channel and source, and what the service posts about a message that carries ``own`` through it."""

    channel: dict[str, Any]
    source: dict[str, Any]
    receipt: Callable[[str], Incoming]


def _sendgrid(own: str) -> Incoming:
    event = {"email": "ada@example.com", "event": "delivered", "sg_event_id": "e1", "timestamp": 1_785_000_000}
    body = json.dumps([{**event, "overture_message": own}]).encode()
    return request(body, **KEY.headers(body, now()))


def _mailgun(own: str) -> Incoming:
    event = {"event": "delivered", "id": "e1", "timestamp": 1_785_000_000.5, "recipient": "ada@example.com"}
    return request(mailgun({**event, "user-variables": {"overture_message": own}}, now()))


def _postmark(own: str) -> Incoming:
    event = {
        "RecordType": "Delivery",
        "MessageID": "m1",
        "Recipient": "ada@example.com",
        "Metadata": {"overture_message": own},
    }
    return request({**event, "DeliveredAt": "2026-03-27T10:00:00Z"}, X_Hook=SECRET)


PAIRS = {
    "sendgrid": Pair({"api_key": SECRET}, {"public_key": KEY.public}, _sendgrid),
    "mailgun": Pair({"api_key": SECRET, "domain": "mg.example.org"}, {"signing_key": SECRET}, _mailgun),
    "postmark": Pair({"server_token": SECRET}, {"header": "X-Hook", "token": SECRET}, _postmark),
}


@pytest.mark.parametrize("name", PAIRS)
async def test_a_delivery_comes_back(name: str) -> None:
    manager, pair = PluginManager(), PAIRS[name]
    manager.load()
    channel, source = manager.channels[name], manager.sources[name]
    async with Service() as service:
        settings = channel.config.model_validate({**MAIL, **pair.channel, "base_url": service.url})

        def receipt(message: Outgoing, sent: Sent) -> Incoming:
            carried = service.requests[-1].body.decode()
            assert "overture_message" in carried
            return pair.receipt(message.id)

        (fact,) = await check_receipt(
            lambda: channel.open(settings),
            service,
            lambda: source.open(source.config.model_validate(pair.source)),  # type: ignore[arg-type, return-value]
            receipt,
        )
    assert fact["type"] == "message.delivered"
    assert fact["properties"]["address"] == "ada@example.com"
