"""How many messages a second leave by a channel, counted in the store for all processes together."""

from __future__ import annotations

from overture.model import clock
from overture.state import keys, scripts
from overture.state.wire import Wire


class Rates:
    """A bucket of tokens for each channel, that fills at its rate and holds a second's worth, at least one."""

    def __init__(self, wire: Wire) -> None:
        self._take = wire.script(scripts.TAKE)

    async def take(self, channel: str, per_second: float) -> int:
        """Take a token: 0, or the time (ms) until there may be one."""
        bucket = repr(1000 / per_second), max(1, int(per_second)), clock.ahead()
        return int(await self._take.call([keys.rate(channel)], bucket))
