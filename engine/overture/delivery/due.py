"""What is due and can go, also behind thousands that cannot: one slow receiver, or channel, must not hide others."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from overture.model import Delivery
from overture.state.outbox import Outbox, Place

LOOK = 200  # messages looked at per partition at once
PAGES = 10  # looks further on per partition and round, until something is found
REST = 4  # times as long as it took is not looked further on: thousands that wait cost a fifth of the time at most


@dataclass(slots=True)
class Sweep:
    """From the head of what is due to its end, some pages at a time.

    ``passed``: whose messages it came by, on one channel or (``""``) on any. What stands behind them is left to the
    next sweep even if it could go by then: it must not overtake the one that could not.
    """

    place: Place | None = None
    passed: set[int] = field(default_factory=set[int])  # hashes: a million contacts may wait for one slow channel
    rests_until: float = 0.0

    def come_by(self, deliveries: Iterable[Delivery], full: frozenset[str]) -> list[Delivery]:
        """Those of them of which none of the same contact was passed before. They are from now on."""
        new: list[Delivery] = []
        for delivery in deliveries:
            contact, channel = delivery.message.contact, delivery.message.channel
            if self.passed.isdisjoint((hash((contact, "")), hash((contact, channel)))):
                new.append(delivery)
        # A channel without room keeps nobody's messages on other channels waiting.
        for each in new:
            channel = each.message.channel
            self.passed.add(hash((each.message.contact, channel if channel in full else "")))
        return new


class Due:
    """Looks at the head of each partition's outbox every time, and further on as often as that is worth it."""

    def __init__(self, messages: Outbox) -> None:
        self._outbox = messages
        self._sweeps: dict[int, Sweep] = {}

    def only(self, held: Iterable[int]) -> None:
        """Forget the partitions that are not among these."""
        for p in self._sweeps.keys() - set(held):
            del self._sweeps[p]

    async def look(self, p: int, now: int, busy: set[str], full: frozenset[str]) -> list[Delivery]:
        """What is due (some of it) for contacts that are not ``busy``, on channels that are not ``full``."""

        def able(deliveries: list[Delivery]) -> list[Delivery]:
            return [d for d in deliveries if d.message.contact not in busy and d.message.channel not in full]

        head, behind = await self._outbox.due(p, now, LOOK)
        found = able(head)
        if behind is None:
            self._sweeps.pop(p, None)
            return found
        sweep = self._sweeps.setdefault(p, Sweep())
        if sweep.place is None:
            sweep.place = behind
            sweep.passed.clear()
        sweep.come_by(head, full)
        began = time.monotonic()
        if began < sweep.rests_until:
            return found
        further: list[Delivery] = []
        for _ in range(PAGES):
            deliveries, sweep.place = await self._outbox.due(p, now, LOOK, sweep.place)
            further = able(sweep.come_by(deliveries, full))
            if further or sweep.place is None:
                break
        if found or not further:
            ended = time.monotonic()
            sweep.rests_until = ended + REST * (ended - began)
        return found + further
