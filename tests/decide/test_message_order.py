"""Messages of a contact are numbered in the order in which they were decided, also those of one instant."""

from __future__ import annotations

from decidekit import Show, made, plan

SENDING = """\
facts: {seen: {}}
requires: {channels: [webhook]}
rules:
  one: {when: fact.type == "seen", then: [{send: {channel: webhook, to: "https://a.example", template: t, purpose: x}}]}
  two: {when: fact.type == "seen", then: [{send: {channel: webhook, to: "https://b.example", template: t, purpose: x}}]}
templates: {t: {text: Hello}}
"""


def test_each_message_has_a_place_among_those_of_its_contact() -> None:
    show = Show(plan(SENDING))
    first = made("seen", 1)
    for n in range(3):  # accepted together
        show.take(type(first)(f"f{n}", "seen", "ada", first.occurred_at, first.accepted_at, {}))
    messages = [message for step in show.steps for message in step.messages]
    assert len({message.created_at for message in messages}) == 1
    orders = [message.order for message in messages]
    assert len(orders) == 6
    assert orders == sorted(set(orders))
