"""What else in the store names contacts: samples of what rules decided, and facts of sources that were refused."""

from __future__ import annotations

import json
from collections.abc import Collection

import msgspec

from overture.model.ids import partition_of
from overture.state import keys
from overture.state.refusals import Refusal
from overture.state.samples import Sample
from overture.state.wire import Wire

_LOOKED_AT = 1_000  # keys of the store at once
_sample = msgspec.msgpack.Decoder(Sample).decode
_refusal = msgspec.msgpack.Decoder(Refusal).decode


async def forget(wire: Wire, partitions: int, names: Collection[str], words: Collection[str]) -> int:
    """Take out the samples of contacts, and refusals in which one of ``words`` stands; answers how many of these.

    Raises StoreUnavailable.
    """
    for p in {partition_of(name, partitions) for name in names}:
        cursor = b"0"
        while True:
            cursor, found = await wire.call("SCAN", cursor, "MATCH", f"ov:{{{p}}}:rs:*", "COUNT", _LOOKED_AT)
            for key in found:
                for blob in await wire.call("LRANGE", key, 0, -1):
                    if _sample(blob).contact in names:
                        await wire.call("LREM", key, 0, blob)
            if cursor == b"0":
                break
    told = _told(words)
    refused = [blob for blob in await wire.call("LRANGE", keys.REFUSED, 0, -1) if _is_about(_refusal(blob), told)]
    for blob in refused:
        await wire.call("LREM", keys.REFUSED, 0, blob)
    return len(refused)


def _told(words: Collection[str]) -> list[str]:
    """As whole texts of JSON, written either way; what has an @ anywhere."""
    quoted = [json.dumps(word, ensure_ascii=ascii) for word in words for ascii in (True, False)]
    return [text.lower() for text in {*quoted, *(word for word in words if "@" in word)}]


def _is_about(refusal: Refusal, told: list[str]) -> bool:
    text = f"{refusal.fact}\n{refusal.message}\n{refusal.pointer}".lower()
    return any(each in text for each in told)
