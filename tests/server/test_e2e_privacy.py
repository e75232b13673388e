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
from erasekit import ended, erased, found, store_of
from serverkit import SHIPPED, Mailbox, Server, fact, fresh, overture

from overture.state import keys
from overture.state.refusals import Refusal


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory, mailbox: Mailbox) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("privacy"), SMTP_URL=mailbox.url, RULESETS=SHIPPED) as running:
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


def test_an_export_has_all_that_was_said_and_what_became_of_it(live: Server, mailbox: Mailbox) -> None:
    name, visitor = fresh("lea-"), fresh("visitor-")
    address = f"{name}@example.org"
    live.facts(fact("page_viewed", {"anonymous_id": visitor}, path="/sales"))
    live.facts(
        fact("identify", {"user_id": name, "email": address, "anonymous_id": visitor}, email=address, plan="pro")
    )
    live.facts(consent({"user_id": name}, text="Yes, write to me", version="3"))
    live.facts(fact("guide_downloaded", {"anonymous_id": visitor}, guide="g1", topic="seo"))
    live.facts(fact("page_viewed", fresh("other-"), path="/not-hers"))
    live.settled()
    told = live.get(f"/v1/contacts/anonymous_id:{visitor}/export")
    assert told["contact"]["id"] == name
    assert sorted(told["merged"]) == [f"anonymous_id:{visitor}", f"email:{address}"]
    assert (told["contact"]["traits"]["plan"], told["state"]["traits"]["plan"]) == ("pro", "pro")
    assert told["contact"]["consent"] == {"email": {"marketing": "granted"}}
    assert [(e["after"], e["text"], e["version"]) for e in told["consent"]] == [("granted", "Yes, write to me", "3")]
    (message,) = told["messages"]
    assert (message["state"], message["to"], message["context"]["fact"]["topic"]) == ("sent", address, "seo")
    kinds = [each["type"] for each in told["facts"]]
    assert kinds == ["page_viewed", "identify", "consent", "guide_downloaded", "message.sent"]
    assert told["facts"][0]["properties"] == {"path": "/sales"}
    assert (told["set_aside"], "not-hers" in json.dumps(told)) == ([], False)
    assert live.call("GET", f"/v1/contacts/{fresh('nobody-')}/export").json["code"] == "contact.unknown"


def test_the_command_line_asks_before_it_erases_and_shows_the_proof(live: Server, tmp_path: Path) -> None:
    name = fresh("pia-")
    live.facts(fact("identify", {"user_id": name, "email": f"{name}@example.org"}, plan="pro"))
    environ = {**live.environ, "OVERTURE_PORT": str(live.port)}
    written = tmp_path / "pia.json"
    assert overture("contact", "export", name, "--to", str(written), environ=environ).returncode == 0
    refused = overture("contact", "export", name, "--to", str(tmp_path), environ=environ)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1), refused.stderr
    assert f"overture: {tmp_path} cannot be written: Is a directory." in refused.stderr
    assert json.loads(written.read_text())["contact"]["traits"]["plan"] == "pro"
    unasked = overture("contact", "erase", name, environ=environ)
    assert (unasked.returncode, "[--yes]" in unasked.stderr or "--yes" in unasked.stderr) == (2, True)
    assert live.find(name) is not None
    done = overture("contact", "erase", f"email:{name}@example.org", "--yes", environ=environ)
    assert (done.returncode, "1 consents" in done.stdout, "2 contacts" in done.stdout) == (0, False, True)
    assert live.find(name) is None
    again = overture("contact", "erase", name, "--yes", environ=environ)
    assert (again.returncode, "There is no such contact." in again.stderr) == (2, True)
    listed = overture("contact", "erasures", environ=environ)
    assert (listed.returncode, listed.stdout.splitlines()[-1]) == (0, "The chain of proofs is whole.")
    assert name not in listed.stdout


def test_asked_for_twice_it_is_one_erasure(live: Server) -> None:
    name = fresh("kim-")
    live.facts(fact("identify", {"user_id": name, "email": f"{name}@example.org"}))
    ids = {live.call("DELETE", f"/v1/contacts/{way}").json["id"] for way in (name, name, f"email:{name}@example.org")}
    assert len(ids) == 1
    ended(live, ids.pop())
    assert live.call("DELETE", f"/v1/contacts/{name}").json["code"] == "contact.unknown"
    unknown = live.call("GET", "/v1/erasures/er-0")
    assert (unknown.status, unknown.json["code"]) == (404, "erasure.unknown")


def test_many_at_once_go_and_the_others_stay(live: Server, tmp_path: Path) -> None:
    going, staying = [fresh("off-") for _ in range(12)], [fresh("on-") for _ in range(12)]
    for name in (*going, *staying):
        live.facts(fact("identify", {"user_id": name, "email": f"{name}@example.org"}, email=f"{name}@example.org"))
    before = {name: live.contact(name) for name in staying}
    ids = [live.call("DELETE", f"/v1/contacts/{name}").json["id"] for name in going]
    proofs = [ended(live, id) for id in ids]
    assert {proof["counts"]["contacts"] for proof in proofs} == {2}
    assert len({proof["subject"] for proof in proofs}) == 12
    assert found(live, tmp_path, *going) == []
    assert {name: live.contact(name) for name in staying} == before


def test_every_process_forgets_who_led_to_whom(tmp_path: Path, mailbox: Mailbox) -> None:
    with Server(tmp_path / "two", SMTP_URL=mailbox.url, WORKERS="2") as server:
        for _ in range(3):
            name = fresh("max-")
            address = f"{name}@example.org"
            for _ in range(8):  # so that both have met the link
                server.facts(fact("page_viewed", {"user_id": name, "email": address}, path="/"))
            erased(server, name)
            assert found(server, tmp_path, name) == []
            ids = {
                server.facts(fact("page_viewed", {"email": address}), wait=True)["decisions"][0]["contact"]
                for _ in range(8)
            }
            assert ids == {f"email:{address}"}
