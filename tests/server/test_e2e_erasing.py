"""What goes on while a contact is erased: hand-offs, backtests, facts of others, kills; and what begins after it."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import msgspec
import pytest
from erasekit import begun, ended, erased, found, store_of
from serverkit import Mailbox, Server, eventually, fact, fresh, overture
from test_e2e_backtest import BUYERS, CHEAPER, VIP
from test_e2e_backtest import ended as over
from test_e2e_delivery import DOCUMENT, Receiver, receiver

from overture.model.ids import partition_of
from overture.state import keys
from overture.state.erasures import Erasure
from overture.state.purge import Purged
from overture.state.scrubbing import Scrub

__all__ = ["receiver"]


@pytest.fixture
def calls(tmp_path: Path, receiver: Receiver) -> Iterator[Server]:
    with Server(tmp_path / "calls", RULESETS="", EGRESS_ALLOW="127.0.0.0/8") as server:
        server.deploy("calls", DOCUMENT.format(to=receiver.to))
        yield server


@pytest.fixture
def shop(tmp_path: Path, mailbox: Mailbox) -> Iterator[Server]:
    with Server(tmp_path / "shop", RULESETS="", SMTP_URL=mailbox.url) as server:
        server.deploy("vip", VIP)
        server.deploy("buyers", BUYERS)
        yield server


def known(server: Server, name: str) -> str:
    address = f"{name}@example.com"
    granted = fact("consent", name, channel="email", purpose="marketing", state="granted")
    server.facts(fact("identify", {"user_id": name, "email": address}, email=address), granted)
    return address


def test_a_hand_off_under_way_ends_and_is_told_first_and_none_begins_after_it(
    calls: Server, receiver: Receiver, tmp_path: Path
) -> None:
    name, other = fresh("ada-"), fresh("bob-")
    go_on = Event()
    receiver.before = lambda: go_on.wait(20) and None
    calls.facts(fact("called", name, n=1))
    eventually(lambda: receiver.calls, "the receiver is called")
    calls.facts(fact("called", name, n=2))  # waits behind it
    begun(calls, name)
    (waits,) = eventually(
        lambda: [e for e in calls.get("/v1/erasures")["under_way"] if e["stage"] == "leaving"], "it waits"
    )
    calls.facts(fact("called", other, n=3), wait=False)
    mine = [m["state"] for m in calls.pages("/v1/messages?limit=500") if m["contact"] == name]
    assert sorted(mine) == ["queued", "sending"]
    go_on.set()
    proof = ended(calls, waits["id"])
    calls.settled()
    assert [m["contact"] for m in calls.pages("/v1/messages?limit=500")] == [other]
    assert len(receiver.calls) == 2  # its first one, and that of the other
    assert (proof["counts"]["messages"], proof["counts"]["withdrawn"]) == (2, 1)
    assert found(calls, tmp_path, name) == []


def test_a_hand_off_to_one_contact_holds_up_the_erasing_of_no_other(
    calls: Server, receiver: Receiver, tmp_path: Path
) -> None:
    name, other = fresh("ada-"), fresh("bob-")
    go_on = Event()
    receiver.before = lambda: go_on.wait(30) and None
    calls.facts(fact("called", name, n=1), fact("identify", other, plan="pro"))
    eventually(lambda: receiver.calls, "the receiver is called")
    waits = begun(calls, name)
    eventually(lambda: stage(calls, waits) == "leaving", "it waits")
    id = begun(calls, other)
    eventually(lambda: stage(calls, id) != "finding", "nothing goes to the other one any more")
    ended(calls, id)
    assert stage(calls, waits) == "leaving"
    assert found(calls, tmp_path, other) == []
    go_on.set()
    ended(calls, waits)
    assert len(receiver.calls) == 1


def test_what_leads_to_it_anew_after_it_was_erased_is_erased_again(
    calls: Server, receiver: Receiver, tmp_path: Path
) -> None:
    name, visitor = fresh("ada-"), fresh("cookie-")
    part = f"anonymous_id:{visitor}"
    p = partition_of(part, 16)
    calls.facts(fact("identify", {"user_id": name, "anonymous_id": visitor}, plan="pro"))
    go_on = Event()
    receiver.before = lambda: go_on.wait(20) and None
    calls.facts(fact("called", name, n=1))
    eventually(lambda: receiver.calls, "the receiver is called")
    id = begun(calls, name)
    eventually(lambda: stage(calls, id) == "leaving", "it waits")
    with store_of(calls) as store:  # as after a link that was made when the visitor had been erased
        store.hset(keys.purged(p), part, msgspec.msgpack.encode(Purged(id, "1-0", 0, 2, 0, 0, {"hashed": "bounce"})))
        # and as one of an erasure before, whose proof was written
        store.hset(keys.scrubs(p), part, msgspec.msgpack.encode(Scrub("er-before", "1-0", 0, "1-0", True, 900)))
        go_on.set()
        proof = ended(calls, id)
        assert store.hget(keys.SUPPRESSED, "hashed") == b"bounce"
    assert (proof["counts"]["contacts"], proof["counts"]["messages"], proof["counts"]["suppressed"]) == (2, 3, 1)
    assert proof["counts"]["facts"] < 900
    assert found(calls, tmp_path, name, visitor) == []


def test_a_hand_off_of_a_process_that_was_killed_holds_nothing_up(
    calls: Server, receiver: Receiver, tmp_path: Path
) -> None:
    name = fresh("ada-")
    assert calls.process is not None
    pid = calls.process.pid
    go_on = Event()
    receiver.before = lambda: go_on.wait(20) and None
    calls.facts(fact("called", name, n=1))
    eventually(lambda: receiver.calls, "the receiver is called")
    id = begun(calls, name)
    eventually(lambda: stage(calls, id) == "leaving", "it waits")
    os.kill(pid, signal.SIGKILL)
    calls.process.wait(30)
    receiver.before = lambda: None
    go_on.set()
    calls.start()
    ended(calls, id)
    assert len(receiver.calls) == 1  # it was about to be tried again, and its contact leaves
    assert found(calls, tmp_path, name) == []


def test_what_waits_to_be_tried_again_is_withdrawn(shop: Server, mailbox: Mailbox, tmp_path: Path) -> None:
    name = fresh("eve-")
    address = known(shop, name)
    mailbox.script("defer")
    shop.facts(fact("order", name, total=500))
    eventually(lambda: [m["state"] for m in shop.messages(name)] == ["retrying"], "it is to be tried again")
    proof = erased(shop, name)
    assert (proof["counts"]["withdrawn"], proof["counts"]["messages"]) == (1, 1)
    with store_of(shop) as store:
        assert [store.zcard(keys.outbox(p)) for p in range(16)] == [0] * 16
    assert mailbox.subjects(address) == []
    assert found(shop, tmp_path, name) == []


def test_the_same_identifiers_begin_anew(shop: Server, mailbox: Mailbox) -> None:
    name, visitor = fresh("ann-"), fresh("cookie-")
    address = known(shop, name)
    order = fact("order", name, total=150)
    shop.facts(order, fact("order", {"user_id": name, "anonymous_id": visitor}, total=150))
    assert shop.contact(f"anonymous_id:{visitor}")["id"] == name
    assert "vip" in shop.contact(name)["segments"]
    erased(shop, name)
    assert shop.find(f"email:{address}") is None
    assert shop.facts(order)["duplicates"] == 1  # what was erased is not taken again
    assert shop.find(name) is None
    shop.facts(fact("order", {"anonymous_id": visitor}, total=10))
    shop.facts(fact("order", {"email": address}, total=20))
    shop.facts(fact("order", name, total=30))
    ids = [shop.contact(id)["id"] for id in (f"anonymous_id:{visitor}", f"email:{address}", name)]
    assert ids == [f"anonymous_id:{visitor}", f"email:{address}", name]
    new = shop.contact(name)
    assert (new["scores"], new["traits"], new["consent"], new["segments"]) == ({"spent": 30}, {}, {}, [])
    assert [m["fact"]["properties"] for m in shop.timeline(name)] == [{"total": 30}]
    top = shop.pages("/v1/scores/spent/top?limit=500")
    assert {each["contact"]: each["score"] for each in top} == dict(zip(ids, (10, 20, 30), strict=True))
    told = shop.get(f"/v1/contacts/{name}/explain?rule=vip/spent")
    assert told["rules"][0]["fired"] if "rules" in told else told
    again = shop.facts(fact("identify", {"user_id": name, "email": address}, email=address))
    assert again["accepted"] == 1
    assert shop.contact(f"email:{address}")["id"] == name
    assert shop.contact(name)["scores"] == {"spent": 50}


def test_a_contact_named_like_a_key_of_the_store_holds_nothing_up(shop: Server, tmp_path: Path) -> None:
    name, odd = fresh("ada-"), fresh("x}:id:")
    known(shop, name)
    shop.facts(fact("order", odd, total=1))
    assert shop.get(f"/v1/contacts/{name}/export")["contact"]["id"] == name
    erased(shop, name)
    assert found(shop, tmp_path, name) == []


@pytest.mark.parametrize("where", ["finding", "erasing"])
def test_one_that_cannot_go_on_holds_up_no_other(shop: Server, tmp_path: Path, where: str) -> None:
    name, other = fresh("ada-"), fresh("bob-")
    known(shop, name)
    known(shop, other)
    p, part = partition_of(name, 16), f"email:{fresh('part-')}@example.com"
    q = partition_of(part, 16)
    with store_of(shop) as store:
        if where == "finding":
            store.set(keys.contact(q, part), b"\xc1")
            store.set(keys.identity(q, part), name)
        else:
            store.hset(keys.purged(p), name, b"\xc1")
        id = begun(shop, name)
        erased(shop, other)
        assert stage(shop, id) == where
        eventually(lambda: f"Erasure {id} goes on later" in shop.said(), "it is told which one")
        assert shop.said().count(f"Erasure {id}") == 1
        store.delete(keys.contact(q, part))
        store.hdel(keys.purged(p), name)
    ended(shop, id)
    assert found(shop, tmp_path, name, other) == []


def test_who_signs_up_anew_while_the_record_is_cleaned_is_told_to_ask_again(shop: Server, tmp_path: Path) -> None:
    name = fresh("ada-")
    known(shop, name)
    file = shop.data / "archive" / f"p{partition_of(name, 16):03d}" / "lock"
    eventually(lambda: shop.settled() or True, "all is decided")
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # as another process that writes the archive
        id = begun(shop, name)
        eventually(lambda: stage(shop, id) == "record", "its facts are to go")
        assert begun(shop, name) == id
        known(shop, name)
        answer = shop.call("DELETE", f"/v1/contacts/{name}")
        assert (answer.status, answer.json["code"]) == (409, "erasure.ending")
    ended(shop, id)
    assert shop.find(name) is not None
    assert erased(shop, name)["id"] != id
    assert found(shop, tmp_path, name) == []


def test_a_backtest_that_was_killed_holds_nothing_up(shop: Server, tmp_path: Path) -> None:
    name = fresh("ada-")
    known(shop, name)
    job = shop.data / "backtests" / "bt-00000001"
    job.mkdir(parents=True)
    whole = json.dumps({"contact": name}) + "\n"
    (job / "contacts.ndjson").write_text(whole + whole[:-9])
    erased(shop, name)
    assert not (job / "contacts.ndjson").exists()
    assert found(shop, tmp_path, name) == []


def test_who_complained_is_not_written_to_under_the_same_address(shop: Server, mailbox: Mailbox) -> None:
    name, next_one = fresh("sue-"), fresh("sue-")
    address = known(shop, name)
    mailbox.script("refuse")
    shop.facts(fact("order", name, total=500))
    eventually(lambda: shop.contact(name)["suppressed"], "the address is suppressed")
    assert erased(shop, name)["counts"]["suppressed"] == 1
    written = address.upper()
    shop.facts(fact("identify", next_one, email=written), fact("order", next_one, total=500))
    (message,) = shop.messages(next_one)
    assert (message["state"], message["reason"].partition(":")[0]) == ("dropped", "suppressed.bounce")
    assert mailbox.subjects(address) == mailbox.subjects(written) == []


def test_backtests_and_explanations_go_on_with_what_is_left(shop: Server, tmp_path: Path) -> None:
    name, other, visitor = fresh("tom-"), fresh("tim-"), fresh("cookie-")
    known(shop, name)
    known(shop, other)
    shop.facts(fact("order", {"anonymous_id": visitor}, total=60))
    shop.facts(fact("order", {"user_id": name, "anonymous_id": visitor}, total=60), fact("order", other, total=60))

    def asked() -> Any:
        answer = shop.call("POST", "/v1/rulesets/vip/backtest", CHEAPER.encode())
        job = eventually(lambda: over(shop.get(answer.headers["Location"])), "the backtest ends")
        return job["summary"], {
            each["contact"] for each in shop.pages(f"{answer.headers['Location']}/contacts?limit=9")
        }

    before, details = asked()
    assert (before["contacts"]["recorded"], details) == (2, {name, other})
    state = shop.contact(other)
    erased(shop, name)
    assert found(shop, tmp_path, name, visitor) == []
    after, details = asked()
    assert (after["contacts"]["recorded"], details) == (1, {other})
    assert (after["facts"]["missing_entries"], after["failures"]) == (0, [])
    assert shop.contact(other) == state
    known(shop, name)
    shop.facts(fact("order", name, total=60))
    assert asked()[1] == {name, other}
    assert overture("consent", "verify", environ=address_of(shop)).returncode == 0


def address_of(server: Server) -> dict[str, str]:
    return {**server.environ, "OVERTURE_PORT": str(server.port)}


def stage(server: Server, id: str) -> str:
    return server.get(f"/v1/erasures/{id}")["stage"]


def test_killed_at_any_point_it_is_finished(shop: Server, tmp_path: Path) -> None:
    others = [fresh("stays-") for _ in range(8)]
    for each in others:
        known(shop, each)
    shop.facts(*(fact("order", each, total=150) for each in others))
    shop.settled()
    before = {each: shop.contact(each) for each in others}
    stages: list[str] = []
    gone: list[str] = []
    for delay in (0.0, 0.01, 0.03, 0.06, 0.1, 0.2, 0.6, 1.0, 1.15):
        name, visitor = fresh("goes-"), fresh("visitor-")
        known(shop, name)
        shop.facts(fact("order", {"anonymous_id": visitor}, total=150))
        shop.facts(fact("order", {"user_id": name, "anonymous_id": visitor}, total=150))
        assert shop.process is not None
        id = begun(shop, name)
        time.sleep(delay)
        shop.process.send_signal(signal.SIGKILL)
        shop.process.wait(30)
        with store_of(shop) as store:
            kept: dict[bytes, bytes] = store.hgetall(keys.ERASING)  # type: ignore[assignment]
            stages += [msgspec.msgpack.decode(blob, type=Erasure).stage for blob in kept.values()] or ["done"]
        shop.start()
        assert ended(shop, id)["counts"]["contacts"] == 3
        gone += [name, visitor]
    assert len(set(stages)) >= 3, stages
    assert found(shop, tmp_path, *gone) == []
    listed = shop.get("/v1/erasures?limit=500")
    assert (listed["ok"], len(listed["items"]), listed["under_way"]) == (True, 9, [])
    assert {each: shop.contact(each) for each in others} == before
    assert shop.get("/v1/consent/verify")["ok"]


def test_the_store_killed_in_it_loses_nothing_of_it(shop: Server, tmp_path: Path) -> None:
    for delay in (0.05, 1.1):
        name = fresh("goes-")
        known(shop, name)
        id = begun(shop, name)
        time.sleep(delay)
        pid = shop.process_of("valkey")
        os.kill(pid, signal.SIGKILL)
        shop.new_store(pid)
        ended(shop, id)
        assert found(shop, tmp_path, name) == []


def test_a_proof_that_was_changed_is_found(shop: Server) -> None:
    for _ in range(2):
        name = fresh("goes-")
        known(shop, name)
        erased(shop, name)
    assert overture("contact", "erasures", environ=address_of(shop)).returncode == 0
    with store_of(shop) as store:
        first: bytes = store.lindex(keys.ERASURES, 0)  # type: ignore[assignment]
        store.lset(keys.ERASURES, 0, first.replace(b"admin", b"nobod"))
        done = overture("contact", "erasures", "--json", environ=address_of(shop))
        told = json.loads(done.stdout)
        assert (done.returncode, told["ok"], told["broken"]) == (
            1,
            False,
            "number 1 does not follow from those before it",
        )
        store.lset(keys.ERASURES, 0, first)
        store.rpop(keys.ERASURES)
        assert "once was longer" in shop.get("/v1/erasures")["broken"]
