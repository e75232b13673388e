"""Erasing contacts and handing out what is kept about them, on a running server: afterwards nothing names them in any
key of the store, in its file, or in any file of the data directory, and everything else is as it was.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from erasekit import erased, found, store_of
from serverkit import Mailbox, Server, fact, fresh, overture

from overture.state import keys
from overture.state.refusals import Refusal


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory, mailbox: Mailbox) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("privacy"), SMTP_URL=mailbox.url) as running:
        yield running


def consent(contact: Any, state: str = "granted", **more: Any) -> Any:
    return fact("consent", contact, channel="email", purpose="marketing", state=state, **more)


def test_nothing_names_an_erased_contact_any_more(live: Server, mailbox: Mailbox, tmp_path: Path) -> None:
    name, other = fresh("zorro-"), fresh("stays-")
    address, surname, visitor = f"{name}@example.org", f"Delavega{name}", fresh("visitor-of-zorro-")
    live.facts(fact("page_viewed", {"anonymous_id": visitor}, path=f"/hello/{surname}"))
    live.facts(fact("page_viewed", {"email": address}, path="/pricing"))
    live.facts(
        fact("identify", {"user_id": name, "email": address, "anonymous_id": visitor}, email=address, surname=surname),
        fact("identify", other, email=f"{other}@example.org", surname="Stays"),
        consent({"user_id": name}, text=f"I, {surname}, agree"),
        consent({"user_id": other}),
    )
    live.facts(fact("whitepaper_downloaded", name, topic="seo"), fact("whitepaper_downloaded", other, topic="seo"))
    live.settled()
    refusals = [
        Refusal(1, "segment", "fact.type", "This is no fact.", "/0", json.dumps({"userId": each, "email": f"{each}@x"}))
        for each in (name, other)
    ]
    with store_of(live) as store:
        store.lpush(keys.REFUSED, *map(msgspec.msgpack.encode, refusals))
    assert found(live, tmp_path, name, address, surname, visitor)
    before = live.find(other)
    proof = erased(live, name)
    assert proof["counts"]["contacts"] == 3
    assert proof["counts"]["facts"] >= 6
    assert proof["counts"]["consents"] == 1
    assert (proof["file"], proof["by"], proof["number"]) == ("rewritten", "admin", 1)
    assert found(live, tmp_path, name, address, surname, visitor) == []
    for way in (name, f"email:{address}", f"anonymous_id:{visitor}"):
        answer = live.call("GET", f"/v1/contacts/{way}")
        assert (answer.status, answer.json["code"]) == (404, "contact.unknown")
    assert live.find(other) == before
    assert [other in each["fact"] for each in live.get("/v1/sources/refused")] == [True]
    assert live.get("/v1/consent/verify")["ok"]
    assert live.get("/v1/erasures")["ok"]
