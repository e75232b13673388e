"""Mail that comes back, the whole way: a real server sends through a real MTA, whose reports come to the source."""

from __future__ import annotations

import smtplib
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from mailkit import Haraka, MailPeer, dkim_key, free_port
from serverkit import Server, eventually, fact, fresh

KEY = "key-of-this-test-and-no-other"
PEM, PUBLIC = dkim_key("rsa")
RULES = """\
apiVersion: overture/v1
kind: Ruleset
name: calling
requires: {channels: [email]}
facts: {called: {name: string}}
traits: {unreachable: "string?"}
rules:
  call:
    when: fact.type == "called"
    then:
      - send: {channel: email, template: call, purpose: marketing}
  note:
    when: fact.type == "message.bounced" and has(fact.status)
    then:
      - set: {unreachable: =fact.status}
templates:
  call:
    subject: Hello {{ fact.name }}
    mjml: |
      <mjml>
        <mj-body>
          <mj-section><mj-column>
            <mj-text>Hello {{ fact.name }}</mj-text>
            <mj-button href="https://example.com/?a=1">Look</mj-button>
          </mj-column></mj-section>
        </mj-body>
      </mjml>
"""


@dataclass(frozen=True)
class House:
    server: Server
    peer: MailPeer
    port: int  # of the source

    def mailed(self, contact: str, address: str) -> str:
        """A contact gets one message; answers its id."""
        self.server.facts(
            fact("identify", contact, email=address),
            fact("consent", contact, channel="email", purpose="marketing", state="granted"),
            fact("called", contact, name="<Ada & Co>"),
        )
        (message,) = self.server.messages(contact)
        assert message["state"] == "sent", message
        return message["id"]

    def came_back(self, contact: str, type: str = "message.bounced") -> dict[str, Any]:
        """The only fact of that type, once it has come."""

        def found() -> list[Any]:
            moments = self.server.timeline(contact)
            return [moment["fact"] for moment in moments if moment["fact"]["type"] == type]

        (told,) = eventually(found, f"{type} about {contact}")
        return told

    def post(self, to: str, mail: str) -> None:
        with smtplib.SMTP("127.0.0.1", self.port, timeout=20) as client:
            client.sendmail("", [to], mail.replace("\n", "\r\n").encode())

    def refused(self) -> list[Any]:
        return [each for each in self.server.get("/v1/sources/refused?limit=50") if each["source"] == "bounces"]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    here = tmp_path_factory.mktemp("house")
    port = free_port()
    (here / "bounce-key").write_text(KEY + "\n")
    (here / "dkim.pem").write_text(PEM)
    with (
        MailPeer(dns={"s1._domainkey.example.org": PUBLIC}) as peer,
        Haraka(tmp_path_factory.mktemp("haraka"), {"back.example.org": port, "*": peer.port}) as haraka,
    ):
        (here / "overture.toml").write_text(f"""
[channels.email]
url = "{haraka.url}"
sender = "News <news@example.org>"
bounces = "bounces+{{token}}@back.example.org"
bounce_key = "file:bounce-key"
dkim = {{ domain = "example.org", selector = "s1", key = "file:dkim.pem" }}

[sources.bounces]
address = "bounces+{{token}}@back.example.org"
key = "file:bounce-key"
listen = "127.0.0.1:{port}"
feedback = ["fbl@back.example.org"]
""")
        with Server(here, RULESETS="") as server:
            server.deploy("calling", RULES)
            yield House(server, peer, port)


def test_what_an_mta_delivers_is_signed_and_read(house: House):
    ada = fresh("ada-")
    house.mailed(ada, f"{ada}@example.com")
    mail = house.peer.mail(f"{ada}@example.com")
    assert [each["result"] for each in mail["dkim"]] == ["pass"]
    assert mail["subject"] == "Hello <Ada & Co>"
    assert "Hello <Ada & Co>" in mail["text"]
    assert "Look (https://example.com/?a=1)" in mail["text"]
    assert "&lt;Ada" in mail["html"]
    assert "<mj" not in mail["html"]
    url = mail["list"]["unsubscribe"]["url"]
    assert len(url) > 76
    assert (
        house.server.call("POST", url.partition(str(house.server.port))[2], b"List-Unsubscribe=One-Click").status == 200
    )
    assert house.server.contact(ada)["consent"]["email"]["marketing"] == "denied"


def test_a_hard_bounce_reaches_its_message_and_suppresses_the_address(house: House):
    ada, eve = fresh("ada-"), fresh("eve-")
    gone, there = f"550-5.1.1-{ada}@example.com", f"{eve}@example.com"
    id = house.mailed(ada, gone)
    house.mailed(eve, there)
    told = house.came_back(ada)
    assert told["source"] == "bounces"
    assert told["properties"] == {
        "channel": "email", "message": id, "template": "call", "attempts": 1, "address": gone, "permanent": True,
        "reason": "bounced", "status": "5.1.1", "detail": "550 5.1.1 As you asked", "description": "127.0.0.1",
    }  # fmt: skip
    contact = house.server.contact(ada)
    assert contact["suppressed"] == {f"email:{gone}": "bounce"}
    assert contact["traits"]["unreachable"] == "5.1.1"
    house.server.facts(fact("called", ada, name="Ada"))
    assert [m["reason"].partition(":")[0] for m in house.server.messages(ada, "dropped")] == ["suppressed.bounce"]
    assert house.server.contact(eve)["suppressed"] == {}


def test_a_soft_bounce_suppresses_nothing(house: House):
    ada = fresh("ada-")
    id = house.mailed(ada, f"550-5.7.1-{ada}@example.com")
    said = house.came_back(ada)["properties"]
    assert (said["message"], said["permanent"], said["status"], said["reason"]) == (id, False, "5.7.1", "blocked")
    assert house.server.contact(ada)["suppressed"] == {}


def returned(house: House, contact: str) -> tuple[str, str, str]:
    """Of a message that the contact got: its id, the address that it comes back to, and its header with the id."""
    address = f"{contact}@example.com"
    id = house.mailed(contact, address)
    mail = house.peer.mail(address)
    return id, mail["sender"], f"X-Overture-Message: {id}"


DSN = """\
From: MAILER-DAEMON@mx.example.net
To: <{to}>
Subject: {action}
Message-ID: <{name}@mx.example.net>
Content-Type: multipart/report; report-type=delivery-status; boundary=b

--b
Content-Type: text/plain

Sorry.
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.net

Final-Recipient: rfc822; someone@else.example
Action: {action}
Status: {status}
Diagnostic-Code: smtp; {told}

--b
Content-Type: message/rfc822

Subject: Hello
{header}

Hello
--b--
"""


@pytest.mark.parametrize(
    ("action", "status", "told", "type", "expected"),
    [
        ("delayed", "4.4.1", "450 greylisted", "message.deferred", {"status": "4.4.1", "reason": "other"}),
        ("delivered", "2.0.0", "250 ok", "message.delivered", {"detail": "250 ok"}),
        ("failed", "5.0.0", "550 5.1.1 nobody", "message.bounced", {"status": "5.1.1", "permanent": True}),
        ("failed", "5.0.0", "550 nobody", "message.bounced", {"status": "5.0.0", "permanent": True}),
        ("failed", "5.2.2", "552 5.2.2 full", "message.bounced", {"permanent": False, "reason": "other"}),
        ("failed", "4.4.7", "expired", "message.bounced", {"permanent": False, "reason": "timed_out"}),
        ("failed", "5.1.8", "550 5.1.8 your domain", "message.bounced", {"permanent": False}),
        ("expanded", "2.0.0", "", "email_unknown", {}),
    ],
)
def test_what_a_report_says(house: House, action: str, status: str, told: str, type: str, expected: dict[str, Any]):
    ada = fresh("ada-")
    id, to, header = returned(house, ada)
    report = DSN.format(to=to, name=ada, action=action, status=status, told=told, header=header)
    for recipient in (to, to.upper()):  # sent twice, and by a server that does not keep the case
        house.post(recipient, report)
    said = house.came_back(ada, type)["properties"]
    assert (said["message"], said["address"]) == (id, f"{ada}@example.com")
    assert said | expected == said


def test_a_report_that_only_quotes_the_mail_is_known_too(house: House):
    ada = fresh("ada-")
    id, to, header = returned(house, ada)
    house.post(
        to, f"Subject: failure notice\n\nHi. This is the program.\n\n--- Below is a copy\n\nFrom: x\n{header}\n\nHello"
    )
    said = house.came_back(ada, "email_unknown")["properties"]
    assert (said["message"], said["description"]) == (id, "failure notice")
    assert house.server.contact(ada)["suppressed"] == {}


def test_a_complaint_names_the_address_that_the_mail_came_from(house: House):
    ada = fresh("ada-")
    id, to, header = returned(house, ada)
    complaint = f"""\
From: <feedback@isp.example>
Subject: complaint
Content-Type: multipart/report; report-type=feedback-report; boundary=b

--b
Content-Type: message/feedback-report

Feedback-Type: abuse
User-Agent: SomeGenerator/1.0
Version: 1
Original-Mail-From: <{to}>

--b
Content-Type: message/rfc822

Subject: Hello
{header}

Hello
--b--
"""
    house.post("fbl@back.example.org", complaint)
    said = house.came_back(ada, "message.complained")["properties"]
    assert (said["message"], said["reason"], said["user_agent"]) == (id, "spam", "SomeGenerator/1.0")
    assert house.server.contact(ada)["suppressed"] == {f"email:{ada}@example.com": "complaint"}


def test_nobody_can_say_so_of_a_message_that_came_to_another(house: House):
    ada, eve = fresh("ada-"), fresh("eve-")
    _, _, of_ada = returned(house, ada)
    _, to_eve, _ = returned(house, eve)
    made_up = "bounces+" + "a" * 24 + "@back.example.org"
    before = len(house.refused())
    for to in (to_eve, made_up, "fbl@back.example.org"):
        house.post(to, DSN.format(to=to, name=fresh("n"), action="failed", status="5.1.1", told="550", header=of_ada))
    refused = house.refused()
    assert len(refused) == before + 3
    assert {each["code"] for each in refused[:3]} == {"source.bounce"}
    assert house.server.contact(ada)["suppressed"] == house.server.contact(eve)["suppressed"] == {}


@pytest.mark.parametrize(
    "mail",
    ["", "\n\n\n", "Subject: =?x?q?\x00?=\n\nx", "Content-Type: multipart/report; boundary=b\n\n" + "--b\n" * 3000,
     "Content-Type: multipart/mixed; boundary=b\n" * 400 + "\n--b\n",
     "Content-Type: message/delivery-status\n\nx\n\ny"],
)  # fmt: skip
def test_what_is_no_report_is_taken_and_recorded(house: House, mail: str):
    house.post("bounces+" + "b" * 24 + "@back.example.org", mail)
    assert house.refused()[0]["code"] == "source.bounce"


def test_nobody_else_gets_mail_there(house: House):
    with smtplib.SMTP("127.0.0.1", house.port, timeout=20) as client:
        for to in (
            "postmaster@back.example.org",
            "bounces@back.example.org",
            "bounces+x@back.example.org",
            "a@b.example",
        ):
            with pytest.raises(smtplib.SMTPRecipientsRefused):
                client.sendmail("", [to], b"Subject: x\r\n\r\nx")
        with pytest.raises(smtplib.SMTPSenderRefused, match="exceeds"):
            client.sendmail("", ["fbl@back.example.org"], b"x" * (3 * 2**20))


def test_more_connections_than_it_may_have_are_sent_away(house: House):
    said: list[bytes] = []
    with ExitStack() as stack:
        for _ in range(60):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", house.port), timeout=20))
            said.append(client.recv(3))
    assert (set(said), said[:40]) == ({b"220", b"421"}, [b"220"] * 40)
    eventually(lambda: takes(house.port), "it takes others again")


def takes(port: int) -> bool:
    try:
        smtplib.SMTP("127.0.0.1", port, timeout=20).quit()
    except smtplib.SMTPConnectError:
        return False
    return True
