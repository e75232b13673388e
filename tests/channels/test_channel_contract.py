"""The contract check must catch a channel that breaks the contract, and the test servers must work by hand."""

from __future__ import annotations

import asyncio
import logging
import smtplib
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from overture.plugin import AmbiguousHandOff, Incoming, Outgoing, Posted, Rejected, RetryLater, Sent
from overture.testing import WebhookReceiver, check_channel, check_receipt, incoming
from overture_channels.webhook import WebhookChannel, WebhookConfig

block = time.sleep
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


class LogsItsSecret(Webhooks):
    async def send(self, message: Outgoing) -> Sent | Rejected:
        logging.getLogger("mine").debug("signing with %s", SECRET)
        return await super().send(message)


class Blocks(Webhooks):
    async def send(self, message: Outgoing) -> Sent | Rejected:
        await asyncio.sleep(0)
        block(30)
        return await super().send(message)


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
        (LogsItsSecret, "secret shows in the log"),
        (Blocks, r"must not block: It kept the process to itself for 250 ms, in Blocks.send"),
        (CannotCloseTwice, "closed twice"),
    ],
)
async def test_a_broken_channel_is_caught(receiver: WebhookReceiver, channel: type[Webhooks], sentence: str):
    with pytest.raises(AssertionError, match=sentence):
        await check_channel(channel, receiver, secret=SECRET)


def impatient(channel: type[Webhooks] = Webhooks) -> Webhooks:
    opened = channel()
    WebhookChannel.__init__(
        opened, WebhookConfig.model_validate({"secret": SECRET, "egress_allow": ["127.0.0.1"], "timeout": 0.3})
    )
    return opened


async def test_a_sound_channel_passes(receiver: WebhookReceiver):
    await check_channel(Webhooks, receiver, secret=SECRET, open_impatient=impatient)


class CallsATimeoutLater(Webhooks):
    async def send(self, message: Outgoing) -> Sent | Rejected:
        try:
            return await super().send(message)
        except AmbiguousHandOff as error:
            raise RetryLater(code=error.code) from None


async def test_no_answer_in_time_is_ambiguous(receiver: WebhookReceiver):
    with pytest.raises(AssertionError, match="no answer in time is ambiguous, as the peer may have taken it"):
        await check_channel(Webhooks, receiver, open_impatient=lambda: impatient(CallsATimeoutLater))


class Receipts:
    """Reads what a service tells of one message: its id, and nothing else."""

    def __init__(self, *facts: dict[str, object]) -> None:
        self._facts = facts

    async def parse(self, request: Incoming) -> Posted:
        contact = {"message": request.body.decode()}
        return Posted(facts=[{"contact": contact, **fact} for fact in self._facts])

    async def close(self) -> None:
        pass


def receipt(message: Outgoing, sent: Sent) -> Incoming:
    return incoming(message.id.encode())


async def test_a_receipt_comes_back_as_a_fact_about_its_message(receiver: WebhookReceiver):
    good = {"id": "r1", "type": "message.delivered"}
    (fact,) = await check_receipt(Webhooks, receiver, lambda: Receipts(good), receipt)
    assert fact["contact"] == {"message": "contract/6:0"}
    for source, sentence in (
        (Receipts({"id": "r1", "type": "bounce"}), "none of the facts of a receipt"),
        (Receipts({**good, "contact": {"email": "ada@example.com"}}), "contact.message of a receipt is the id"),
    ):
        with pytest.raises(AssertionError, match=sentence):
            await check_receipt(Webhooks, receiver, lambda source=source: source, receipt)


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
