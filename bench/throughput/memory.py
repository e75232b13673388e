"""Bytes in the store of one contact."""

from __future__ import annotations

from typing import Any

import aiohttp
from redis.asyncio import Redis

from bench.throughput.servers import KEY, Target, overture


async def lines() -> list[str]:
    """One line for a contact with 20 traits and one for a contact with 50 facts."""
    async with overture() as target:
        traits = {f"trait_{i}": f"value number {i}" for i in range(20)}
        await _post(target, [_fact("twenty-traits", "identify", traits)])
        views = [_fact("fifty-facts", "page_viewed", {"path": f"/pricing/{i}"}) for i in range(50)]
        await _post(target, views)
        await target.until_decided()
        async with Redis.from_url(target.store_url) as store:
            return [
                f"a contact with 20 traits: {await _bytes(store, 'twenty-traits')}",
                f"a contact with 50 facts: {await _bytes(store, 'fifty-facts')}",
            ]


def _fact(contact: str, kind: str, properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": kind, "contact": contact, "properties": properties}


async def _post(target: Target, facts: list[dict[str, Any]]) -> None:
    headers = {"Authorization": f"Bearer {KEY}"}
    async with (
        aiohttp.ClientSession(headers=headers) as http,
        http.post(f"http://127.0.0.1:{target.port}/v1/facts", json=facts) as response,
    ):
        answer = await response.json()
        if response.status != 200 or answer["accepted"] != len(facts):
            raise SystemExit(f"The facts were not accepted: {answer}")


async def _bytes(store: Redis, contact: str) -> str:
    """Memory of every key that belongs to the contact, and of the state alone."""
    parts: list[str] = []
    total = 0
    async for key in store.scan_iter(match=f"ov:*{contact}*"):
        memory = await store.memory_usage(key, samples=0) or 0
        total += memory
        listed = await store.type(key) == b"list"
        values = await store.lrange(key, 0, -1) if listed else [await store.get(key) or b""]
        parts.append(f"{key.decode()} {memory:,} B in memory, {sum(map(len, values)):,} B of values")
    return f"{total:,} B in memory ({'; '.join(sorted(parts))})"
