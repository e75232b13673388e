"""The delivery loop: due in the outbox → gate → render → channel → record, for the partitions this process leases.

Each hand-off is on record before it is made (``sending``), so that a process that dies in it leaves an *ambiguous*
attempt, not a silent one. The record of its outcome and the fact that reports it are written in one fenced commit.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from itertools import takewhile

from overture.delivery.attempt import Attempt, Prepared, ended, put_off
from overture.delivery.due import Due
from overture.delivery.pace import Pace
from overture.model import Delivery, Fact, Fenced, OvertureError, StoreUnavailable, clock
from overture.model.reasons import sentence
from overture.state import outbox
from overture.state.lease import Lease, Leases
from overture.state.outbox import Outbox
from overture.state.wire import ReplyError

log = logging.getLogger("overture.delivery")

POLL = 0.1  # seconds between looks at the outbox when nobody says that there is something
UNRECORDED = 60.0  # seconds until a message is tried again whose failed attempt could not be recorded
IN_FLIGHT = 32  # contacts with a message under way on one channel: each is an ambiguity if this process is killed


class Deliverer:
    """Delivers for the partitions that this process leases in the role ``delivery``.

    Messages of one contact go one after another, those of different contacts side by side.
    """

    def __init__(self, leases: Leases, messages: Outbox, attempt: Attempt, pace: Pace) -> None:
        self._leases = leases
        self._outbox = messages
        self._due = Due(messages)
        self._attempt = attempt
        self._pace = pace
        self._wake = asyncio.Event()
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._on: Counter[str] = Counter()  # contacts with a message under way, by channel

    @property
    def healthy(self) -> bool:
        """Whether the leases could be renewed the last time."""
        return self._leases.healthy

    def wake(self) -> None:
        """Look into the outbox now: something was put there."""
        self._wake.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver until ``stop`` is set; then let the hand-offs under way end, and give the leases back."""
        keeper = asyncio.create_task(self._leases.keep())
        try:
            while not stop.is_set():
                await self._round()
                await self._doze(stop)
            if self._busy:
                await asyncio.wait(self._busy.values(), timeout=10)
        finally:
            keeper.cancel()
            for task in self._busy.values():
                task.cancel()
            await asyncio.wait([keeper, *self._busy.values()])
            try:
                await self._leases.give_back()
            except StoreUnavailable:
                log.warning("The leases could not be given back; they expire by themselves.")

    async def _doze(self, stop: asyncio.Event) -> None:
        waits = [asyncio.ensure_future(e.wait()) for e in (stop, self._wake)]
        await asyncio.wait(waits, timeout=POLL, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        self._wake.clear()

    async def _round(self) -> None:
        leases = list(self._leases.held.values())
        # What is read of a contact while one of its messages is under way may be out of date once it has been read.
        under_way = set(self._busy)
        full = frozenset(channel for channel, contacts in self._on.items() if contacts >= IN_FLIGHT)
        self._due.only(lease.partition for lease in leases)
        try:
            now = clock.now()
            found = await asyncio.gather(*(self._due.look(lease.partition, now, under_way, full) for lease in leases))
        except OvertureError as error:
            log.warning("The outbox cannot be read: %s", error)
            return
        for lease, deliveries in zip(leases, found, strict=True):
            by_contact: dict[str, list[Delivery]] = {}
            for delivery in deliveries:
                by_contact.setdefault(delivery.message.contact, []).append(delivery)
            for contact, items in by_contact.items():
                items.sort(key=lambda each: (each.due_at, each.message.order))
                channel = items[0].message.channel
                if self._on[channel] < IN_FLIGHT:
                    self._begin(lease, contact, channel, items)

    def _begin(self, lease: Lease, contact: str, channel: str, items: list[Delivery]) -> None:
        """Down to the first on another channel, which the next round finds: only now it is known what has room."""

        def ended(_: asyncio.Task[None]) -> None:
            self._busy.pop(contact, None)
            self._on[channel] -= 1

        task = self._busy[contact] = asyncio.create_task(
            self._deliver(lease, list(takewhile(lambda each: each.message.channel == channel, items)))
        )
        self._on[channel] += 1
        task.add_done_callback(ended)

    async def _deliver(self, lease: Lease, deliveries: list[Delivery]) -> None:
        try:
            for delivery in deliveries:
                await self._deliver_one(lease, delivery)
        except Fenced:
            log.info("Partition %d is delivered by another process now", lease.partition)
        except OvertureError as error:
            log.warning("Delivery goes on later: %s", error)
            await asyncio.sleep(POLL)
        except Exception:
            log.exception("What became of a message cannot be put on record")
            await asyncio.sleep(UNRECORDED)
        else:
            # What became due for this contact meanwhile should not wait for the next look.
            self._wake.set()

    async def _deliver_one(self, lease: Lease, delivery: Delivery) -> None:
        on_record = delivery
        try:
            if (prepared := await self._take_up(lease, delivery)) is not None:
                on_record = prepared.after
                after, outcome = await self._attempt.hand_over(prepared, clock.now)
                await self._record(lease, after, "sending", outcome)
        except (Fenced, StoreUnavailable, ReplyError):
            raise
        except Exception as error:  # it counts as an attempt: otherwise the next one would follow at once
            log.exception("Delivery of the message %s failed; it is tried again later", delivery.message.id)
            after, outcome = self._attempt.failed(on_record, error, clock.now())
            await self._record(lease, after, on_record.state, outcome)

    async def _take_up(self, lease: Lease, delivery: Delivery) -> Prepared | None:
        """The message, if it is to be handed over now: then that is on record."""
        prepared = await self._attempt.prepare(delivery, clock.now())
        if prepared.outgoing is None:
            await self._record(lease, prepared.after, delivery.state, prepared.outcome)
            return None
        if turn := await self._pace.turn(prepared.outgoing.channel):
            await self._record(lease, put_off(prepared.after, turn), delivery.state, None)
            return None
        taken_up = outbox.move(lease.partition, prepared.after, delivery.state)
        if not await self._leases.move(lease, delivery.message.id, delivery.message.contact, taken_up):
            await self._leave(lease, delivery)
            return None
        if not self._leases.stands(lease):  # this process was asleep: another may have sent it already
            raise Fenced(f"Partition {lease.partition}: the lease may have expired.")
        return prepared

    async def _leave(self, lease: Lease, delivery: Delivery) -> None:
        """Its contact is about to be erased. That waits for hand-offs under way; one of a process that is gone ends."""
        if delivery.state == "sending":
            gone = f"contact.unknown: {sentence('contact.unknown', contact=delivery.message.contact)}"
            after, outcome = ended(delivery, "dropped", gone, clock.now())
            await self._record(lease, after, "sending", outcome)
        await asyncio.sleep(POLL)

    async def _record(self, lease: Lease, after: Delivery, before: str, outcome: Fact | None) -> None:
        """Record what became of a hand-off, while the lease stands: a lost answer must not make a second mail."""
        tried = False
        contact = "" if before == "sending" else after.message.contact
        while True:
            try:
                if tried and await self._outbox.read(lease.partition, [after.message.id]) == [after]:
                    return
                tried = True
                moved = outbox.move(lease.partition, after, before, outcome)
                if not await self._leases.move(lease, after.message.id, contact, moved):
                    await asyncio.sleep(POLL)  # erased, or about to be
                return
            except StoreUnavailable:
                if lease.partition not in self._leases.held:
                    raise
                await asyncio.sleep(POLL)
