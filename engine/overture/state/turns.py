"""Who runs a source that fetches: one process of all, as long as it says so in time; and the place that was reached."""

from __future__ import annotations

from overture.state import keys, scripts
from overture.state.wire import Wire

HOLD_MS = 10_000  # a turn that is not renewed for so long is anybody's


class Turns:
    """Turns of one process; ``owner`` is a name that no other has."""

    def __init__(self, wire: Wire, owner: str) -> None:
        self._wire = wire
        self._owner = owner
        self._hold = wire.script(scripts.HOLD)
        self._give = wire.script(scripts.GIVE)
        self._reach = wire.script(scripts.REACH)

    async def hold(self, source: str) -> bool:
        """Take the turn, or keep it; False while another process has it. To be called well within `HOLD_MS`."""
        return bool(await self._hold.call([keys.turn(source)], [self._owner, HOLD_MS]))

    async def give(self, source: str) -> None:
        """Let another process go on at once."""
        await self._give.call([keys.turn(source)], [self._owner])

    async def place(self, source: str) -> str:
        """The place reached so far; empty at first."""
        blob = await self._wire.call("HGET", keys.PLACES, source)
        return blob.decode() if blob else ""

    async def reach(self, source: str, place: str) -> bool:
        """Note the place, if it is this process's turn; False otherwise."""
        return bool(await self._reach.call([keys.turn(source), keys.PLACES], [self._owner, source, place]))
