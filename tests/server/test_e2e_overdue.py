"""What was due while nobody was there is done once when somebody is; where it is too late not at all, and says so."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path

from serverkit import Mailbox, Server, eventually, fact, fresh

DOCUMENT = """\
apiVersion: overture/v1
kind: Ruleset
name: overdue
requires: {channels: [email]}
facts:
  begun: {n: int}
journeys:
  any_time:
    enter_when: fact.type == "begun"
    steps:
      - {id: pause, wait: {for: 2s}}
      - {id: say, send: {channel: email, template: worth_it, purpose: transactional}}
      - {id: again, wait: {for: 1s}}
      - {id: more, send: {channel: email, template: still, purpose: transactional}}
  in_time:
    enter_when: fact.type == "begun"
    steps:
      - {id: pause, wait: {for: 2s}}
      - {id: say, send: {channel: email, template: stale, purpose: transactional, late: 1s}}
templates:
  worth_it: {subject: Worth it, text: x}
  still: {subject: Still, text: x}
  stale: {subject: Stale, text: x}
"""


def test_what_was_due_while_the_server_was_down(tmp_path: Path, mailbox: Mailbox) -> None:
    ada = fresh("ada")
    address = f"{ada}@example.com"
    with Server(tmp_path, RULESETS="", SMTP_URL=mailbox.url) as server:
        server.deploy("overdue", DOCUMENT)
        server.facts(fact("identify", ada, email=address), fact("begun", ada, n=1))
        dues = [datetime.fromisoformat(p["due"]).timestamp() for p in server.contact(ada)["journeys"]]
        assert server.stop() == 0
        assert mailbox.to(address) == []
        while time.time() < max(dues) + 2:  # past `late` of the one, and past both steps of the other
            time.sleep(0.1)
        server.start()
        eventually(lambda: server.contact(ada)["journeys"] == [], "both journeys are over")
        messages = {m["template"]: m for m in server.messages(ada)}
        assert {t: m["state"] for t, m in messages.items()} == {"worth_it": "sent", "still": "sent", "stale": "dropped"}
        assert messages["stale"]["reason"].startswith("late.expired: It could not be sent before ")
        assert [mail.message["Subject"] for mail in mailbox.to(address)] == ["Worth it", "Still"]
        instants = [m["fact"]["occurred_at"] for m in server.timeline(ada) if m["fact"]["type"] == "$tick"]
        assert datetime.fromisoformat(instants[0]).timestamp() == dues[0], "decided as of when it was due"
        assert server.stop() == 0
        server.start()
        server.settled()
        assert len(mailbox.to(address)) == 2, "once"
