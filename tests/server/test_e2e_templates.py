"""Templates on a real server: blocks pinned to the decision, locks, previews, and one that ends its renderer."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from serverkit import Mailbox, Server, fact, fresh

HEAD = "apiVersion: overture/v1\nkind: Ruleset\n"
BRAND = (
    HEAD
    + """name: brand
blocks:
  letter:
    locked: true
    text: '{% block body %}{% endblock %} {% include "footer" %}'
  footer: {locked: true, text: Example Ltd}
"""
)
SHOP = (
    HEAD
    + """name: shop
requires: {channels: [email], blocks: [brand/letter]}
facts: {ordered: {total: number, until: datetime}, doubled: {}}
traits: {locale: "string?"}
rules:
  ordered:
    when: fact.type == "ordered"
    then:
      - send: {channel: email, template: thanks, purpose: transactional, approval: required}
  doubled:
    when: fact.type == "doubled"
    then:
      - send: {channel: email, template: doubled, purpose: transactional}
templates:
  thanks:
    subject: 'Thank you for {{ fact.total | money("EUR") }}'
    text: '{% extends "brand/letter" %}{% block body %}Until {{ fact.until | datetime("d MMMM H:mm") }}.{% endblock %}'
  doubled:
    subject: Hello
    text: "{% set a = 'xxxxxxxx' %}DOUBLED{{ a }}"
"""
).replace("DOUBLED", "{% set a = a ~ a %}" * 40)


def test_what_a_message_says_is_what_its_blocks_said_when_it_was_decided(tmp_path: Path, mailbox: Mailbox) -> None:
    with Server(tmp_path, RULESETS="", SMTP_URL=mailbox.url, LOCALE="de-AT") as server:
        server.deploy("brand", BRAND)
        server.deploy("shop", SHOP)
        ada, bob = fresh("ada"), fresh("bob")
        who = fact("identify", ada, email=f"{ada}@example.com", timezone="Europe/Vienna")
        server.facts(who, fact("ordered", ada, total=12.5, until="2026-03-01T23:30:00Z"))
        server.facts(fact("identify", bob, email=f"{bob}@example.com"), fact("doubled", bob))

        later = BRAND.replace("footer: {locked: true, text: Example Ltd}", "footer: {text: Other Ltd}")
        server.deploy("brand", later)
        (held,) = server.messages(ada, "held")
        assert server.call("POST", f"/v1/messages/{quote(held['id'], safe='')}/approve").status == 200
        assert len(server.messages(ada, "sent")) == 1
        (mail,) = mailbox.to(f"{ada}@example.com")
        assert mail.message["Subject"].replace("\xa0", " ") == "Thank you for € 12,50"
        assert mail.message.get_content().strip() == "Until 2 März 0:30. Example Ltd"

        (dropped,) = server.messages(bob, "dropped")
        assert dropped["reason"].partition(":")[0] in ("template.crashed", "template.too_slow")

        asked = {"ruleset": "shop", "template": "thanks", "contact": ada, "data": {"fact": {"total": 3}}}
        shown = server.call("POST", "/v1/templates/preview", asked).json
        assert shown["subject"].replace("\xa0", " ") == "Thank you for € 3,00"
        assert shown["text"].endswith("Other Ltd")
        asked = {"document": SHOP.replace("fact.total |", "fact.totl |"), "template": "thanks"}
        wrong = server.call("POST", "/v1/templates/preview", asked)
        assert (wrong.status, wrong.json["code"]) == (422, "ruleset.invalid")

        cheap = SHOP.replace("templates:\n", "blocks:\n  brand/letter: {text: Cheap}\ntemplates:\n")
        refused = server.activate("shop", server.put("shop", cheap))
        assert [error["code"] for error in refused.json["errors"]] == ["block.locked"]
