"""Who may say what became of a message: a source that itself checks who calls, and no other."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from aiohttp import ClientSession, web
from pydantic import BaseModel
from webkit import Memory

from overture.model import Delivery, Message
from overture.model.ids import partition_of
from overture.node.plugged import PluginService
from overture.plugin import Endpoint, Incoming, PluginManager, Posted, PushSourcePlugin
from overture.plugin.listening import HostedPush
from overture.state import keys
from overture.state.outbox import Outbox, encode
from overture.state.refusals import Refusals
from overture.state.wire import Wire
from overture.state.words import Words
from overture.web import make_app, make_runner

PARTITIONS = 4


class Nothing(BaseModel):
    pass


class Post:
    """Hands on what it is sent."""

    def __init__(self, config: Nothing) -> None: ...

    async def parse(self, request: Incoming) -> Posted:
        return Posted(facts=json.loads(request.inflated))

    async def close(self) -> None: ...


@dataclasses.dataclass
class Site:
    session: ClientSession
    memory: Memory
    service: PluginService
    wire: Wire

    async def post(self, path: str, *facts: dict[str, Any]) -> None:
        async with self.session.post(path, json=list(facts)) as answer:
            assert answer.status == 200

    async def sent(self, id: str, contact: str, **more: Any) -> None:
        message = Message(id, contact, "letter", "hello", "news", "", "r", "r1", "rule", "f1", 0, **more)
        p = partition_of(contact, PARTITIONS)
        await self.wire.call("SET", keys.message(p, id), encode(Delivery(message, "sent", address="Main St 1")))

    async def refused(self) -> Sequence[str]:
        return [each.code for each in await self.service.refused(10)]


@pytest.fixture
async def site(memory: Memory, store_url: str) -> AsyncIterator[Site]:
    endpoints = [Endpoint(method="POST", path="~/key"), Endpoint(method="POST", path="~/signed", proof="source")]
    plugin = PushSourcePlugin(name="post", config=Nothing, open=Post, endpoints=endpoints)
    wire = await Wire.connect(store_url)
    hosted = HostedPush("post", plugin, Post(Nothing()))
    service = PluginService(
        PluginManager(), {}, [hosted], {}, Refusals(wire), Outbox(wire, PARTITIONS), {}, Words(wire)
    )
    runner = make_runner(make_app(dataclasses.replace(memory.services(), plugins=service)), 1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    address = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        async with ClientSession(address, headers={"Authorization": "Bearer writer-key"}) as session:
            yield Site(session, memory, service, wire)
    finally:
        await runner.cleanup()
        await wire.close()


def bounce(id: str, **contact: str) -> dict[str, Any]:
    said = {"channel": "email", "address": "x@example.org", "detail": "550", "message": "a lie"}
    return {"id": id, "type": "message.bounced", "contact": contact, "properties": said}


async def test_a_writer_may_not_say_that_a_message_bounced(site: Site):
    await site.post("/in/post/key", bounce("f1", user_id="ada"), bounce("f2", message="m1"))
    assert site.memory.taken == {}
    assert await site.refused() == ["fact.type_reserved", "fact.type_reserved"]


async def test_a_source_that_knows_who_calls_may(site: Site):
    await site.sent("m1", "ada")
    await site.sent("m2", "email:eve@example.org", journey="r/j", step="mail")
    one, two, none = (
        bounce("f1", message="m1", email="x@example.org"),
        bounce("f2", message="m2"),
        bounce("f3", message="m3"),
    )
    unknown = bounce("f4", message="m3", email="x@example.org")
    left = {**bounce("f5", message="m1"), "type": "message.unsubscribed"}
    await site.post("/in/post/signed", one, two, none, unknown, left)
    taken = {id: (draft.ids, draft.properties) for id, draft in site.memory.taken.items()}
    told = {
        "message": "m1",
        "channel": "letter",
        "template": "hello",
        "address": "Main St 1",
        "attempts": 0,
        "detail": "550",
    }
    journey = {"journey": "r/j", "step": "mail", "revision": "r1"}
    assert taken == {
        "f1": ({"user_id": "ada"}, told),
        "f2": ({"email": "eve@example.org"}, {**told, "message": "m2", **journey}),
        "f5": ({"user_id": "ada"}, {**told, "purpose": "news"}),
    }
    assert await site.refused() == ["fact.message_unknown"] * 2


async def test_a_report_about_a_message_that_is_gone_brings_nobody_back(site: Site):
    """Its contact was erased: neither does the address make one anew, nor is it kept among what was refused."""
    await site.post("/in/post/signed", bounce("f1", message="m3", email="x@example.org"))
    assert site.memory.taken == {}
    (kept,) = await site.service.refused(10)
    assert (kept.code, kept.pointer) == ("fact.message_unknown", "/contact/message")
    assert json.loads(kept.fact) == {"id": "f1", "type": "message.bounced", "contact": {"message": "m3"}}


@pytest.mark.parametrize("type", ["message.sent", "message.failed", "message.dropped", "$tick", "score.changed"])
async def test_what_only_overture_knows_nobody_says(site: Site, type: str):
    await site.post("/in/post/signed", {**bounce("f1", user_id="ada"), "type": type})
    assert site.memory.taken == {}
    assert await site.refused() == ["fact.type_reserved"]
