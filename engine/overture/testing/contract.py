"""The contract of a channel, as one plain coroutine: any test runner, built-in and third-party channels alike."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any, Protocol

from overture.plugin import AmbiguousHandOff, Channel, Outgoing, Rejected, RetryLater, Sent

PATIENCE = 10.0  # seconds after which something that ought to end counts as hung


class Peer(Protocol):
    """The real other end that the channel under test talks to, such as `MailServer` or `WebhookReceiver`."""

    @property
    def to(self) -> str:
        """An address that the peer accepts."""
        ...

    async def script(self, *actions: Any) -> None:
        """What becomes of the next messages: ``accept``, ``refuse``, ``defer``, ``drop`` or ``stall`` each."""
        ...

    def keys(self) -> list[str]:
        """The idempotency key of each message that the peer took, in order, in the form that it arrived in."""
        ...


async def check_channel(open_channel: Callable[[], Channel], peer: Peer, *, secret: str = "") -> None:
    """Run the whole contract; AssertionError with a sentence where the channel breaks it.

    ``open_channel`` opens a channel to ``peer`` with its ordinary settings (a timeout of some seconds at least);
    ``secret`` is a credential in those settings, which must not show in any repr or error text.
    """
    channel = open_channel()
    heard: list[object] = [channel]
    try:
        await _within(channel.check(), "check() of a channel whose peer is up")
        message = Outgoing(
            id="contract/1:0", channel="contract", to=peer.to, subject="Subject", text="Text", html="<p>Text</p>",
            purpose="marketing", contact="ada", created_at=1_700_000_000_000, properties={"fact": {"total": 3}},
        )  # fmt: skip
        await _same_id_twice(channel, peer, message, heard)
        await _refusal_and_retry(channel, peer, replace(message, id="contract/2:0"), heard)
        await _lost_answer(channel, peer, replace(message, id="contract/3:0"), heard)
        await _cancellation(channel, peer, replace(message, id="contract/4:0"))
        await _parallel(channel, peer, message)
    finally:
        await _within(channel.close(), "close()")
    await _within(channel.close(), "close() a second time")
    await _after_close(channel, message, heard)
    unused = open_channel()
    heard.append(unused)
    await _within(unused.close(), "close() of a channel that was never used")
    if secret:
        for thing in heard:
            shown = f"{thing!r} {thing} {getattr(thing, '__cause__', '')!r} {getattr(thing, '__context__', '')!r}"
            assert secret not in shown, f"the secret shows in {type(thing).__name__}"


async def _within(call: Any, what: str) -> Any:
    try:
        async with asyncio.timeout(PATIENCE):
            return await call
    except TimeoutError:
        raise AssertionError(f"{what} did not end within {PATIENCE:g} s") from None


async def _sent(channel: Channel, message: Outgoing, when: str) -> Sent:
    answer = await _within(channel.send(message), f"send() {when}")
    assert isinstance(answer, Sent), f"{when}: expected Sent, got {answer!r}"
    assert not answer.ambiguous, f"{when}: the peer confirmed, so the hand-off is not ambiguous"
    return answer


async def _same_id_twice(channel: Channel, peer: Peer, message: Outgoing, heard: list[object]) -> None:
    before = len(peer.keys())
    heard.append(await _sent(channel, message, "to a peer that accepts"))
    await _sent(channel, message, "of the same message again")
    await _sent(channel, replace(message, id="contract/other:0"), "of another message")
    first, second, other = peer.keys()[before:]
    assert first == second, "the same message id twice must arrive with the same idempotency key"
    assert first != other, "another message id must arrive with another idempotency key"


async def _refusal_and_retry(channel: Channel, peer: Peer, message: Outgoing, heard: list[object]) -> None:
    await peer.script("refuse")
    answer = await _within(channel.send(message), "send() to a peer that refuses")
    assert isinstance(answer, Rejected), f"a refusal is Rejected, not {answer!r}"
    assert answer.code, "a refusal has a code"
    assert answer.message, "a refusal has a sentence"
    heard.append(answer)
    await peer.script("defer")
    try:
        answer = await _within(channel.send(message), "send() to a peer that says later")
        raise AssertionError(f"'later' must raise RetryLater, not answer {answer!r}")
    except RetryLater as error:
        heard.append(error)
    await _sent(channel, message, "after a refusal and a 'later'")


async def _lost_answer(channel: Channel, peer: Peer, message: Outgoing, heard: list[object]) -> None:
    await peer.script("drop")
    try:
        answer = await _within(channel.send(message), "send() whose answer is lost")
        ambiguous = isinstance(answer, Sent) and answer.ambiguous
        assert ambiguous, f"a lost answer is AmbiguousHandOff or an ambiguous Sent, not {answer!r}"
    except AmbiguousHandOff as error:
        heard.append(error)
    await _sent(channel, message, "after a lost answer")


async def _cancellation(channel: Channel, peer: Peer, message: Outgoing) -> None:
    await peer.script("stall")
    before = len(peer.keys())
    task = asyncio.ensure_future(channel.send(message))
    async with asyncio.timeout(PATIENCE):
        while len(peer.keys()) == before:
            await asyncio.sleep(0.01)
    task.cancel()  # in the worst moment: the peer has taken it
    done, _ = await asyncio.wait({task}, timeout=PATIENCE)
    assert done, "send() must end when it is cancelled"
    assert task.cancelled(), "send() must let CancelledError through"
    await _sent(channel, message, "after a cancellation")


async def _parallel(channel: Channel, peer: Peer, message: Outgoing) -> None:
    before = len(peer.keys())
    await asyncio.gather(*(_sent(channel, replace(message, id=f"contract/p{i}:0"), "in parallel") for i in range(12)))
    arrived = peer.keys()[before:]
    assert len(arrived) == len(set(arrived)) == 12, "messages sent in parallel must each arrive once"


async def _after_close(channel: Channel, message: Outgoing, heard: list[object]) -> None:
    answer: object = None
    with suppress(Exception):
        try:
            answer = await _within(channel.send(message), "send() after close()")
        except Exception as error:
            heard.append(error)
            raise
    assert not isinstance(answer, Sent), "a closed channel must not send"
