"""How fast messages leave by a channel: no faster than its rate, whichever processes deliver."""

from __future__ import annotations

from collections.abc import Mapping

from overture.model import clock
from overture.state.rates import Rates


class Pace:
    """``per_second``: messages by channel; one that is not there has no limit."""

    def __init__(self, rates: Rates, per_second: Mapping[str, float]) -> None:
        self._rates = rates
        self._per_second = per_second
        self._spread: dict[str, float] = {}  # channel → the latest instant (ms) that a message was put off to

    async def turn(self, channel: str) -> int:
        """0 where one may leave now, else when (ms) to ask again: for each that asks a little later, as in a queue."""
        rate = self._per_second.get(channel)
        if rate is None:
            return 0
        pause = await self._rates.take(channel, rate)
        if not pause:
            return 0
        # Read after the answer: who came back before there is a token would have to queue once more.
        now = clock.now()
        last = self._spread[channel] = max(now + pause, self._spread.get(channel, 0) + 1000 / rate)
        return round(last)
