"""How the clock of a server is asked for and put ahead over HTTP."""

from __future__ import annotations

import pytest
from aiohttp import ClientSession
from webkit import Memory


async def test_an_advance_is_read_and_answered(admin: ClientSession, memory: Memory) -> None:
    async with admin.post("/v1/clock", json={"advance": "3d"}) as answer:
        assert (answer.status, (await answer.json())["ahead_ms"]) == (200, 3 * 86_400_000)
    async with admin.post("/v1/clock", json={"advance": "90s", "jump": True}) as answer:
        assert (answer.status, (await answer.json())["to"]) == (202, "2026-03-30T10:00:00.000Z")
    assert memory.calls == [{"ms": 3 * 86_400_000, "jump": False}, {"ms": 90_000, "jump": True}]


@pytest.mark.parametrize(
    "body",
    ["", "3d", "{}", '{"advance": 3}', '{"advance": "3"}', '{"advance": "-3d"}', '{"advance": "3.5d"}',
     '{"advance": "0d"}', '{"advance": "3d", "to": "x"}', '{"advance": "3d", "jump": 1}', '{"advance": "1234567s"}',
     "[]", "null"],
)  # fmt: skip
async def test_what_is_no_advance(admin: ClientSession, memory: Memory, body: str) -> None:
    async with admin.post("/v1/clock", data=body) as answer:
        told = await answer.json()
    assert (answer.status, told["code"], told["pointer"]) == (400, "clock.malformed", "/advance")
    assert memory.calls == []
