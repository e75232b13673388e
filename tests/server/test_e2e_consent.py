"""Consent, asked for, given, taken back and proved, against a real server and a real mail server."""

from __future__ import annotations

import json
import re
import signal
import string
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec
import pytest
import redis
from erasekit import erased
from serverkit import Answer, Mailbox, Server, eventually, fact, fresh, mail_server, overture

from overture.model.ids import partition_of
from overture.state import keys
from overture.state.ledger import Link

DOCUMENT = """\
apiVersion: overture/v1
kind: Ruleset
name: letters
requires: {channels: [email]}
facts: {wrote: {}, paid: {}}
lists: {gazette: {channel: email, purpose: gazette}}
rules:
  ask:
    when: fact.type == "consent" and fact.state == "pending"
    then:
      - send: {channel: email, template: ask, purpose: transactional}
  letter:
    when: fact.type == "wrote"
    then:
      - send: {channel: email, template: letter, purpose: news}
  receipt:
    when: fact.type == "paid"
    then:
      - send: {channel: email, template: receipt, purpose: transactional}
templates:
  ask: {subject: Confirm, text: "Open {{ links.confirm }}"}
  letter: {subject: Letter, text: "Hello.", html: "<a href='{{ links.preferences }}'>{{ links.unsubscribe }}</a>"}
  receipt: {subject: Receipt, text: Thanks.}
"""
PAGE = {"Content-Type": "application/x-www-form-urlencoded", "Authorization": ""}
ONE_CLICK = b"List-Unsubscribe=One-Click"


@pytest.fixture(scope="module")
def letters(server: Server) -> Server:
    server.deploy("letters", DOCUMENT)
    return server


def consent(name: str, state: str, purpose: str = "news", **more: Any) -> Any:
    return fact("consent", name, channel="email", purpose=purpose, state=state, **more)


def reader(server: Server, *states: str) -> tuple[str, str]:
    """A contact with an address, and what it said so far."""
    name = fresh("reader")
    server.facts(fact("identify", name, email=f"{name}@example.com"), *(consent(name, state) for state in states))
    return name, f"{name}@example.com"


def visit(server: Server, url: str, form: bytes | None = None) -> Answer:
    """Follow a link, without any key; with a form, press its button."""
    return server.call("GET" if form is None else "POST", urlsplit(url).path, form, headers=PAGE)


def letter(server: Server, mailbox: Mailbox, name: str) -> Any:
    """The next letter to a reader."""
    before = len(mailbox.to(f"{name}@example.com"))
    server.facts(fact("wrote", name))
    return eventually(lambda: mailbox.to(f"{name}@example.com")[before:], "the letter is there")[0].message


def unsubscribe_url(mail: Any) -> str:
    return str(mail["List-Unsubscribe"])[1:-1]


def states(server: Server, name: str) -> list[tuple[str, str, str, str]]:
    items = server.pages(f"/v1/contacts/{name}/consent?limit=2")
    return [(i["before"], i["after"], i["source"], i["purpose"]) for i in items[::-1]]


def test_a_mail_is_unsubscribed_from_by_one_click(letters: Server, mailbox: Mailbox) -> None:
    name, address = reader(letters, "granted")
    mail = letter(letters, mailbox, name)
    url = unsubscribe_url(mail)
    assert url.startswith(f"{letters.url}/subscription/")
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    for _ in range(3):  # a mail scanner follows links
        page = visit(letters, url)
        assert (page.status, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
        assert letters.call("HEAD", urlsplit(url).path, headers=PAGE).status == 200
    assert letters.contact(name)["consent"] == {"email": {"news": "granted"}}

    answers = [visit(letters, url, ONE_CLICK) for _ in range(3)]
    assert [a.status for a in answers] == [200] * 3
    letters.facts(fact("wrote", name))
    dropped = letters.messages(name, "dropped")
    assert [m["reason"].partition(":")[0] for m in dropped] == ["consent.denied"]
    assert len(mailbox.to(address)) == 1
    assert states(letters, name) == [("", "granted", "write", "news"), ("granted", "denied", "unsubscribe", "news")]
    (sent,) = letters.messages(name, "sent")
    assert letters.get(f"/v1/contacts/{name}/consent")["items"][0]["message"] == sent["id"]

    letters.facts(consent(name, "granted"))
    assert visit(letters, url, ONE_CLICK).status == 200  # the same old mail, after a change of mind
    assert letters.contact(name)["consent"] == {"email": {"news": "denied"}}


def test_each_message_names_the_link_of_the_ledger_that_allowed_it(letters: Server, mailbox: Mailbox) -> None:
    name, _ = reader(letters, "granted")
    letter(letters, mailbox, name)
    letters.facts(consent(name, "denied"), consent(name, "granted", text="Send me letters.", version="7"))
    letter(letters, mailbox, name)
    letters.facts(fact("paid", name))
    entries = [item["entry"] for item in letters.get(f"/v1/contacts/{name}/consent")["items"]]
    relied = {m["fact"]: (m["template"], m["consent"]) for m in letters.messages(name, "sent")}
    assert list(relied.values()) == [("letter", entries[2]), ("letter", entries[0]), ("receipt", "")]
    newest = letters.get(f"/v1/contacts/{name}/consent")["items"][0]
    assert (newest["text"], newest["version"]) == ("Send me letters.", "7")


def test_a_mail_that_needs_no_consent_has_no_header(letters: Server, mailbox: Mailbox) -> None:
    name, address = reader(letters)
    letters.facts(fact("paid", name))
    (mail,) = eventually(lambda: mailbox.to(address), "the receipt is there")
    assert mail.message["List-Unsubscribe"] is None
    assert mail.message["List-Unsubscribe-Post"] is None


def test_a_consent_is_confirmed_by_its_button_and_by_nothing_else(letters: Server, mailbox: Mailbox) -> None:
    name, address = reader(letters, "pending")
    (mail,) = eventually(lambda: mailbox.to(address), "the question is there")
    url = re.sub(r"\s", "", mail.message.get_content()).removeprefix("Open")
    assert "<button>" in visit(letters, url).body.decode()
    letters.facts(fact("wrote", name))
    assert letters.contact(name)["consent"] == {"email": {"news": "pending"}}
    (dropped,) = letters.messages(name, "dropped")
    assert dropped["reason"].startswith("consent.pending: The contact has not yet confirmed")

    assert "Thank you" in visit(letters, url, b"").body.decode()
    assert letters.contact(name)["consent"] == {"email": {"news": "granted"}}
    other = letter(letters, mailbox, name)
    assert visit(letters, unsubscribe_url(other), ONE_CLICK).status == 200
    late = visit(letters, url, b"")
    assert (late.status, "confirms nothing any more" in late.body.decode()) == (200, True)
    assert letters.contact(name)["consent"] == {"email": {"news": "denied"}}
    assert [after for _, after, _, _ in states(letters, name)] == ["pending", "granted", "denied"]


def test_a_link_confirms_nothing_for_another_address(letters: Server, mailbox: Mailbox) -> None:
    name, address = reader(letters, "pending")
    (mail,) = eventually(lambda: mailbox.to(address), "the question is there")
    url = re.sub(r"\s", "", mail.message.get_content()).removeprefix("Open")
    letters.facts(fact("identify", name, email="other@example.com"))
    assert "another address" in visit(letters, url, b"").body.decode()
    assert letters.contact(name)["consent"] == {"email": {"news": "pending"}}


def test_forged_and_old_links_get_one_clear_page(letters: Server, mailbox: Mailbox) -> None:
    name, _ = reader(letters, "granted")
    url = unsubscribe_url(letter(letters, mailbox, name))
    middle = len(url) - 60
    others = string.ascii_letters + string.digits + "-_="
    for forged in (
        *(url[:-1] + other for other in others if other != url[-1]),  # the last one's bits are not all of the mark
        url + "=",
        url + "%3D%3D",
        url[:middle] + ("A" if url[middle] != "A" else "B") + url[middle + 1 :],
        url[:-4] + "%C3%A4",
    ):
        for form in (None, ONE_CLICK):
            page = visit(letters, forged, form)
            assert (page.status, "link.invalid" in page.body.decode()) == (404, True)
    with redis.Redis.from_url(json.loads((letters.data / "store.json").read_text())["url"]) as store:
        store.hset(keys.LINK_KEYS, "2", bytes(range(32)))
        rotated = eventually(lambda: unsubscribe_url(letter(letters, mailbox, name)), "the next letter")
        assert visit(letters, url).status == 200  # signed by the key before
        assert visit(letters, rotated).status == 200
        first = store.hget(keys.LINK_KEYS, "1")
        assert first is not None
        store.hdel(keys.LINK_KEYS, "1")
        eventually(lambda: visit(letters, url).status == 404, "links of a key that was removed are refused")
        store.hset(keys.LINK_KEYS, "1", first)
    assert letters.contact(name)["consent"] == {"email": {"news": "granted"}}


def test_preferences_are_shown_and_saved(letters: Server, mailbox: Mailbox) -> None:
    name, _ = reader(letters, "granted")
    sms = {"channel": "sms", "purpose": "<alerts>"}
    letters.facts(fact("consent", name, state="granted", **sms))
    mail = letter(letters, mailbox, name)
    html = mail.get_body(("html",)).get_content()
    url = unescape(re.findall(r"href='([^']+)'", html)[0])
    page = visit(letters, url)
    text = page.body.decode()
    assert (page.status, "<script" in text) == (200, False)
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert page.headers["Referrer-Policy"] == "no-referrer"
    boxes = dict(re.findall(r'name="([^"]+)" value="on"( checked)?', text))
    assert boxes == {
        "consent email gazette": "",
        "consent email marketing": "",
        "consent email news": " checked",
        "consent sms &lt;alerts&gt;": " checked",
        "list gazette": "",
        "list newsletter": "",
    }
    chosen = {"consent email gazette": "on", "list gazette": "on", "save": "1"}
    saved = visit(letters, url, urlencode(chosen).encode())
    assert (saved.status, "Saved." in saved.body.decode()) == (200, True)
    contact = letters.contact(name)
    assert contact["consent"] == {"email": {"gazette": "granted", "news": "denied"}, "sms": {"<alerts>": "denied"}}
    assert contact["lists"] == ["gazette"]
    again = visit(letters, url).body.decode()
    assert dict(re.findall(r'name="([^"]+)" value="on"( checked)?', again)) == {
        "consent email gazette": " checked",
        "consent email marketing": "",
        "consent email news": "",
        "list gazette": " checked",
        "list newsletter": "",
    }


def test_two_boxes_are_never_one(letters: Server, mailbox: Mailbox) -> None:
    name, _ = reader(letters, "granted")
    for channel, purpose in (("sms", "a b"), ("sms a", "b")):
        letters.facts(fact("consent", name, channel=channel, purpose=purpose, state="granted"))
    html = letter(letters, mailbox, name).get_body(("html",)).get_content()
    url = unescape(re.findall(r"href='([^']+)'", html)[0])
    boxes = re.findall(r'name="([^"]+)" value="on" checked', visit(letters, url).body.decode())
    assert sorted(boxes) == ["consent email news", "consent sms a%20b", "consent sms%20a b"]
    visit(letters, url, urlencode({"consent sms a%20b": "on", "save": "1"}).encode())
    consent = letters.contact(name)["consent"]
    assert (consent["sms"], consent["sms a"]) == ({"a b": "granted"}, {"b": "denied"})


def test_a_contact_that_became_known_is_unsubscribed_where_it_went(letters: Server, mailbox: Mailbox) -> None:
    name = fresh("late")
    mail_address = f"{name}@example.com"
    by_mail = {"email": mail_address}
    letters.facts(
        fact("identify", by_mail, email=mail_address),
        fact("consent", by_mail, channel="email", purpose="news", state="granted"),
    )
    letters.facts(fact("wrote", by_mail))
    (mail,) = eventually(lambda: mailbox.to(mail_address), "the letter is there")
    letters.facts(fact("identify", {"user_id": name, "email": mail_address}, first_name="Late"))
    given = [("", "granted", "write", "news"), ("", "granted", "merge", "news")]
    assert states(letters, name) == given
    merged = letters.get(f"/v1/contacts/{name}/consent")["items"][0]
    assert merged["merged_from"] == f"email:{mail_address}"
    assert visit(letters, unsubscribe_url(mail.message), ONE_CLICK).status == 200
    assert letters.contact(name)["consent"] == {"email": {"news": "denied"}}


# --- the ledger ---------------------------------------------------------------------------------------------------


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Server]:
    with mail_server(tmp_path / "mail") as box, Server(tmp_path / "server", SMTP_URL=box.url) as running:
        yield running


def verified(server: Server) -> tuple[int, Any]:
    """The exit code of `overture consent verify`, and what it says."""
    environ = {**server.environ, "OVERTURE_PORT": str(server.port)}
    done = overture("consent", "verify", "--json", environ=environ, cwd=server.directory)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_the_ledger_holds_over_a_kill_and_an_erasure_and_shows_what_was_changed(own: Server) -> None:
    names = [f"reader{n}" for n in range(20)]
    for state in ("pending", "granted", "denied"):
        own.facts(*(consent(name, state) for name in names), wait=False)
    assert own.process is not None
    own.process.send_signal(signal.SIGKILL)
    own.process.wait(30)
    own.start()
    own.facts(*(consent(name, "granted") for name in names))
    own.drained()
    code, whole = verified(own)
    assert (code, whole["ok"], whole["links"], whole["erased"], whole["broken"]) == (0, True, 80, 0, [])
    assert sum(chain["links"] for chain in whole["chains"]) == 80

    p = partition_of("reader7", 16)
    with redis.Redis.from_url(json.loads((own.data / "store.json").read_text())["url"]) as store:
        numbers = [int(n) for n in store.lrange(keys.ledger_of(p, "reader7"), 0, -1)]  # type: ignore[union-attr]
        links: list[bytes] = store.lrange(keys.ledger(p), 0, -1)  # type: ignore[assignment]
        assert b"reader7" not in b"".join(links)
        kept = store.hmget(keys.ledger_details(p), [str(n) for n in numbers])
        assert erased(own, "reader8")["counts"]["consents"] == 4
        code, after = verified(own)
        assert (code, after["ok"], after["erased"], after["links"]) == (0, True, 4, 80)

        n = numbers[2]
        true = links[n - 1]
        lie = msgspec.structs.replace(msgspec.msgpack.decode(true, type=Link), after="granted")
        store.lset(keys.ledger(p), n - 1, msgspec.msgpack.encode(lie))  # type: ignore[arg-type]
        code, found = verified(own)
        assert (code, found["ok"]) == (1, False)
        assert [(b["partition"], b["link"]) for b in found["broken"]] == [(p, n)]
        store.lset(keys.ledger(p), n - 1, true)  # type: ignore[arg-type]

        store.hset(keys.ledger_details(p), str(n), kept[0])  # type: ignore[arg-type]
        assert [b["link"] for b in verified(own)[1]["broken"]] == [n]
        store.hset(keys.ledger_details(p), str(n), kept[2])  # type: ignore[arg-type]

        last = store.rpop(keys.ledger(p))
        assert [b["link"] for b in verified(own)[1]["broken"]] == [len(links)]
        store.rpush(keys.ledger(p), last)  # type: ignore[arg-type]
    assert verified(own)[0] == 0
