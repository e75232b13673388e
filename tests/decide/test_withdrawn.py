"""What waits at the send gate goes no more when the contact has left the journey that wanted it sent."""

from __future__ import annotations

from datetime import datetime

import pytest
from decidekit import HEAD
from gatekit import HOUR, Gated, gates
from hypothesis import given, settings
from hypothesis import strategies as st

from overture.decide import Plan
from overture.model import Fact
from overture.model.reasons import sentence
from overture.rules import link, load

CART = """
requires: {channels: [email, sms]}
sending:
  channels: {email: [], sms: []}
  quiet_hours: [{from: "21:00", to: "08:00", purposes: [lifecycle]}]
facts: {cart_updated: {cart: string}, paid: {cart: string}, bought: {cart: string}, halt: {}}
segments: {thanked: {}}
templates: {reminder: {subject: x, text: "{{ journey.key }}"}, thanks: {subject: x, text: x}}
rules:
  halt: {when: fact.type == "halt", then: [{stop: cart}]}
journeys:
  cart:
    enter_when: fact.type == "cart_updated"
    key: fact.cart
    reentry: always
    restart_when: fact.type == "cart_updated" and fact.cart == journey.key
    exit_when: fact.type == "paid" and fact.cart == journey.key
    goal: fact.type == "bought" and fact.cart == journey.key
    on_redeploy: exit
    steps:
      - {id: pause, wait: {for: 1h}}
      - {id: remind, send: {channel: email, template: reminder, purpose: lifecycle}}
      - {id: stay, wait: {for: STAY}}
"""
EVENING, MORNING = (
    int(datetime.fromisoformat(text).timestamp() * 1000)
    for text in ("2026-03-20T21:30:00+01:00", "2026-03-21T08:00:00+01:00")
)


def plan(stay: str = "3d", version: int = 1, changed: str = "") -> Plan:
    return Plan(link([load(HEAD.format(name="shop") + CART.replace("STAY", stay) + changed)], version), "reference")


def held(stay: str = "3d", contact: str = "ada") -> Gated:
    """A contact whose reminder waits for the morning."""
    ada = Gated(plan(stay), EVENING, contact=contact)
    ada.post("cart_updated", cart="c1")
    ada.until(EVENING + 2 * HOUR)
    assert [w.reason for w in ada.contact.waiting] == ["quiet.held"]
    return ada


@pytest.mark.parametrize(
    ("type", "how"), [("paid", "exit"), ("bought", "goal"), ("cart_updated", "restart"), ("halt", "stopped")]
)
def test_a_reminder_that_waits_goes_no_more_when_its_position_ends_or_begins_anew(type: str, how: str) -> None:
    ada = held()
    message = ada.contact.waiting[0].message
    came = ada.post(type, 7 * HOUR, cart="c1")  # at half past six
    (verdict,) = gates(came)
    assert (verdict.name, verdict.key, verdict.reason) == ("reminder", message.id, "journey.left")
    said = sentence(verdict.reason, before=verdict.before)
    assert said == f"While it waited, the contact left the step of the journey that sends it (shop/cart: {how})."
    assert ada.contact.waiting == []
    ada.until(MORNING + 30 * 60_000)
    assert message.id not in {sent.id for sent in ada.sent}
    assert len(ada.sent) == (how == "restart"), "who begins anew is reminded anew"


def test_a_reminder_for_another_cart_still_goes() -> None:
    ada = held()
    ada.post("paid", cart="c2")
    ada.until(MORNING)
    assert [m.created_at for m in ada.sent] == [EVENING + HOUR]


def test_who_has_come_to_the_end_of_a_journey_still_gets_what_it_sent() -> None:
    ada = held(stay="1h")
    ada.until(MORNING)
    assert ada.contact.journeys == []
    assert len(ada.sent) == 1


def test_a_deploy_that_ends_a_journey_takes_back_what_waits() -> None:
    ada = held()
    ada.plan = plan(version=2, changed="description: other\n")
    (verdict,) = gates(ada.post("identify"))
    assert (verdict.reason, verdict.before) == ("journey.left", "shop/cart: redeployed")
    ada.until(MORNING)
    assert ada.sent == []


def test_of_two_positions_that_become_one_only_one_message_goes() -> None:
    ada, ghost = held(), held(contact="anonymous_id:x")
    (merge,) = ghost.take(Fact("l", "$link", ghost.contact.id, ada.now, ada.now, {"into": "ada"})).forwards
    merged = ada.take(merge)
    assert [(e.reason, e.before) for e in gates(merged)] == [("journey.left", "shop/cart: merged")]
    ada.until(MORNING)
    assert len(ada.sent) == 1


COMES = st.lists(
    st.tuples(
        st.sampled_from(["cart_updated", "paid", "bought", "halt", "look"]),
        st.sampled_from(["c1", "c2"]),
        st.integers(0, 9 * 60),
    ),
    min_size=1,
    max_size=20,
)


@settings(max_examples=60)
@given(COMES)
def test_nothing_of_a_position_goes_after_it_was_left(comes: list[tuple[str, str, int]]) -> None:
    ada = Gated(plan("99w"), EVENING)  # nobody comes to the end
    seen: set[str] = set()
    standing: set[str] = set()
    for type, cart, minutes in [*comes, ("look", "", 12 * 60)]:
        before, left = len(ada.sent), seen - standing
        if type == "look":
            ada.until(ada.now + minutes * 60_000)
        else:
            ada.post(type, minutes * 60_000, cart=cart)
        assert left.isdisjoint(message.position for message in ada.sent[before:])
        standing = {position.id for position in ada.contact.journeys}
        seen |= standing
        assert standing.issuperset(waiting.message.position for waiting in ada.contact.waiting)
