"""What callers may prove themselves with once: what came with it first, for as long as it counts as a proof."""

from __future__ import annotations

from overture.model.ids import digest
from overture.state import keys
from overture.state.wire import Wire


class Words:
    """Shared by all processes; of a word and of what came with it only digests are kept."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def bind(self, plugin: str, word: str, said: str, seconds: int) -> bool:
        """False where the word came with something else before. Raises StoreUnavailable."""
        key, told = keys.word(digest("word", plugin, word).hex()), digest("said", said)
        if await self._wire.call("SET", key, told, "NX", "EX", seconds):
            return True
        return await self._wire.call("GET", key) == told
