"""Stopped, killed, started again: what was accepted is there, once."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from serverkit import SHIPPED, Mailbox, Server, derived, eventually, fact, fired, fresh


@pytest.fixture
def own(tmp_path: Path, mailbox: Mailbox) -> Iterator[Server]:
    """A server for one test, which may stop and kill it."""
    server = Server(tmp_path, SMTP_URL=mailbox.url, RULESETS=SHIPPED)
    try:
        yield server.start()
    finally:
        server.close()


def story(contact: str, address: str) -> list[Any]:
    return [
        fact("identify", contact, email=address),
        fact("consent", contact, channel="email", purpose="marketing", state="granted"),
        fact("guide_downloaded", contact, guide="g"),
        fact("order_completed", contact, order_id="o1", total=5),
        fact("order_completed", contact, order_id="o2", total=5),
    ]


def everything(server: Server, contact: str) -> Any:
    """All that can be read of a contact, for comparison."""
    server.settled()
    shown = server.contact(contact)
    messages = [{k: v for k, v in m.items() if k != "updated_at"} for m in server.messages(contact)]
    return shown, server.timeline(contact), messages


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_stopped_and_started_again(own: Server, mailbox: Mailbox, sign: signal.Signals) -> None:
    ada, address = fresh("ada"), f"{fresh('ada')}@example.com"
    facts = story(ada, address)
    own.facts(*facts)
    own.deploy("seo_guide", own.document("seo_guide").replace("add: 15", "add: 16"))
    eventually(lambda: own.ready()["sweep"]["over"] and own.ready()["lag"] == 0, "the deploy has reached everybody")
    before, ready = everything(own, ada), own.ready()
    assert own.stop(sign) == 0
    assert own.said().strip().endswith("Stopped; everything accepted is on disk.")
    assert not (own.data / "store.sock").exists()
    own.start()
    assert everything(own, ada) == before
    again = own.ready()
    for name in ("program", "rulesets", "accepted", "decided"):
        assert again[name] == ready[name]
    answer = own.facts(*facts)
    assert (answer["accepted"], answer["duplicates"]) == (0, len(facts))
    own.facts(fact("guide_downloaded", ada, guide="h"))
    assert own.contact(ada)["scores"]["lead"] == 31
    assert len(own.messages(ada)) == len(mailbox.to(address)) == 3


def test_a_stop_drains(own: Server) -> None:
    """What is accepted and waited for is answered and decided before the server is gone."""
    names = [fresh("ada") for _ in range(30)]
    burst = [fact("whitepaper_downloaded", name) for name in names for _ in range(50)]
    with ThreadPoolExecutor(2) as pool:
        waiting = pool.submit(own.facts, *burst)
        eventually(lambda: own.ready()["accepted"] > 0, "facts are being taken")
        assert own.stop() == 0
        assert [d["contact"] for d in waiting.result()["decisions"]] == [f["contact"] for f in burst]
    own.start()
    assert own.ready()["lag"] == 0
    assert [own.contact(name)["scores"]["lead"] for name in names] == [750] * 30


def test_killed_and_started_again(own: Server, mailbox: Mailbox) -> None:
    ada, address = fresh("ada"), f"{fresh('ada')}@example.com"
    sent: list[Any] = []
    for round in range(3):
        facts = story(ada, address) if not round else []
        facts += [fact("whitepaper_downloaded", ada, offer="seo") for _ in range(120)]
        for i in range(0, len(facts), 10):
            own.facts(*facts[i : i + 10], wait=False)
        sent += facts
        assert own.process is not None
        own.stop(signal.SIGKILL)  # in the middle of whatever it was doing
        own.start()  # the store has outlived it, and is adopted
    assert own.facts(*sent, wait=False)["accepted"] == 0
    contact = own.contact(ada)
    assert contact["scores"]["interest"] == {"seo": 15 * 360}
    assert (contact["scores"]["spend"], contact["scores"]["orders"]) == (10, 2)
    assert len(contact["issued"]) == 1
    moments = own.timeline(ada)
    assert derived(moments, "lead.qualified") <= 1  # the oldest moments are no longer kept
    accepted = [m["fact"]["id"] for m in moments if m["fact"]["id"].startswith("fact-")]
    order = [f["id"] for f in sent if f["id"] in accepted]
    assert accepted == order
    # A hand-off may have been under way when it was killed; then the message says so, and nobody else was written to.
    messages = own.messages(ada)
    assert sorted(m["template"] for m in messages) == ["more-on-topic", "voucher"]
    assert {m["state"] for m in messages} == {"sent"}
    assert 2 <= len(mailbox.to(address)) <= 2 + sum(m["ambiguous"] for m in messages)


def test_the_store_killed_under_a_running_server(own: Server) -> None:
    ada = fresh("ada")
    for _ in range(3):
        own.facts(*(fact("whitepaper_downloaded", ada) for _ in range(50)), wait=False)
        store = own.process_of("valkey")
        os.kill(store, signal.SIGKILL)
        own.new_store(store)
    own.facts(fact("order_completed", ada, order_id="o1", total=1))
    contact = own.contact(ada)
    assert contact["scores"]["lead"] == 15 * 150
    assert fired(own.timeline(ada), "first_purchase/first") == 1


def test_killed_and_its_stores_socket_deleted(own: Server) -> None:
    """Nobody can reach the store that lives on: the next start ends it and opens its data anew."""
    ada = fresh("ada")
    posted = [fact("whitepaper_downloaded", ada) for _ in range(50)]
    own.facts(*posted, wait=False)
    store = own.process_of("valkey")
    own.stop(signal.SIGKILL)
    (own.data / "store.sock").unlink()
    own.start()
    assert own.process_of("valkey") not in (0, store)
    assert own.facts(*posted, wait=False)["duplicates"] == 50
    assert own.contact(ada)["scores"]["lead"] == 15 * 50


def test_keys_are_made_once_and_kept(tmp_path: Path) -> None:
    server = Server(tmp_path, ADMIN_KEY="", WRITE_KEY="", RULESETS="")
    with server:
        said = server.said()
        kept = json.loads((server.data / "keys.json").read_text())
        assert set(kept) == {"admin", "write", "browser"}
        assert all(key in said for key in kept.values())
        assert (server.data / "keys.json").stat().st_mode & 0o777 == 0o600
        assert server.call("GET", "/v1/messages", key=kept["admin"]).status == 200
        assert server.call("GET", "/v1/messages", key=kept["write"]).status == 403
        assert server.call("POST", "/v1/decide", {"type": "seen", "contact": "a"}, key=kept["browser"]).status == 403
        server.stop()
        server.start()
        assert not any(key in server.said() for key in kept.values())
        assert json.loads((server.data / "keys.json").read_text()) == kept
        assert server.call("GET", "/v1/rulesets", key=kept["admin"]).json == []


def test_work_shared_by_roles(tmp_path: Path, store_url: str, mailbox: Mailbox) -> None:
    """Web, worker and delivery as processes of their own on one store; a worker that is killed is replaced."""
    ada, address = fresh("ada"), f"{fresh('ada')}@example.com"
    common = {"REDIS_URL": store_url, "SMTP_URL": mailbox.url, "RULESETS": SHIPPED}
    with Server(tmp_path / "web", ROLES="web", **common) as web:
        helpers = [Server(tmp_path / name, ROLES=name.rstrip("12"), **common) for name in ("worker1", "delivery")]
        try:
            for helper in helpers:
                helper.launch()
            web.facts(*story(ada, address))
            assert web.contact(ada)["scores"] == {"lead": 15, "spend": 10, "orders": 2}
            assert [m["state"] for m in web.messages(ada)] == ["sent", "sent"]
            helpers[0].stop(signal.SIGKILL)
            web.facts(fact("order_completed", ada, order_id="o3", total=5), wait=False)
            helpers[0] = Server(tmp_path / "worker2", ROLES="worker", **common)
            helpers[0].launch()
            assert web.contact(ada)["scores"]["orders"] == 3
            assert [helper.stop() for helper in helpers] == [0, 0]
        finally:
            for helper in helpers:
                helper.close()
    assert len(mailbox.to(address)) == 2
