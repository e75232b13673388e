"""The source `hubspot` against a CRM in a process of its own, held to the contract of sources that fetch."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from crmkit import TOKEN, Crm, account, crm

from overture.testing import RecordingEmit, check_facts, check_fetching
from overture_sources.hubspot import Hubspot, HubspotConfig


@pytest.fixture
def peer() -> Iterator[Crm]:
    with crm() as made:
        yield made


def opened(peer: Crm, **more: object) -> Hubspot:
    return Hubspot(HubspotConfig.model_validate(account(peer, every=0.1, **more)))


class Growing:
    """The CRM as a feed: people save new contacts."""

    def __init__(self, peer: Crm) -> None:
        self.peer = peer
        self.rows = 0

    async def grow(self, rows: int) -> None:
        for _ in range(rows):
            self.rows += 1
            await asyncio.sleep(0.002)  # in a millisecond of its own
            await asyncio.to_thread(self.peer.edit, f"g{self.rows}@example.org", firstname="G")

    def acknowledged(self) -> int:
        return 0


async def test_the_contract(peer: Crm) -> None:
    await check_fetching(lambda: opened(peer, lag=0), Growing(peer), secret=TOKEN)


async def until(source: Hubspot, emit: RecordingEmit, facts: int) -> None:
    running = asyncio.ensure_future(source.run(emit))
    await asyncio.wait_for(emit.wait_for(facts), 20)
    running.cancel()
    await asyncio.wait({running})
    await source.close()


async def test_more_than_a_page_of_one_millisecond_and_what_is_read_again(peer: Crm) -> None:
    peer.edits([{"properties": {"email": f"p{n}@example.org", "firstname": "F"}} for n in range(230)])
    peer.edit("last@example.org", firstname="L")
    emit = RecordingEmit()
    await until(opened(peer), emit, 231)
    assert len(emit.ids) == 231
    again = RecordingEmit(emit.place)
    peer.edit("p7@example.org", firstname="Changed")
    await until(opened(peer), again, 231)
    (fact, *_) = [fact for each in again.emitted for fact in each.facts if fact["properties"]["firstname"] == "Changed"]
    assert fact["contact"]["email"] == "p7@example.org"
    assert len(set(again.ids) - set(emit.ids)) == 1


async def test_the_facts(peer: Crm) -> None:
    id = peer.edit("ada@example.org", firstname="Ada", vip="true", phone="1", note="other", lead_score="3")
    peer.edit("odd@example.org", vip="perhaps", jobtitle="Cook")
    emit = RecordingEmit()
    await until(opened(peer), emit, 2)
    facts = [fact for each in emit.emitted for fact in each.facts]
    check_facts(facts)
    ada = next(fact for fact in facts if fact["contact"]["email"] == "ada@example.org")
    at = ada["properties"].pop("crm_phone_at")
    assert ada["properties"] == {"firstname": "Ada", "vip": True, "crm_phone": "1"}
    assert (ada["id"], ada["type"]) == (f"hubspot:{id}:{at}", "identify")
    assert ada["contact"]["external"] == {"hubspot": str(id)}
    (refused,) = [told for each in emit.emitted for told in each.refused]
    assert (refused.code, refused.message) == ("source.entry", "The property vip is not of type bool.")


async def test_a_search_that_is_behind_and_requests_that_are_too_many(peer: Crm) -> None:
    peer.behave(delay=1.0, throttle=["0", "0", "0"])
    peer.edit("ada@example.org", phone="1")
    emit = RecordingEmit()
    await until(opened(peer, lag=5), emit, 1)
    assert [fact["properties"]["crm_phone"] for each in emit.emitted for fact in each.facts] == ["1"]


async def test_a_change_that_lies_ahead_hides_none_that_come_after(peer: Crm) -> None:
    ahead = {"properties": {"email": "ahead@example.org", "firstname": "A"}, "at": peer.now() + 7_200_000}
    peer.edits([ahead])
    emit = RecordingEmit()
    source = opened(peer, lag=5)
    running = asyncio.ensure_future(source.run(emit))
    await asyncio.wait_for(emit.wait_for(1), 20)
    peer.edit("later@example.org", firstname="L")
    await asyncio.wait_for(emit.wait_for(2), 20)
    looks = peer.requests("POST /search")
    while peer.requests("POST /search") < looks + 3:
        await asyncio.sleep(0.05)
    running.cancel()
    await asyncio.wait({running})
    await source.close()
    assert len(emit.ids) == len(set(emit.ids)) == 2
    for place in (emit.place, f"[{ahead['at']},{ahead['at']}]"):  # as versions before this one noted it
        again = RecordingEmit(place)
        peer.edit("last@example.org", firstname=place)
        running = asyncio.ensure_future((source := opened(peer, lag=5)).run(again))
        while place not in [fact["properties"]["firstname"] for each in again.emitted for fact in each.facts]:
            await asyncio.wait_for(again.wait_for(len(again.ids) + 1), 20)
        running.cancel()
        await asyncio.wait({running})
        await source.close()


@pytest.mark.parametrize("apart", [0, 1])
async def test_a_search_that_does_not_heed_what_it_is_asked_ends_the_look(peer: Crm, apart: int) -> None:
    start = peer.now() - 10_000
    people = [
        {"properties": {"email": f"p{n}@example.org", "firstname": "F"}, "at": start + n * apart} for n in range(120)
    ]
    peer.edits(people)
    peer.behave(heedless=True)
    emit = RecordingEmit()
    for place in ("", f"[{start + 5_000},0]"):
        with pytest.raises(ConnectionError, match="does not heed"):
            await asyncio.wait_for((source := opened(peer, lag=1)).run(emit := RecordingEmit(place)), 20)
        await source.close()
    peer.behave(heedless=False)
    await until(opened(peer, lag=30), again := RecordingEmit(emit.place), 120)
    assert len(set(again.ids)) == 120
