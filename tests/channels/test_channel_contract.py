"""The contract check must catch a channel that breaks the contract, and the test servers must work by hand."""

from __future__ import annotations

import asyncio
import smtplib
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from overture.plugin import AmbiguousHandOff, Outgoing, Rejected, RetryLater, Sent
from overture.testing import WebhookReceiver, check_channel
from overture_channels.webhook import WebhookChannel, WebhookConfig

SECRET = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Webhooks(WebhookChannel):
    def __init__(self) -> None:
        super().__init__(WebhookConfig.model_validate({"secret": SECRET, "egress_allow": ["127.0.0.1"]}))


class NewKeyEachTime(Webhooks):
    count = 0

    async def send(self, message: Outgoing) -> Sent | Rejected:
        self.count += 1
        return await super().send(replace(message, id=f"{message.id}{self.count}"))


class OneKeyForAll(Webhooks):
    async def send(self, message: Outgoing) -> Sent | Rejected:
        return await super().send(replace(message, id="same"))


class CallsARefusalSent(Webhooks):
    async def send(self, message: Outgoing) -> Sent | Rejected:
        await super().send(message)
        return Sent()


class CallsLaterARefusal(Webhooks):
    async def send(self, message: Outgoing) -> Sent | Rejected:
        try:
            return await super().send(message)
        except RetryLater as error:
            return Rejected(error.code, error.message)


class HidesAmbiguity(Webhooks):
    async def send(self, message: Outgoing) -> Sent | Rejected:
        try:
            return await super().send(message)
        except AmbiguousHandOff:
            return Sent()


class SwallowsCancellation(Webhooks):
    async def send(self, message: Outgoing) -> Sent | Rejected:
        try:
            return await super().send(message)
        except asyncio.CancelledError:
            return Sent()


class SendsAfterClose(Webhooks):
    async def send(self, message: Outgoing) -> Sent | Rejected:
        try:
            return await super().send(message)
        except RuntimeError:
            return Sent()


class ShowsItsSecret(Webhooks):
    def __repr__(self) -> str:
        return f"ShowsItsSecret({SECRET})"


class CannotCloseTwice(Webhooks):
    closings = 0

    async def close(self) -> None:
        self.closings += 1
        assert self.closings == 1, "closed twice"
        await super().close()


@pytest.fixture
async def receiver() -> AsyncIterator[WebhookReceiver]:
    async with WebhookReceiver() as receiver:
        yield receiver


@pytest.mark.parametrize(
    ("channel", "sentence"),
    [
        (NewKeyEachTime, "same idempotency key"),
        (OneKeyForAll, "another idempotency key"),
        (CallsARefusalSent, "a refusal is Rejected"),
        (CallsLaterARefusal, "'later' must raise RetryLater"),
        (HidesAmbiguity, "a lost answer"),
        (SwallowsCancellation, "CancelledError"),
        (SendsAfterClose, "a closed channel must not send"),
        (ShowsItsSecret, "secret shows in ShowsItsSecret"),
        (CannotCloseTwice, "closed twice"),
    ],
)
async def test_a_broken_channel_is_caught(receiver: WebhookReceiver, channel: type[Webhooks], sentence: str):
    with pytest.raises(AssertionError, match=sentence):
        await check_channel(channel, receiver, secret=SECRET)


async def test_a_sound_channel_passes(receiver: WebhookReceiver):
    await check_channel(Webhooks, receiver, secret=SECRET)


async def test_the_mail_server_by_hand(tmp_path: Path):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "overture.testing.mailserver", "--port", "0", "--dir", str(tmp_path / "mail"),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        port = int((await process.stdout.readline()).split()[1])

        def send() -> None:
            with smtplib.SMTP("127.0.0.1", port, local_hostname="localhost") as client:
                client.sendmail(
                    "news@example.org", ["ada@example.com"], "To: ada@example.com\r\nSubject: Hi\r\n\r\nText"
                )

        await asyncio.to_thread(send)
        assert await process.stdout.readline() == b"mail ada@example.com  Hi\n"
        assert len(list((tmp_path / "mail" / "new").iterdir())) == 1
    finally:
        process.kill()
        await process.wait()
