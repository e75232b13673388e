"""What a process left in the store before the clock of its machine was put back a day, and who comes after it."""

from __future__ import annotations

import time

import pytest
import redis

from overture.state import keys
from overture.state.lease import Leases
from overture.state.rates import Rates
from overture.state.wire import Wire

DAY = 86_400_000
PARTITIONS = 4


@pytest.mark.parametrize(("ahead", "waits"), [(DAY, False), (2_000, True)])
async def test_leases_of_a_process_that_vanished_are_taken_over(store_url: str, ahead: int, waits: bool) -> None:
    with redis.Redis.from_url(store_url) as store:
        then = time.time_ns() // 1_000_000 + ahead
        store.zadd(keys.heartbeats("worker"), {"gone": then})
        for p in range(PARTITIONS):
            store.hset(keys.owner(p, "worker"), mapping={"worker": "gone", "until": then, "epoch": 7})
    wire = await Wire.connect(store_url)
    try:
        leases = Leases(wire, "worker", "new", PARTITIONS, 3.0)
        new, _ = await leases.refresh()
        taken = {lease.partition: (lease.epoch, lease.taken_over) for lease in new}
        assert taken == ({} if waits else dict.fromkeys(range(PARTITIONS), (8, True)))
    finally:
        await wire.close()


async def test_messages_that_left_then_hold_up_nobody_now(store_url: str) -> None:
    with redis.Redis.from_url(store_url) as store:
        store.set(keys.rate("email"), time.time_ns() // 1_000_000 + DAY)
    wire = await Wire.connect(store_url)
    try:
        rates = Rates(wire)
        assert await rates.take("email", 1.0) == 0
        assert 0 < await rates.take("email", 1.0) <= 1000
    finally:
        await wire.close()
