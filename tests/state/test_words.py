"""What came with a word that proves who calls, once: whichever process asks, and no longer than it is a proof."""

from __future__ import annotations

from overture.model.ids import digest
from overture.state import keys
from overture.state.wire import Wire
from overture.state.words import Words


async def test_a_word_is_good_for_what_it_first_came_with(store_url: str):
    wire, another = await Wire.connect(store_url), await Wire.connect(store_url)
    try:
        assert await Words(wire).bind("post", "token", "one", 60)
        assert await Words(another).bind("post", "token", "one", 60)
        assert not await Words(another).bind("post", "token", "two", 60)
        assert await Words(another).bind("post", "other", "two", 60)
        assert await Words(another).bind("parcel", "token", "two", 60)
        key = keys.word(digest("word", "post", "token").hex())
        assert 0 < await wire.call("PTTL", key) <= 60_000
        assert b"one" not in await wire.call("GET", key)
    finally:
        await wire.close()
        await another.close()
