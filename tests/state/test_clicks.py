"""What is kept for an hour of a message that is opened and followed."""

from __future__ import annotations

from overture.model.ids import partition_of
from overture.state import keys
from overture.state.clicks import KEPT_MS, Clicks, Seen
from overture.state.wire import Wire


async def test_what_is_noted_of_a_message(store_url: str):
    wire = await Wire.connect(store_url)
    clicks = Clicks(wire, 4)
    try:
        assert await clicks.note("ada", "noted", "", 1_000) == Seen(1, [])
        assert await clicks.note("ada", "noted", "https://a.example", 2_000) == Seen(2, [])
        assert await clicks.note("ada", "noted", "https://b.example", 3_000) == Seen(3, [2_000])
        assert await clicks.note("ada", "noted", "https://b.example", 4_000) == Seen(4, [2_000])
        assert await clicks.note("ada", "other", "https://b.example", 4_000) == Seen(1, [])
        left = await wire.call("PTTL", keys.clicked(partition_of("ada", 4), "noted"))
        assert 0 < left <= KEPT_MS
    finally:
        await wire.close()
