"""Facts that sources brought and that were refused: the last ones, with the reason, for who looks after the source."""

from __future__ import annotations

from typing import Any

import msgspec

from overture.state import keys
from overture.state.wire import Wire

KEPT = 1_000
SHOWN = 2_048  # bytes of a fact


class Refusal(msgspec.Struct, frozen=True, array_like=True):
    """``at`` in ms; ``pointer`` is the place in the fact; ``fact`` as JSON, or the beginning of it."""

    at: int
    source: str
    code: str
    message: str
    pointer: str
    fact: str


_one = msgspec.msgpack.Decoder(Refusal).decode
_json = msgspec.json.Encoder(enc_hook=str).encode


class Refusals:
    """Written and read from any process."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def record(self, refusals: list[Refusal]) -> None:
        """Keep these, the newest last; of all, `KEPT` are."""
        if not refusals:
            return
        packed = [msgspec.msgpack.encode(each) for each in refusals[-KEPT:]]
        await self._wire.call("LPUSH", keys.REFUSED, *packed)
        await self._wire.call("LTRIM", keys.REFUSED, 0, KEPT - 1)

    async def last(self, limit: int) -> list[Refusal]:
        """Newest first."""
        return [_one(blob) for blob in await self._wire.call("LRANGE", keys.REFUSED, 0, limit - 1)]


def shown(fact: Any, key: str = "") -> str:
    """A fact as it was brought, as far as it is kept; without the ``key`` that it came with."""
    try:
        text = _json(fact)
    except (TypeError, ValueError, OverflowError, RecursionError):  # which may be why it was refused
        text = repr(fact).encode("utf-8", "replace") if not isinstance(fact, dict | list) else b""
    if key:
        text = text.replace(key.encode("utf-8", "replace"), b"...")
    return text[:SHOWN].decode("utf-8", "ignore")
