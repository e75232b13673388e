"""Contacts are woken when something of theirs is due, with no fact from outside."""

from __future__ import annotations

from pathlib import Path

from workerkit import Bed

from overture.model import Fact
from overture.state.log import Entry


async def test_a_tick_when_nothing_is_due_leaves_no_trace(store_url: str, tmp_path: Path) -> None:
    async with Bed(store_url, tmp_path) as bed:
        await bed.join()
        await bed.feed("u1")
        await bed.log.append([Entry(Fact("tick:5", "$tick", contact, 5, 5)) for contact in ("u1", "stranger")])
        await bed.feed("u1")
        await bed.check()
        assert [m.fact.id for m in await bed.moments("u1")] == ["f00000", "f00001"]
        assert await bed.contacts.get("stranger") is None
