"""Mails that tell when they are opened and which links are followed: what they carry, what becomes of it, and that
nobody is kept from where a link leads."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from serverkit import Answer, Mailbox, Server, eventually, fresh, mail_server

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
GMAIL = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
APPLE = "Mozilla/5.0"
DOCUMENT = """
apiVersion: overture/v1
kind: Ruleset
name: offers
requires: {channels: [email]}
facts:
  offered: {code: string}
  receipt: {}
scores:
  interest: {}
templates:
  offer:
    subject: An offer
    html: |-
      <html><body><p>Hello</p>
      <a class=x href="https://shop.example/a?x=1&amp;y={{ fact.code }}#top">A</a>
      <A HREF='http://shop.example/ü b'>B</A>
      <a href="https://shop.example/c" data-track="off">C</a> <a href="mailto:a@b.example">D</a> <a href="#top">E</a>
      <a href="{{ links.unsubscribe }}">No more</a>
      <a title="an href='https://shop.example/x'" href=https://shop.example/f>F</a>
      <!-- <a href="https://shop.example/hidden">G</a> --></body></html>
  untouched: {subject: Quiet, html: '<html data-track="off"><body><a href="https://shop.example/a">A</a></body></html>'}
  plain: {subject: Plain, text: 'https://shop.example/a'}
  receipt: {subject: Thanks, html: '<a href="https://shop.example/a">A</a>'}
rules:
  offer:
    when: fact.type == "offered"
    then:
      - send: {channel: email, template: offer, purpose: marketing}
      - send: {channel: email, template: untouched, purpose: marketing}
      - send: {channel: email, template: plain, purpose: marketing}
  receipt:
    when: fact.type == "receipt"
    then: [{send: {channel: email, template: receipt, purpose: transactional}}]
  interest:
    when: fact.type == "message.clicked" and not has(fact.machine)
    then: [{score: {name: interest, add: 1}}]
"""


@pytest.fixture(scope="module")
def mails(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mailbox]:
    with mail_server(tmp_path_factory.mktemp("mails")) as box:
        yield box


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, mails: Mailbox) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("trails")
    settings = {"SMTP_URL": mails.url, "TRACKING": "email=opens+clicks", "RULESETS": "", "MOVABLE_CLOCK": "true"}
    with Server(directory, **settings) as running:
        running.deploy("offers", DOCUMENT)
        yield running


def sent(server: Server, mails: Mailbox, type: str = "offered") -> tuple[str, dict[str, str]]:
    """Somebody, and the HTML of each mail that came, by its subject; it came half a minute ago."""
    user = fresh("ada")
    address = f"{user}@example.org"
    consent = {"channel": "email", "purpose": "marketing", "state": "granted"}
    server.facts(
        {"type": "identify", "contact": user, "properties": {"email": address}},
        {"type": "consent", "contact": user, "properties": consent},
        {"type": type, "contact": user, "properties": {"code": "7"} if type == "offered" else {}},
    )
    server.settled()
    server.advance("30s")
    found: dict[str, str] = {}
    for mail in mails.to(address):
        body = mail.message.get_body(("html",)) or mail.message.get_body(("plain",))
        assert body is not None
        found[str(mail.message["Subject"])] = body.get_content()
    return user, found


def hrefs(html: str) -> dict[str, str]:
    """Where each link leads, by its text."""
    shown = re.sub(r"<!--.*?-->", "", html, flags=re.DOTALL)
    tag = r"""<a\b(?:[^>"']|"[^"]*"|'[^']*')*?\shref=(?:["']([^"']*)["']|([^\s"'>]+))[^>]*>([^<]*)"""
    found: list[tuple[str, str, str]] = re.findall(tag, shown, re.IGNORECASE)
    return {text: unescape(url or bare) for url, bare, text in found}


def get(server: Server, url: str, agent: str = FIREFOX, method: str = "GET") -> Answer:
    """As whoever reads the mail does; the links lead to this server."""
    assert url.startswith(server.url), url
    return server.call(method, url.removeprefix(server.url), headers={"Authorization": "", "User-Agent": agent})


def reported(server: Server, user: str, type: str) -> list[Any]:
    return [m["fact"] for m in server.timeline(user) if m["fact"]["type"] == type]


def image(html: str) -> str:
    (found,) = re.findall(r'<img src="([^"]*)" width="1" height="1" alt="">', html)
    return unescape(found)


def test_what_a_mail_carries(server: Server, mails: Mailbox):
    _, html = sent(server, mails)
    links = hrefs(html["An offer"])
    for led in "ABF":
        assert links[led].startswith(f"{server.url}/c/"), led
    assert links["C"] == "https://shop.example/c"
    assert links["D"] == "mailto:a@b.example"
    assert links["E"] == "#top"
    assert links["No more"].startswith(f"{server.url}/subscription/")
    assert "https://shop.example/hidden" in html["An offer"]
    assert "title=\"an href='https://shop.example/x'\"" in html["An offer"]
    assert html["An offer"].index("<img") < html["An offer"].index("</body>")
    assert hrefs(html["Quiet"]) == {"A": "https://shop.example/a"}
    assert "<img" not in html["Quiet"] + html["Plain"]
    assert "https://shop.example/a" in html["Plain"]


def test_transactional_mails_tell_nothing(server: Server, mails: Mailbox):
    _, html = sent(server, mails, "receipt")
    assert hrefs(html["Thanks"]) == {"A": "https://shop.example/a"}
    assert "<img" not in html["Thanks"]


def test_a_link_that_is_followed(server: Server, mails: Mailbox):
    user, html = sent(server, mails)
    links = hrefs(html["An offer"])
    answer = get(server, links["A"])
    assert (answer.status, answer.headers["Location"]) == (302, "https://shop.example/a?x=1&y=7#top")
    assert answer.headers["Cache-Control"] == "no-store"
    (fact,) = reported(server, user, "message.clicked")
    (message,) = [m for m in server.messages(user) if m["template"] == "offer"]
    said = fact["properties"]
    assert said["url"] == "https://shop.example/a?x=1&y=7#top"
    assert (said["message"], said["template"], said["channel"]) == (message["id"], "offer", "email")
    assert said["address"] == f"{user}@example.org"
    assert "machine" not in said
    assert fact["context"]["browser"]["name"] == "Firefox"
    assert server.contact(user)["scores"]["interest"] == 1
    server.advance("1h")
    assert get(server, links["B"]).headers["Location"] == "http://shop.example/%C3%BC%20b"


def test_head_is_no_click(server: Server, mails: Mailbox):
    user, html = sent(server, mails)
    answer = get(server, hrefs(html["An offer"])["A"], method="HEAD")
    assert (answer.status, answer.headers["Location"]) == (302, "https://shop.example/a?x=1&y=7#top")
    assert get(server, image(html["An offer"]), method="HEAD").status == 200
    assert reported(server, user, "message.clicked") == reported(server, user, "message.opened") == []


@pytest.mark.parametrize(
    ("agent", "context", "machine"),
    [
        (FIREFOX, {"browser": {"name": "Firefox", "version": "140.0"}, "os": {"name": "Linux"}}, False),
        (GMAIL, {"proxy": "gmail"}, False),
        (APPLE, {"proxy": "apple"}, True),
        ("python-requests/2.31", {"bot": True}, True),
    ],
)
def test_a_mail_that_is_opened(
    server: Server, mails: Mailbox, agent: str, context: dict[str, Any], machine: bool
) -> None:
    user, html = sent(server, mails)
    answer = get(server, image(html["An offer"]), agent)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "image/gif")
    assert answer.body.startswith(b"GIF89a")
    eventually(lambda: reported(server, user, "message.opened"), "the opening is told")
    (fact,) = reported(server, user, "message.opened")
    assert fact["context"] == {"source": "tracking", **context}
    assert fact["properties"].get("machine", False) is machine
    habits = [e for m in server.timeline(user) for e in m["effects"] if e["kind"] == "habit"]
    assert bool(habits) is not machine


def test_a_scanner(server: Server, mails: Mailbox):
    """It calls itself a browser, and follows every link at once."""
    user, html = sent(server, mails)
    links = hrefs(html["An offer"])
    for led in "ABF":
        assert get(server, links[led]).status == 302
    clicks = reported(server, user, "message.clicked")
    assert [c["properties"].get("machine", False) for c in clicks] == [False, True, True]
    assert clicks[-1]["context"]["scanner"] is True
    assert server.contact(user)["scores"]["interest"] == 1


def test_who_asks_for_the_image_without_end(server: Server, mails: Mailbox):
    """It is shown all the same, and links lead on; no more facts come of it."""
    user, html = sent(server, mails)
    for _ in range(50):
        assert get(server, image(html["An offer"])).status == 200
    eventually(lambda: len(reported(server, user, "message.opened")) == 50, "all are told")
    assert get(server, image(html["An offer"])).status == 200
    for led in "ABF":
        assert get(server, hrefs(html["An offer"])[led]).status == 302
    assert reported(server, user, "message.clicked") == []
    assert len(reported(server, user, "message.opened")) == 50


def test_what_is_none_of_ours(server: Server, mails: Mailbox):
    _, html = sent(server, mails)
    links = hrefs(html["An offer"])
    token = links["A"].rpartition("/")[2]
    for wrong in (token[:-1] + ("A" if token[-1] != "A" else "B"), "x", links["No more"].rpartition("/")[2]):
        answer = get(server, f"{server.url}/c/{wrong}?url=https://evil.example")
        assert answer.status == 404
        assert "Location" not in answer.headers
        assert get(server, f"{server.url}/o/{wrong}.gif").status == 404
    assert get(server, f"{server.url}/subscription/{token}").status == 404
    opened = image(html["An offer"]).rpartition("/")[2].removesuffix(".gif")
    assert get(server, f"{server.url}/c/{opened}").status == 404  # it leads nowhere


def test_the_store_is_away(server: Server, mails: Mailbox):
    """Whoever follows a link is led on; the click is told once the store is back."""
    user, html = sent(server, mails)
    old = server.process_of("valkey")

    os.kill(old, signal.SIGKILL)
    answer = get(server, hrefs(html["An offer"])["A"])
    assert answer.status == 302
    server.new_store(old)
    eventually(lambda: reported(server, user, "message.clicked"), "the click is told")


def test_without_being_asked_nothing_is_followed(tmp_path: Path, mails: Mailbox):
    with Server(tmp_path, SMTP_URL=mails.url, RULESETS="", MOVABLE_CLOCK="true") as server:
        server.deploy("offers", DOCUMENT)
        _, html = sent(server, mails)
        assert hrefs(html["An offer"])["F"] == "https://shop.example/f"
        assert "<img" not in html["An offer"]
