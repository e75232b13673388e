"""What looks through all keys of the store takes no contact's id, which may hold any character, for a key."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from overture.model import Delivery, Message
from overture.state import keys, outbox, sweeps
from overture.state.linked import linked
from overture.state.wire import Wire


@pytest.fixture
async def wire(store_url: str) -> AsyncIterator[Wire]:
    wire = await Wire.connect(store_url)
    yield wire
    await wire.close()


async def test_a_contact_named_like_a_link_leads_to_nobody(wire: Wire) -> None:
    await wire.call("SET", keys.contact(3, "x}:id:y"), b"\x9a\xa7state")
    await wire.call("SET", keys.contact(1, "z}:id:w"), "ada")
    await wire.call("SET", keys.identity(2, "email:a}:id:b"), "ada")
    assert await linked(wire, "ada") == ["email:a}:id:b", "ada"]


async def test_a_contact_named_like_a_message_has_none(wire: Wire) -> None:
    message = Message("m1", "ada", "log", "hello", "marketing", "", "vip", "r1", "greet", "f1", 0)
    await wire.call("SET", keys.contact(3, "x}:m:y"), b"\x9a\xa7state")
    await wire.call("SET", keys.message(2, "m1"), outbox.encode(Delivery(message, "queued", 0)))
    await outbox.list_by_contact(wire)
    assert await wire.call("SMEMBERS", keys.messages_of(2, "ada")) == [b"m1"]


async def test_what_is_named_like_a_contact_is_not_listed_as_one(wire: Wire) -> None:
    await wire.call("SET", keys.contact(3, "x}:c:y"), b"\x9a\xa7state")
    await wire.call("RPUSH", keys.timeline(3, "x}:c:y"), b"\x9a\xa7state")
    await sweeps.list_known(wire, 4)
    assert await sweeps.page(wire, 3, "", 9) == ["x}:c:y"]
