"""Erasures under way as an earlier version kept them."""

from __future__ import annotations

import msgspec

from overture.state import keys
from overture.state.erasures import Erasures
from overture.state.wire import Wire


async def test_one_that_was_asked_for_before_the_upgrade_goes_on(store_url: str) -> None:
    wire = await Wire.connect(store_url)
    try:
        kept = ("er-1", "subject", "admin", 1, "leaving", ["ada"], ["ada@example.com"], {}, 0)
        await wire.call("HSET", keys.ERASING, "ada", msgspec.msgpack.encode(kept))
        erasures = Erasures(wire)
        before = (await erasures.under_way())["ada"]
        assert await erasures.go_on("ada", before, msgspec.structs.replace(before, stage="erasing", again=1))
        before = (await erasures.under_way())["ada"]
        assert (before.stage, before.again) == ("erasing", 1)
        assert await erasures.go_on("ada", before, msgspec.structs.replace(before, stage="record"))
    finally:
        await wire.close()
