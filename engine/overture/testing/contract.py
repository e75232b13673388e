"""The contract of a channel, as one plain coroutine: any test runner, built-in and third-party channels alike."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Protocol, cast

from overture.model.fact import REPORTED_TYPES
from overture.plugin import (
    AmbiguousHandOff,
    Channel,
    Incoming,
    Outgoing,
    Posted,
    PushSource,
    Rejected,
    RetryLater,
    Sent,
)
from overture.testing.checking import PATIENCE, Seen, within


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


MESSAGE = Outgoing(
    id="contract/1:0", channel="contract", to="", subject="Subject", text="Text", html="<p>Text</p>",
    purpose="marketing", contact="ada", created_at=1_700_000_000_000, properties={"fact": {"total": 3}},
)  # fmt: skip


async def check_channel(
    open_channel: Callable[[], Channel],
    peer: Peer,
    *,
    secret: str = "",
    open_impatient: Callable[[], Channel] | None = None,
    keyed: bool = True,
) -> None:
    """Run the whole contract; AssertionError with a sentence where the channel breaks it.

    ``open_channel`` opens a channel to ``peer`` with its ordinary settings (a timeout of some seconds at least);
    ``secret`` is a credential in those settings, which must not show in any repr, error text or log. Where the channel
    has a timeout of its own, ``open_impatient`` opens one with less than `PATIENCE` seconds.
    Where nothing can carry a message's id, as in a chat, ``keyed`` is false: then `Peer.keys` has one of anything for
    each message, and the same message handed over twice is two.
    """
    channel = open_channel()
    with Seen(channel) as seen:
        try:
            await within(channel.check(), "check() of a channel whose peer is up")
            message = replace(MESSAGE, to=peer.to)
            await _same_id_twice(channel, peer, message, seen, keyed)
            await _refusal_and_retry(channel, peer, replace(message, id="contract/2:0"), seen)
            await _lost_answer(channel, peer, replace(message, id="contract/3:0"), seen)
            await _cancellation(channel, peer, replace(message, id="contract/4:0"))
            await _parallel(channel, peer, message, keyed)
        finally:
            await within(channel.close(), "close()")
        await within(channel.close(), "close() a second time")
        await _after_close(channel, message, seen)
        unused = open_channel()
        seen.add(unused)
        await within(unused.close(), "close() of a channel that was never used")
        if open_impatient is not None:
            await _timeout(open_impatient(), peer, replace(message, id="contract/5:0"), seen)
    seen.must_not_show(secret)


async def check_receipt(
    open_channel: Callable[[], Channel],
    peer: Peer,
    open_source: Callable[[], PushSource],
    receipt: Callable[[Outgoing, Sent], Incoming],
) -> Sequence[Mapping[str, Any]]:
    """What a service reports of a message that was sent through it comes back as a fact about that message.

    ``receipt`` makes the request that the service would make about it, signed as it signs. Answers the facts, of which
    at least one is of a type ``message.…`` and has the message's id in ``contact.message``.
    """
    channel, source = open_channel(), open_source()
    message = replace(MESSAGE, id="contract/6:0", to=peer.to)
    try:
        sent = await _sent(channel, message, "of a message with a receipt")
        said = await within(source.parse(receipt(message, sent)), "parse() of a receipt")
    finally:
        await within(channel.close(), "close()")
        await within(source.close(), "close() of the source")
    assert isinstance(said, Posted), f"a receipt is Posted, not {said!r}"
    about = [fact for fact in said.facts if fact.get("type") in REPORTED_TYPES]
    assert about, f"none of the facts of a receipt is of a type that tells what became of a message: {said.facts!r}"
    for fact in about:
        named: Any = fact.get("contact")
        id: Any = cast("Mapping[str, Any]", named).get("message") if isinstance(named, Mapping) else None
        assert id == message.id, f"contact.message of a receipt is the id of the message, {message.id}, not {id!r}"
    return said.facts


async def _sent(channel: Channel, message: Outgoing, when: str) -> Sent:
    answer = await within(channel.send(message), f"send() {when}")
    assert isinstance(answer, Sent), f"{when}: expected Sent, got {answer!r}"
    assert not answer.ambiguous, f"{when}: the peer confirmed, so the hand-off is not ambiguous"
    return answer


async def _same_id_twice(channel: Channel, peer: Peer, message: Outgoing, seen: Seen, keyed: bool) -> None:
    before = len(peer.keys())
    seen.add(await _sent(channel, message, "to a peer that accepts"))
    await _sent(channel, message, "of the same message again")
    await _sent(channel, replace(message, id="contract/other:0"), "of another message")
    first, second, other = peer.keys()[before:]
    if not keyed:
        return
    assert first == second, "the same message id twice must arrive with the same idempotency key"
    assert first != other, "another message id must arrive with another idempotency key"


async def _refusal_and_retry(channel: Channel, peer: Peer, message: Outgoing, seen: Seen) -> None:
    await peer.script("refuse")
    answer = await within(channel.send(message), "send() to a peer that refuses")
    assert isinstance(answer, Rejected), f"a refusal is Rejected, not {answer!r}"
    assert answer.code, "a refusal has a code"
    assert answer.message, "a refusal has a sentence"
    seen.add(answer)
    await peer.script("defer")
    try:
        answer = await within(channel.send(message), "send() to a peer that says later")
        raise AssertionError(f"'later' must raise RetryLater, not answer {answer!r}")
    except RetryLater as error:
        seen.add(error)
    await _sent(channel, message, "after a refusal and a 'later'")


async def _lost_answer(channel: Channel, peer: Peer, message: Outgoing, seen: Seen) -> None:
    await peer.script("drop")
    try:
        answer = await within(channel.send(message), "send() whose answer is lost")
        ambiguous = isinstance(answer, Sent) and answer.ambiguous
        assert ambiguous, f"a lost answer is AmbiguousHandOff or an ambiguous Sent, not {answer!r}"
    except AmbiguousHandOff as error:
        seen.add(error)
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


async def _parallel(channel: Channel, peer: Peer, message: Outgoing, keyed: bool) -> None:
    before = len(peer.keys())
    await asyncio.gather(*(_sent(channel, replace(message, id=f"contract/p{i}:0"), "in parallel") for i in range(12)))
    arrived = peer.keys()[before:]
    once = len(set(arrived)) == 12 or not keyed
    assert len(arrived) == 12, "messages sent in parallel must each arrive once"
    assert once, "messages sent in parallel must each arrive once"


async def _after_close(channel: Channel, message: Outgoing, seen: Seen) -> None:
    answer: object = None
    with suppress(Exception):
        try:
            answer = await within(channel.send(message), "send() after close()")
        except Exception as error:
            seen.add(error)
            raise
    assert not isinstance(answer, Sent), "a closed channel must not send"


async def _timeout(channel: Channel, peer: Peer, message: Outgoing, seen: Seen) -> None:
    await peer.script("stall")
    try:
        answer = await within(channel.send(message), "send() to a peer that never answers, with a short timeout,")
        assert isinstance(answer, Sent) and answer.ambiguous, f"no answer in time is ambiguous, not {answer!r}"  # noqa: PT018
    except AmbiguousHandOff as error:
        seen.add(error)
    except RetryLater as error:
        raise AssertionError(f"no answer in time is ambiguous, as the peer may have taken it: {error!r}") from None
    finally:
        await within(channel.close(), "close()")
