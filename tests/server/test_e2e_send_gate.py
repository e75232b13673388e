"""What the send gate does around the hand-off: approval, lateness, the rate of a channel."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote
from zoneinfo import ZoneInfo

import msgspec
import redis
from serverkit import Answer, Mailbox, Server, eventually, fact, fresh

from overture.model import Delivery
from overture.state import keys

DOCUMENT = """\
apiVersion: overture/v1
kind: Ruleset
name: letters
requires:
  channels: [email]
facts:
  asked: {}
  ordered: {n: number}
rules:
  letter:
    when: fact.type == "asked"
    then:
      - send: {channel: email, template: letter, purpose: transactional, approval: required}
  receipt:
    when: fact.type == "ordered"
    then:
      - send: {channel: email, template: receipt, purpose: transactional, late: 1h}
templates:
  letter: {subject: A letter, text: hello}
  receipt: {subject: "Receipt {{ fact.n }}", text: thanks}
"""


def settle(server: Server, message: dict[str, Any], verb: str) -> Answer:
    return server.call("POST", f"/v1/messages/{quote(message['id'], safe='')}/{verb}")


def test_a_message_waits_for_approval_and_its_channel_has_a_rate(tmp_path: Path, mailbox: Mailbox) -> None:
    with Server(tmp_path, RULESETS="", SMTP_URL=mailbox.url, CHANNEL_RATES="email=0.5") as server:
        server.deploy("letters", DOCUMENT)
        ada, bob = fresh("ada"), fresh("bob")
        for contact in (ada, bob):
            server.facts(fact("identify", contact, email=f"{contact}@example.com"), fact("asked", contact))
        (yes,), (no,) = server.messages(ada, "held"), server.messages(bob, "held")
        assert yes["reason"] == "approval.pending: It waits until somebody agrees to it."
        assert settle(server, yes, "retry").json["code"] == "message.not_approved"
        assert settle(server, no, "reject").status == 200
        assert settle(server, yes, "approve").status == 200
        assert [m["reason"] for m in server.messages(ada, "sent")] == [""]
        assert len(mailbox.to(f"{ada}@example.com")) == 1
        (dropped,) = server.messages(bob, "dropped")
        assert dropped["reason"] == "approval.rejected: Somebody with the key admin looked at it and said no."
        assert settle(server, no, "retry").json["code"] == "message.not_approved"
        for verb in ("approve", "reject"):
            assert settle(server, yes, verb).json["code"] == "message.not_held"
            assert settle(server, {"id": "no:such/message:0"}, verb).status == 404
        assert mailbox.to(f"{bob}@example.com") == []

        some = [fresh("c") for _ in range(3)]
        for contact in some:
            server.facts(fact("identify", contact, email=f"{contact}@example.com"), fact("ordered", contact, n=1))
        waiting = eventually(lambda: list(server.pages("/v1/messages?state=retrying")), "one waits for its turn")
        assert waiting[0]["reason"] == "channel.rate: The channel email takes no more messages a second."
        sent = lambda: [m for m in server.pages("/v1/messages?state=sent") if m["contact"] in some]  # noqa: E731
        assert [m["attempts"] for m in eventually(lambda: len(sent()) == 3 and sent(), "all have left")] == [1] * 3
        assert [len(mailbox.to(f"{contact}@example.com")) for contact in some] == [1] * 3


def night() -> tuple[str, str]:
    """A time zone where it is about midnight now, and one where it is about noon."""
    east = (24 - datetime.now(UTC).hour) % 24  # hours ahead of UTC
    zone = lambda hours: f"Etc/GMT{(-hours if hours <= 12 else 24 - hours):+d}"  # noqa: E731
    return zone(east), zone((east + 12) % 24)


def test_what_is_agreed_to_at_night_waits_for_the_morning(tmp_path: Path, mailbox: Mailbox) -> None:
    midnight, noon = night()
    with Server(tmp_path, RULESETS="", SMTP_URL=mailbox.url) as server:
        server.deploy("letters", NIGHTLY)
        ada, bob = fresh("ada"), fresh("bob")
        for contact, zone in ((ada, noon), (bob, noon)):
            server.facts(
                fact("identify", contact, email=f"{contact}@example.com", timezone=zone),
                fact("consent", contact, channel="email", purpose="lifecycle", state="granted"),
                fact("asked", contact),
                fact("hurried", contact),
            )
        letter, note = server.messages(ada, "held")
        server.facts(fact("identify", ada, timezone=midnight))
        assert settle(server, letter, "approve").status == 200
        (waits,) = (m for m in server.messages(ada, "held") if m["id"] == letter["id"])
        assert waits["reason"].startswith(
            "quiet.held: It came in the contact's quiet hours (22:00–06:00) and waits until"
        )
        for verb, code in (
            ("approve", "message.not_held"),
            ("reject", "message.not_held"),
            ("retry", "message.not_approved"),
        ):
            again = settle(server, letter, verb)
            assert (again.status, again.json["code"]) == (409, code)
        late = settle(server, note, "approve")
        assert (late.status, late.json["code"]) == (409, "message.suppressed")
        assert "quiet.expired: It came in the contact's quiet hours (22:00–06:00)" in late.json["detail"]
        (dropped,) = server.messages(ada, "dropped")
        assert (dropped["id"], dropped["reason"].partition(":")[0]) == (note["id"], "quiet.expired")
        assert settle(server, note, "retry").json["code"] == "message.not_approved"
        assert mailbox.to(f"{ada}@example.com") == []

        # By day both go, and the cap holds: the second waits for tomorrow.
        letter, note = server.messages(bob, "held")
        assert settle(server, letter, "approve").status == 200
        assert settle(server, note, "approve").json["code"] == "message.suppressed"
        assert len(server.messages(bob, "sent")) == 1
        assert "cap.expired" in server.messages(bob, "dropped")[0]["reason"]
        told = server.get(f"/v1/contacts/{bob}/explain?rule=asked")["messages"]
        assert [m["state"] for m in told] == ["sent"]
        moments = [m for m in server.timeline(bob) if m["fact"]["type"] == "$approval"]
        assert [m["fact"]["properties"]["by"] for m in moments] == ["admin", "admin"]
        posted = server.call("POST", "/v1/facts", fact("$approval", bob, message=letter["id"], agreed=True, by="me"))
        assert (posted.status, posted.json["code"]) == (400, "fact.type_reserved")


def test_what_is_too_late_is_refused_and_two_who_agree_send_one(tmp_path: Path, mailbox: Mailbox) -> None:
    with Server(tmp_path, RULESETS="", SMTP_URL=mailbox.url) as server:
        server.deploy("letters", NIGHTLY)
        ada, bob = fresh("ada"), fresh("bob")
        for contact in (ada, bob):
            server.facts(
                fact("identify", contact, email=f"{contact}@example.com"),
                fact("consent", contact, channel="email", purpose="lifecycle", state="granted"),
            )
        server.facts(fact("brief", ada), fact("opened", bob))
        (brief,), (opened,) = server.messages(ada), server.messages(bob)
        eventually(lambda: server.messages(ada, "dropped"), "its time is over")
        for verb in ("approve", "reject"):
            answer = settle(server, brief, verb)
            assert (answer.status, answer.json["code"]) == (409, "message.not_held")
            assert "late.expired" in answer.json["detail"]
        server.facts(fact("closed", bob))  # leaves the journey
        gone = settle(server, opened, "approve")
        assert (gone.status, gone.json["code"]) == (409, "message.not_held")
        assert "journey.left" in gone.json["detail"]

        server.facts(fact("letter", bob))
        (letter,) = server.messages(bob, "held")
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda _: settle(server, letter, "approve").status, range(4)))
        assert sorted(answers) == [200, 409, 409, 409]
        assert [m["id"] for m in server.messages(bob, "sent")] == [letter["id"]]
        assert len(mailbox.to(f"{bob}@example.com")) == 1


def test_what_waits_goes_along_with_who_becomes_known(tmp_path: Path, mailbox: Mailbox) -> None:
    with Server(tmp_path, RULESETS="", SMTP_URL=mailbox.url, PARTITIONS="4") as server:
        server.deploy("letters", NIGHTLY)
        ada, ghosts = fresh("ada"), [fresh("ghost") for _ in range(4)]  # some in another partition than ada
        for ghost in ghosts:
            server.facts(fact("letter", {"anonymous_id": ghost}))
        assert len(server.pages("/v1/messages?state=held")) == 4
        for ghost in ghosts:
            server.facts(fact("identify", {"user_id": ada, "anonymous_id": ghost}, email=f"{ada}@example.com"))
        held = eventually(lambda: len(server.messages(ada, "held")) == 4 and server.messages(ada), "all have come")
        assert len(server.pages("/v1/messages?limit=50")) == 4
        for message, verb in zip(held, ("approve", "approve", "approve", "reject"), strict=True):
            assert settle(server, message, verb).status == 200
        assert len(server.messages(ada, "sent")) == len(mailbox.to(f"{ada}@example.com")) == 3
        assert [m["id"] for m in server.messages(ada, "dropped")] == [held[3]["id"]]
        assert server.messages(ada, "held") == []


def test_what_only_the_outbox_knows_of_is_never_sent_and_can_be_rejected(tmp_path: Path, mailbox: Mailbox) -> None:
    with Server(tmp_path, RULESETS="", SMTP_URL=mailbox.url, PARTITIONS="1") as server:
        server.deploy("letters", NIGHTLY)
        ada = fresh("ada")
        server.facts(fact("identify", ada, email=f"{ada}@example.com"), fact("letter", ada))
        (letter,) = server.messages(ada, "held")
        assert settle(server, letter, "reject").status == 200
        with redis.Redis.from_url(json.loads((server.data / "store.json").read_text())["url"]) as store:
            key = keys.message(0, letter["id"])
            record = msgspec.msgpack.decode(cast(bytes, store.get(key)), type=Delivery)
            # As it was held before its contact knew of it.
            record.state, record.reason, record.queued_at = "held", "approval.pending: It waits.", 1
            store.set(key, msgspec.msgpack.encode(record))
            store.zadd(keys.messages(0, "held"), {letter["id"]: 1})
            store.zrem(keys.messages(0, "dropped"), letter["id"])
        approved = settle(server, letter, "approve")
        assert (approved.status, approved.json["code"]) == (409, "message.not_held")
        assert "knows nothing" in approved.json["detail"]
        assert len(server.messages(ada, "held")) == 1
        assert settle(server, letter, "reject").status == 200
        assert [m["reason"].partition(":")[0] for m in server.messages(ada, "dropped")] == ["approval.rejected"]
        assert settle(server, letter, "reject").json["code"] == "message.not_held"
        assert mailbox.to(f"{ada}@example.com") == []


def test_what_is_tried_again_at_night_waits_for_the_morning(tmp_path: Path, mailbox: Mailbox) -> None:
    midnight, noon = night()
    with Server(tmp_path, RULESETS="", SMTP_URL=mailbox.url) as server:
        server.deploy("letters", NIGHTLY)
        ada, bob = fresh("ada"), fresh("bob")
        messages: dict[str, Any] = {}
        for contact, type in ((ada, "asked"), (bob, "hurried")):
            server.facts(
                fact("identify", contact, email=f"{contact}@example.com", timezone=noon),
                fact("consent", contact, channel="email", purpose="lifecycle", state="granted"),
                fact(type, contact),
            )
            (messages[contact],) = server.messages(contact, "held")
            mailbox.script("defer")
            assert settle(server, messages[contact], "approve").status == 200
            eventually(lambda contact=contact: server.messages(contact, "retrying"), "the receiver asks for patience")
            server.facts(fact("identify", contact, timezone=midnight))
            assert settle(server, messages[contact], "retry").status == 200
        (waits,) = eventually(lambda: quiet(server, ada, "retrying"), "it waits for the morning")
        assert waits["reason"].startswith(
            "quiet.held: It came in the contact's quiet hours (22:00–06:00) and waits until"
        )
        until = datetime.fromisoformat(waits["due_at"]).astimezone(ZoneInfo(midnight))
        assert (until.hour, until.minute, until.second, waits["attempts"]) == (6, 0, 0, 0)
        assert until.isoformat() in waits["reason"]
        (dropped,) = eventually(lambda: quiet(server, bob, "dropped"), "that one goes now or never")
        assert dropped["reason"].startswith("quiet.expired: ")
        assert all(mailbox.to(f"{contact}@example.com") == [] for contact in (ada, bob))
        server.facts(fact("identify", ada, timezone=noon))
        assert settle(server, waits, "retry").status == 200
        assert len(server.messages(ada, "sent")) == 1
        assert len(mailbox.to(f"{ada}@example.com")) == 1


def quiet(server: Server, contact: str, state: str) -> list[Any]:
    return [m for m in server.messages(contact, state) if m["reason"].startswith("quiet.")]


NIGHTLY = """\
apiVersion: overture/v1
kind: Ruleset
name: letters
requires:
  channels: [email]
sending:
  quiet_hours: [{from: "22:00", to: "06:00", purposes: [lifecycle]}]
  caps: [{max: 1, within: 7d, purposes: [lifecycle]}]
facts:
  asked: {}
  hurried: {}
  brief: {}
  opened: {}
  closed: {}
  letter: {}
rules:
  asked:
    when: fact.type == "asked"
    then:
      - send: {channel: email, template: letter, purpose: lifecycle, approval: required}
  hurried:
    when: fact.type == "hurried"
    then:
      - send: {channel: email, template: letter, purpose: lifecycle, approval: required, if_held: expire}
  brief:
    when: fact.type == "brief"
    then:
      - send: {channel: email, template: letter, purpose: transactional, approval: required, late: 1s}
  letter:
    when: fact.type == "letter"
    then:
      - send: {channel: email, template: letter, purpose: transactional, approval: required}
journeys:
  case:
    enter_when: fact.type == "opened"
    exit_when: fact.type == "closed"
    steps:
      - {id: tell, send: {channel: email, template: letter, purpose: transactional, approval: required}}
      - {id: stay, wait: {for: 9d}}
templates:
  letter: {subject: A letter, text: hello}
"""


def test_explain_says_what_became_of_each_message(tmp_path: Path, mailbox: Mailbox) -> None:
    with Server(tmp_path, RULESETS="", SMTP_URL=mailbox.url) as server:
        server.deploy("letters", GATED)
        ada = fresh("ada")
        server.facts(
            fact("identify", ada, email=f"{ada}@example.com"),
            fact("consent", ada, channel="email", purpose="lifecycle", state="granted"),
            fact("cart", ada),
            fact("cart", ada),
        )
        server.facts(fact("offer", ada), fact("identify", ada, plan="gold"))
        (first,) = server.messages(ada)
        assert (first["rule"], first["state"]) == ("letters/cart", "sent")
        asked = ("rule=cart", "rule=offer", "segment=gold")
        cart, offer, gold = (server.get(f"/v1/contacts/{ada}/explain?{ask}")["messages"][-1] for ask in asked)
        assert (cart["state"], cart["template"]) == ("waiting", "letter")
        assert "taken by letters/cart), so it waits until 20" in cart["reason"]
        assert offer["state"] == "left_out"
        assert "has had as many messages as it may get (1 within 1d, taken by letters/cart)" in offer["reason"]
        assert gold["reason"].startswith("cap.held: ")
        timeline = server.get(f"/v1/contacts/{ada}/timeline")["items"]
        said = [e["sentence"] for moment in timeline for e in moment["effects"] if "sentence" in e]
        assert len(said) == 3


GATED = """\
apiVersion: overture/v1
kind: Ruleset
name: letters
requires:
  channels: [email]
sending:
  channels: {email: [html]}
  caps: [{max: 1, within: 1d, purposes: [lifecycle]}]
facts:
  cart: {}
  offer: {}
traits:
  plan: "string?"
segments:
  gold:
    when: contact.plan == "gold"
    on_enter:
      - send: {template: letter, purpose: lifecycle}
rules:
  cart:
    when: fact.type == "cart"
    then:
      - send: {template: letter, purpose: lifecycle}
  offer:
    when: fact.type == "offer"
    then:
      - send: {template: letter, purpose: lifecycle, if_held: expire}
templates:
  letter: {subject: A letter, text: hello}
"""
