"""A channel that is down over a weekend loses nothing: what surely was not taken waits for all of its three days, and
each contact's messages come in their order.
"""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

from serverkit import Mailbox, Server, eventually, fact

DOCUMENT = """\
apiVersion: overture/v1
kind: Ruleset
name: outage
requires: {channels: [email]}
facts: {asked: {n: int}}
rules:
  mail:
    when: fact.type == "asked"
    then: [{send: {channel: email, to: ada@example.com, template: t, purpose: transactional}}]
templates: {t: {subject: "{{ fact.n }}", text: x}}
"""


def test_nobody_listens_at_the_mail_server_for_days(tmp_path: Path) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen: refused
        url = f"smtp://127.0.0.1:{nobody.getsockname()[1]}"
        with Server(tmp_path, MOVABLE_CLOCK="true", SMTP_URL=url) as server:
            server.deploy("outage", DOCUMENT)
            server.facts(fact("asked", "ada", n=1))

            def message() -> Any:
                (one,) = server.messages("ada")
                return one

            server.advance("70h")
            waits = message()
            assert waits["state"] == "retrying", waits["reason"]
            assert waits["reason"].startswith("smtp.unreachable: ")
            assert waits["attempts"] > 70, "once an hour at least"
            server.advance("3h")
            gone = message()
            assert gone["state"] == "dead"
            assert gone["reason"].startswith("delivery.gave_up: After ")


def test_what_came_back_from_a_mail_server_goes_in_the_order_in_which_it_was_decided(
    tmp_path: Path, mailbox: Mailbox
) -> None:
    mailbox.script(*["defer"] * 20)
    before = len(mailbox.subjects("ada@example.com"))
    with Server(tmp_path, MOVABLE_CLOCK="true", SMTP_URL=mailbox.url) as server:
        server.deploy("outage", DOCUMENT)
        server.facts(*[fact("asked", "ada", n=n) for n in range(10)])
        server.advance("1m")
        eventually(lambda: len(server.get("/v1/messages?state=sent&limit=20")["items"]) == 10, "all of them went")
        assert mailbox.subjects("ada@example.com")[before:] == [str(n) for n in range(10)]
