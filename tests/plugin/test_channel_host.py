from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from pydantic import BaseModel

from overture.model import Contact, PluginFailed
from overture.plugin import (
    AmbiguousHandOff,
    ChannelPlugin,
    Handed,
    HostedChannel,
    Limits,
    Outgoing,
    Rejected,
    RetryLater,
    Sent,
)

MESSAGE = Outgoing(id="m", channel="odd", to="x", purpose="marketing", contact="ada", created_at=0)
QUICK = Limits(timeout=0.05, parallel=2, failures=3, pause=0.3)
Behaviour = Callable[[Outgoing], Awaitable[Any]]


class Config(BaseModel):
    pass


class Odd:
    """A channel that behaves as it is told."""

    def __init__(self, behave: Behaviour) -> None:
        self.behave = behave
        self.calls = 0

    async def send(self, message: Outgoing) -> Any:
        self.calls += 1
        return await self.behave(message)

    async def check(self) -> None:
        await self.behave(MESSAGE)

    async def close(self) -> None:
        await self.behave(MESSAGE)


def hosted(
    behave: Behaviour, limits: Limits = QUICK, address_of: Callable[[Contact], Any] = lambda contact: None
) -> tuple[HostedChannel, Odd]:
    channel = Odd(behave)
    plugin = ChannelPlugin(name="odd", config=Config, open=lambda config: channel, address_of=address_of)
    return HostedChannel(plugin, channel, limits), channel


def answering(value: Any) -> Behaviour:
    async def behave(message: Outgoing) -> Any:
        return value

    return behave


def raising(error: BaseException) -> Behaviour:
    async def behave(message: Outgoing) -> Any:
        raise error

    return behave


async def hang(message: Outgoing) -> Any:
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("behave", "expected"),
    [
        (answering(Sent("p1")), Handed("sent", provider_id="p1")),
        (answering(Sent("p1", ambiguous=True)), Handed("sent", provider_id="p1", ambiguous=True)),
        (answering(Rejected("x.no", "No.", True)), Handed("rejected", "x.no", "No.", permanent=True)),
        (raising(RetryLater(7, "x.later", "Later.")), Handed("retry", "x.later", "Later.", retry_after=7.0)),
        (raising(RetryLater(float("nan"), "x.later", "Later.")), Handed("retry", "x.later", "Later.")),
        (raising(RetryLater(-5, "x.later", "Later.")), Handed("retry", "x.later", "Later.", retry_after=0.0)),
        (raising(RetryLater(1e12, "x.later", "Later.")), Handed("retry", "x.later", "Later.", retry_after=86400.0)),
        (raising(AmbiguousHandOff("Lost.")), Handed("retry", "channel.ambiguous", "Lost.", ambiguous=True)),
    ],
)
async def test_what_a_good_channel_says(behave: Behaviour, expected: Handed):
    channel, _ = hosted(behave)
    assert await channel.send(MESSAGE) == expected
    assert channel.breaker.state == "closed"


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError


class Text:
    """No text, and nothing that anyone should ask to be one."""

    def __init__(self, act: Callable[[], Any]) -> None:
        self.act = act

    def __str__(self) -> str:
        return self.act()


def ends() -> Any:
    raise SystemExit(3)


def sleeps() -> Any:
    time.sleep(600)


class Sleepy(Exception):
    def __str__(self) -> str:
        return sleeps()


class SleepyLater(RetryLater):
    @property
    def after_seconds(self) -> float:  # type: ignore[override]
        return sleeps()

    @after_seconds.setter
    def after_seconds(self, value: float | None) -> None:
        pass


HALF = "\ud800"


@pytest.mark.parametrize(
    ("behave", "expected"),
    [
        (answering(Sent(f"a{HALF}b")), Handed("sent", provider_id="a?b")),
        (answering(Sent(10**5000)), Handed("sent")),  # pyright: ignore[reportArgumentType]
        (answering(Rejected(f"x.{HALF}", f"No {HALF}.")), Handed("rejected", "x.?", "No ?.")),
        (raising(RetryLater(None, f"x.{HALF}", HALF)), Handed("retry", "x.?", "?")),
        (raising(AmbiguousHandOff(HALF)), Handed("retry", "channel.ambiguous", "?", ambiguous=True)),
        (raising(OSError(HALF)), Handed("retry", "channel.raised", "The channel odd raised OSError: ?")),
    ],
)
async def test_half_of_a_character_becomes_a_question_mark(behave: Behaviour, expected: Handed):
    channel, _ = hosted(behave)
    assert await channel.send(MESSAGE) == expected


@pytest.mark.parametrize("act", [ends, sleeps])
async def test_what_was_sent_is_sent_and_an_id_that_is_none_is_left_out(act: Callable[[], Any]):
    channel, _ = hosted(answering(Sent(Text(act))))  # type: ignore[arg-type]
    assert await channel.send(MESSAGE) == Handed("sent")
    assert channel.breaker.state == "closed"


@pytest.mark.parametrize(
    ("behave", "reason"),
    [
        (answering(Rejected("x.no", Text(ends))), "channel.wrong_type"),  # type: ignore[arg-type]
        (answering(Rejected("x.no", Text(sleeps))), "channel.wrong_type"),  # type: ignore[arg-type]
        (raising(RetryLater(1, "x.later", Text(sleeps))), "channel.wrong_type"),  # type: ignore[arg-type]
        (raising(Sleepy()), "plugin.blocked"),
        (raising(SleepyLater()), "plugin.blocked"),
    ],
)
async def test_what_it_answers_is_no_way_around_the_limits(behave: Behaviour, reason: str):
    channel, _ = hosted(behave)
    handed = await channel.send(MESSAGE)
    assert (handed.state, handed.reason) == ("retry", reason)
    assert channel.breaker.failures == 1
    assert (channel.state == "open") == (reason == "plugin.blocked")


async def test_the_text_of_a_failed_check_is_bounded_too():
    channel, _ = hosted(raising(Sleepy()))
    with pytest.raises(PluginFailed, match="check_failed"):
        await channel.check()
    assert channel.state == "open"


@pytest.mark.parametrize(
    ("behave", "reason", "ambiguous"),
    [
        (raising(GeneratorExit()), "channel.raised", False),
        (raising(ValueError("line\nbreak")), "channel.raised", False),
        (raising(Unprintable()), "channel.raised", False),
        (raising(SystemExit(1)), "channel.raised", False),
        (raising(KeyboardInterrupt()), "channel.raised", False),
        (raising(asyncio.CancelledError()), "channel.raised", True),
        (raising(BaseExceptionGroup("g", [SystemExit(1)])), "channel.raised", False),
        (hang, "channel.timeout", True),
        (answering(None), "channel.wrong_type", True),
        (answering("sent"), "channel.wrong_type", True),
        (answering(Sent), "channel.wrong_type", True),
    ],
)
async def test_what_goes_wrong_becomes_a_value(behave: Behaviour, reason: str, ambiguous: bool):
    channel, _ = hosted(behave)
    handed = await channel.send(MESSAGE)
    assert (handed.state, handed.reason, handed.ambiguous, handed.attempted) == ("retry", reason, ambiguous, True)
    assert "odd" in handed.message
    assert "\n" not in handed.message


async def test_a_channel_that_is_not_asynchronous_at_all():
    def wrong(*_: object) -> Sent:
        return Sent()

    def broken(*_: object) -> Sent:
        raise OSError("early")

    for method in (wrong, broken):
        channel, odd = hosted(hang)
        odd.send = method  # type: ignore[assignment, method-assign]
        handed = await channel.send(MESSAGE)
        assert (handed.state, handed.reason) == ("retry", "channel.raised")


async def test_the_breaker_opens_and_lets_one_try_through():
    channel, odd = hosted(raising(OSError("down")))
    for _ in range(3):
        assert (await channel.send(MESSAGE)).reason == "channel.raised"
    assert channel.breaker.state == "open"
    handed = await channel.send(MESSAGE)
    assert (handed.reason, handed.attempted, odd.calls) == ("channel.breaker_open", False, 3)
    assert handed.retry_after is not None
    assert 0 < handed.retry_after <= QUICK.pause

    await asyncio.sleep(QUICK.pause)
    assert channel.breaker.state == "half-open"
    assert (await channel.send(MESSAGE)).reason == "channel.raised"
    assert channel.breaker.state == "open"

    await asyncio.sleep(QUICK.pause)
    odd.behave = answering(Sent())
    assert (await channel.send(MESSAGE)).state == "sent"
    assert channel.breaker.state == "closed"


async def test_half_open_is_one_call_at_a_time():
    channel, odd = hosted(raising(OSError("down")), Limits(timeout=5, parallel=8, failures=1, pause=0.05))
    await channel.send(MESSAGE)
    await asyncio.sleep(0.06)
    go = asyncio.Event()

    async def wait(message: Outgoing) -> Sent:
        await go.wait()
        return Sent()

    odd.behave = wait
    first = asyncio.create_task(channel.send(MESSAGE))
    await asyncio.sleep(0)
    others = await asyncio.gather(*(channel.send(MESSAGE) for _ in range(5)))
    assert {other.reason for other in others} == {"channel.breaker_open"}
    go.set()
    assert (await first).state == "sent"
    assert channel.breaker.state == "closed"


async def test_a_cancelled_trial_does_not_lock_the_breaker():
    channel, odd = hosted(raising(OSError("down")), Limits(timeout=5, parallel=1, failures=1, pause=0.05))
    await channel.send(MESSAGE)
    await asyncio.sleep(0.06)
    odd.behave = hang
    trial = asyncio.create_task(channel.send(MESSAGE))
    await asyncio.sleep(0.01)
    trial.cancel()
    with pytest.raises(asyncio.CancelledError):
        await trial
    odd.behave = answering(Sent())
    assert (await channel.send(MESSAGE)).state == "sent"


async def test_refusals_and_later_do_not_open_the_breaker():
    for behave in (answering(Rejected("x.no", "No.")), raising(RetryLater())):
        channel, odd = hosted(behave)
        for _ in range(QUICK.failures + 2):
            await channel.send(MESSAGE)
        assert (channel.breaker.state, odd.calls) == ("closed", QUICK.failures + 2)


async def test_hung_calls_that_ignore_cancellation_hold_their_slots_and_no_more():
    release = asyncio.Event()

    async def stubborn(message: Outgoing) -> Sent:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        return Sent()

    channel, odd = hosted(stubborn, Limits(timeout=0.05, parallel=2, failures=99, pause=1))
    handed = await asyncio.gather(*(channel.send(MESSAGE) for _ in range(6)))
    assert odd.calls == 2
    assert sorted(each.reason for each in handed) == ["channel.busy"] * 4 + ["channel.timeout"] * 2
    assert {each.attempted for each in handed if each.reason == "channel.busy"} == {False}
    release.set()
    assert (await channel.send(MESSAGE)).state == "sent"


async def test_cancelling_the_host_cancels_the_channel():
    seen: list[str] = []
    started = asyncio.Event()

    async def wait(message: Outgoing) -> Any:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    channel, _ = hosted(wait, Limits(timeout=30))
    task = asyncio.create_task(channel.send(MESSAGE))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0)
    assert seen == ["cancelled"]
    assert channel.breaker.state == "closed"


@pytest.mark.parametrize("behave", [raising(OSError("down")), hang, raising(SystemExit(1))])
async def test_check_and_close_are_bounded(behave: Behaviour):
    channel, _ = hosted(behave)
    with pytest.raises(PluginFailed) as caught:
        await channel.check()
    assert caught.value.code == "plugin.check_failed"
    await channel.close()


def test_addresses():
    def broken(contact: Contact) -> str:
        raise KeyError("email")

    assert hosted(hang, address_of=lambda contact: contact.id)[0].address_of(Contact("ada")) == "ada"
    assert hosted(hang, address_of=lambda contact: "")[0].address_of(Contact("ada")) is None

    def ends(contact: Contact) -> str:
        raise SystemExit(2)

    def asleep(contact: Contact) -> str:
        raise Sleepy

    for address_of in (broken, ends, lambda contact: 7, lambda contact: HALF, asleep):
        with pytest.raises(PluginFailed, match="address_of"):
            hosted(hang, address_of=address_of)[0].address_of(Contact("ada"))


async def test_whether_it_is_left_alone_can_be_known_without_calling_it():
    channel, odd = hosted(raising(OSError("down")))
    assert channel.left_alone() is None
    for _ in range(3):
        await channel.send(MESSAGE)
    handed = channel.left_alone()
    assert handed is not None
    assert (handed.reason, handed.attempted, odd.calls) == ("channel.breaker_open", False, 3)
    assert handed.retry_after is not None
    assert 0 < handed.retry_after <= QUICK.pause
    await asyncio.sleep(QUICK.pause)
    assert channel.left_alone() is None, "one may try"
    assert (await channel.send(MESSAGE)).reason == "channel.raised", "to ask did not take the try"


async def test_one_whose_calls_never_end_is_left_alone_too():
    channel, _ = hosted(hang, Limits(timeout=0.3, parallel=1, queue=0.05))
    first = asyncio.create_task(channel.send(MESSAGE))
    await asyncio.sleep(0)
    assert channel.left_alone() is None, "it may end in a moment"
    await asyncio.sleep(0.1)
    handed = channel.left_alone()
    assert handed is not None
    assert (handed.reason, handed.attempted, channel.state) == ("channel.busy", False, "closed")
    await first


async def test_only_what_does_not_end_when_its_time_is_over_is_stuck():
    release = asyncio.Event()

    async def stubborn(message: Outgoing) -> Sent:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        return Sent()

    channel, _ = hosted(stubborn, Limits(timeout=0.2, parallel=1, queue=0.05))
    sending = asyncio.create_task(channel.send(MESSAGE))
    await asyncio.sleep(0.1)
    assert channel.state == "closed", "it is slow, no more"
    await sending
    await asyncio.sleep(0.05)
    assert channel.state == "stuck"
    release.set()
    await asyncio.sleep(0.01)
    assert channel.state == "closed"


async def test_an_address_of_that_blocks_is_seen_as_what_was_wrong_and_has_little_time_then():
    def forever(contact: Contact) -> str:
        while True:
            pass

    channel, _ = hosted(answering(Sent()), address_of=forever)
    with pytest.raises(PluginFailed, match="kept the process to itself for 250 ms"):
        channel.address_of(Contact("ada"))
    assert (channel.state, channel.breaker.failures) == ("open", 1)
    assert "address_of was interrupted" in channel.breaker.last
    handed = channel.left_alone()
    assert handed is not None
    assert "kept the whole process waiting" in handed.message
