"""What consent facts, links between contacts and `list_changed` do to what a contact agrees to."""

from __future__ import annotations

import pytest
from decidekit import Show, made, plan

from overture.decide import consent_verdict

LISTS = plan("lists: {news: {channel: email, purpose: marketing}, testers: {}}\n")


def told(show: Show) -> list[tuple[object, ...]]:
    return [(e.kind, e.name, e.key, e.before, e.after, e.reason) for e in show.steps[-1].trace.effects]


def say(show: Show, state: str) -> list[tuple[object, ...]]:
    show.fact("consent", channel="email", purpose="marketing", state=state)
    return told(show)


def test_a_consent_that_waits_to_be_confirmed_allows_nothing() -> None:
    show = Show(LISTS)
    assert say(show, "pending") == [("consent", "email", "marketing", None, "pending", "")]
    assert consent_verdict(show.contact, "email", "marketing") == "consent.pending"
    assert say(show, "granted") == [("consent", "email", "marketing", "pending", "granted", "")]
    assert consent_verdict(show.contact, "email", "marketing") == ""
    assert say(show, "pending") == [("consent", "email", "marketing", None, None, "consent.granted")]
    assert consent_verdict(show.contact, "email", "marketing") == ""
    assert say(show, "denied") == [("consent", "email", "marketing", "granted", "denied", "")]
    assert say(show, "pending") == [("consent", "email", "marketing", "denied", "pending", "")]


def test_a_contact_joins_a_list_with_the_consent_that_it_asks_for() -> None:
    show = Show(LISTS)
    say(show, "pending")
    show.fact("list_changed", list="news", state="joined")
    assert told(show) == [("list", "news", "", None, None, "consent.pending")]
    say(show, "granted")
    show.fact("list_changed", list="news", state="joined")
    assert told(show) == [("list", "news", "", False, True, "")]
    show.fact("list_changed", list="testers", state="joined")
    assert sorted(show.contact.lists) == ["news", "testers"]
    show.fact("list_changed", list="news", state="left")
    assert sorted(show.contact.lists) == ["testers"]


@pytest.mark.parametrize("said", [{"list": "other", "state": "joined"}, {"list": "news", "state": "in"}, {"list": 7}])
def test_a_list_that_nobody_declares_is_not_joined(said: dict[str, object]) -> None:
    show = Show(LISTS)
    show.fact("list_changed", **said)
    ((kind, _, _, _, _, reason),) = told(show)
    assert (kind, reason, show.contact.lists) == ("list", "list.unknown", {})


@pytest.mark.parametrize(
    ("theirs", "ours", "after"),
    [
        ("granted", None, "granted"),
        ("pending", None, "pending"),
        ("pending", "granted", "granted"),
        ("granted", "pending", "granted"),
        ("denied", "granted", "denied"),
        ("granted", "denied", "denied"),
        ("granted", "granted", "granted"),
    ],
)
def test_linking_tells_which_consent_it_changes(theirs: str, ours: str | None, after: str) -> None:
    weaker, known = Show(LISTS, "anonymous_id:a"), Show(LISTS)
    say(weaker, theirs)
    if ours:
        say(known, ours)
    (merge,) = weaker.take(made("$link", 90, 0, {"into": "ada"}, "anonymous_id:a")).forwards
    known.take(merge)
    assert known.contact.consent == {"email": {"marketing": after}}
    changed = [("consent", "email", "marketing", ours, after, "")] if after != ours else []
    assert [effect for effect in told(known) if effect[0] == "consent"] == changed
