"""A contact that is erased is as one that never was, whatever it did, and whatever it does later."""

from __future__ import annotations

from typing import Any

from decidekit import Show, encode, made, shipped
from hypothesis import given, settings
from hypothesis import strategies as st
from test_step_properties import FACTS, kind

from overture.decide.erasure import ERASE
from overture.decide.step import step
from overture.model import Contact, Fact

PLAN = shipped("reference")
MORE = st.lists(
    st.one_of(
        kind("cart_abandoned", cart=st.sampled_from("ab")),
        kind("signed_up"),
        kind("order_completed", order_id=st.sampled_from("12"), total=st.just(10)),
        kind("consent", channel=st.just("email"), purpose=st.just("welcome"), state=st.just("granted")),
    ),
    max_size=6,
)
OURS = st.sampled_from(["$tick", "$program", "$approval"])


def erasing(n: int) -> Fact:
    return made(ERASE, n, 0, {"erasure": "er-1"})


@settings(max_examples=60)
@given(FACTS, MORE, FACTS)
def test_nothing_of_before_is_remembered(before: list[Any], more: list[Any], after: list[Any]) -> None:
    once, anew = Show(PLAN), Show(PLAN)
    for n, (type, properties) in enumerate([*before, *more]):
        once.take(made(type, n, 0, properties))
    held = once.contact
    gone = once.take(erasing(100))
    assert encode(once.contact) == encode(Contact("ada"))
    assert (gone.messages, gone.forwards, gone.records, gone.kept) == ([], [], [], False)
    ended = [e for e in gone.trace.effects if e.kind == "journey"]
    assert [e.name for e in ended] == [p.journey for p in held.journeys]
    assert set(gone.segments) == set(held.segments)
    assert set(gone.scores.values()) <= {None}
    for n, (type, properties) in enumerate(after, 200):
        left, right = (show.take(made(type, n, 0, properties)) for show in (once, anew))
        assert encode(left) == encode(right)


@settings(max_examples=60)
@given(FACTS, OURS)
def test_what_of_ours_comes_late_brings_nobody_back(before: list[Any], type: str) -> None:
    show = Show(PLAN)
    for n, (each, properties) in enumerate(before):
        show.take(made(each, n, 0, properties))
    show.take(erasing(100))
    late = show.take(made(type, 101, 0, {"version": 1, "of": "ada", "message": "m", "agreed": True, "key": "k"}))
    assert (late.kept, late.contact.seq, late.messages) == (False, 0, [])


def test_one_that_became_part_of_another_goes_as_well() -> None:
    weaker = Show(PLAN, "anonymous_id:a")
    weaker.fact("page_viewed", path="/sales")
    weaker.fact("$link", into="ada")
    assert weaker.contact.merged_into == "ada"
    gone = step(weaker.contact, made(ERASE, 9, 0, {"erasure": "er-1"}, "anonymous_id:a"), PLAN, 0)
    assert (gone.contact, gone.erases, gone.forwards) == (Contact("anonymous_id:a"), True, [])
    weaker.contact = gone.contact
    assert not weaker.fact("page_viewed", path="/sales").forwards
