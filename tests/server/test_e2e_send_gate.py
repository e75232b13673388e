"""What the send gate does around the hand-off: approval, lateness, the rate of a channel."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

from serverkit import Answer, Mailbox, Server, eventually, fact, fresh

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
