"""A channel's rate: even, but whoever comes when it was told to is not sent away."""

from __future__ import annotations

import time

import redis

from overture.state import keys
from overture.state.rates import Rates
from overture.state.wire import Wire

RATE = 0.01  # a second


async def test_who_comes_in_its_turn_goes_though_the_one_before_was_late(store_url: str) -> None:
    wire = await Wire.connect(store_url)
    try:
        rates = Rates(wire)
        assert await rates.take("email", RATE) == 0
        with redis.Redis.from_url(store_url) as store:
            # The one before left 0.3 s late, so that the next is due in 0.3 s only.
            store.set(keys.rate("email"), time.time_ns() // 1_000_000 + 300)
            assert await rates.take("email", RATE) == 0
            assert 99_000 < await rates.take("email", RATE) <= 100_300, "and the even pace is kept"
            store.set(keys.rate("email"), time.time_ns() // 1_000_000 + 3_000)
            assert 2_000 < await rates.take("email", RATE) <= 3_000
    finally:
        await wire.close()
