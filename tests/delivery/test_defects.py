"""A hand-off that fails for a reason that nobody thought of: it counts, and the next one is not made at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec
import pytest

from overture.delivery.attempt import Attempt, Prepared
from overture.delivery.backoff import Backoff
from overture.delivery.loop import Deliverer
from overture.delivery.pace import Pace
from overture.model import Delivery, Fact, Message, Refused, clock
from overture.plugin import Outgoing
from overture.state import outbox
from overture.state.lease import Leases
from overture.state.outbox import Outbox
from overture.state.rates import Rates
from overture.state.wire import Wire


class Defective(Attempt):
    """Where it does not fail before, it hands over, and then tells what cannot be kept."""

    def __init__(self, fails_before: Exception | None) -> None:
        self.backoff = Backoff()
        self.fails_before = fails_before
        self.made = 0

    async def prepare(self, delivery: Delivery, now: int) -> Prepared:
        if self.fails_before is not None:
            self.made += 1
            raise self.fails_before
        after = msgspec.structs.replace(delivery, state="sending", attempts=delivery.attempts + 1)
        return Prepared(after, Outgoing(id="m", channel="odd", to="x", purpose="p", contact="ada", created_at=0))

    async def hand_over(self, prepared: Prepared, now: Callable[[], int]) -> tuple[Delivery, Fact | None]:
        self.made += 1
        return msgspec.structs.replace(prepared.after, state="sent", provider_id="\ud800"), None


@pytest.mark.parametrize(
    ("fails_before", "ambiguous", "reason"),
    [
        (LookupError("no \ud800"), 0, "delivery.failed: LookupError: no ?"),
        (Refused("ruleset.invalid", "No such scorer."), 0, "delivery.failed: Refused: No such scorer."),
        (None, 1, "delivery.failed: UnicodeEncodeError: "),
    ],
    ids=["a mistake", "what is known", "its record"],
)
async def test_it_waits_as_after_any_failure(
    store_url: str, fails_before: Exception | None, ambiguous: int, reason: str
) -> None:
    wire = await Wire.connect(store_url)
    try:
        now = clock.now()
        message = Message("m", "ada", "odd", "t", "p", "x", "r", "1", "r/x", "f", now)
        await asyncio.gather(*(wire.call(*command) for command in outbox.enqueue(0, [message], now)))
        attempt, messages, stop = Defective(fails_before), Outbox(wire, 1), asyncio.Event()
        leases = Leases(wire, "delivery", "here", 1, 3.0)
        await leases.refresh()
        running = asyncio.create_task(Deliverer(leases, messages, attempt, Pace(Rates(wire), {})).run(stop))
        async with asyncio.timeout(30):
            while (found := await messages.find("ada", "m")) is None or found.state != "retrying":
                await asyncio.sleep(0.05)
        stop.set()
        await running
        assert (attempt.made, found.attempts, found.ambiguous) == (1, 1, ambiguous)
        assert found.reason.startswith(reason)
        assert found.due_at - now >= 3_500
    finally:
        await wire.close()
