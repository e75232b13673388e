"""What the source of PostHog's libraries makes of what is posted to it."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trackkit import HOSTILE, JSON, asked, posted, taken, usable

from overture.plugin import Answer
from overture_sources.posthog import V1, PostHog, PostHogConfig

SOURCE = PostHog(PostHogConfig())
WHEN = "2026-03-27T09:00:00.123Z"
COOKIE = "0190f2a4-5b6c-7d8e-9f01-23456789abcd"


def all_of(**event: Any) -> list[Any]:
    event = {"event": "Seen", "distinct_id": "ada", "uuid": "u1", "timestamp": WHEN, "properties": {}, **event}
    made = posted(SOURCE, {"api_key": "k", "batch": [event]}, "/batch/")
    taken(made)
    return list(made.facts)


def one(**event: Any) -> Any:
    (fact,) = all_of(**event)
    return fact


@pytest.mark.parametrize(
    ("event", "properties", "contact"),
    [
        ("Seen", {}, {"user_id": "ada"}),
        ("Seen", {"$is_identified": True, "$device_id": COOKIE, "$process_person_profile": True}, {"user_id": "ada"}),
        ("Seen", {"$is_identified": True, "$process_person_profile": False}, {"user_id": "ada"}),
        ("Seen", {"$is_identified": False}, {"anonymous_id": "ada"}),
        ("Seen", {"$device_id": "ada"}, {"anonymous_id": "ada"}),
        ("Seen", {"$process_person_profile": False}, {"anonymous_id": "ada"}),
        ("$identify", {"$anon_distinct_id": COOKIE}, {"user_id": "ada", "anonymous_id": COOKIE}),
        ("$identify", {}, {"user_id": "ada"}),
    ],
)
def test_who_an_event_is_about(event: str, properties: dict[str, Any], contact: dict[str, str]):
    assert one(event=event, properties=properties)["contact"] == contact


@pytest.mark.parametrize(
    ("distinct", "alias", "lib"),
    [
        (COOKIE, "ada", "web"),
        ("ada", COOKIE, "web"),
        (COOKIE, "ada", "posthog-python"),
        ("ada", COOKIE, "posthog-python"),
        (COOKIE, "ada", "posthog-node"),
        ("ada", COOKIE, "posthog-node"),
    ],
)
def test_an_alias_is_the_same_whichever_way_round_it_is_told(distinct: str, alias: str, lib: str):
    fact = one(event="$create_alias", distinct_id=distinct, properties={"alias": alias, "$lib": lib})
    assert (fact["type"], fact["properties"]) == ("alias", {"previous_id": COOKIE})
    assert fact["contact"] == {"user_id": "ada", "anonymous_id": COOKIE}


def test_an_alias_of_two_ids_that_apps_gave_goes_the_way_of_its_library():
    two = {"user_id": "ada", "anonymous_id": "guest-7"}
    for lib, distinct, alias in (("posthog-python", "guest-7", "ada"), ("posthog-node", "ada", "guest-7")):
        fact = one(event="$create_alias", distinct_id=distinct, properties={"alias": alias, "$lib": lib})
        assert fact["contact"] == two


def test_what_is_said_about_the_person_comes_first_and_once_means_once():
    said = {"$set": {"email": "ada@example.org", "plan": "pro"}, "$set_once": {"first_page": "/", "plan": "free"}}
    told, once, event = all_of(event="Order Completed", properties={"total": 3, **said})
    assert told["type"] == once["type"] == "identify"
    assert told["properties"] == said["$set"]
    assert told["contact"] == {"user_id": "ada", "email": "ada@example.org"}
    assert (once["properties"], once["context"]["form"]) == ({"first_page": "/"}, {"fixed": ["first_page"]})
    assert (event["type"], event["properties"]) == ("order_completed", {"total": 3})
    assert [e["id"] for e in (told, once, event)] == ["posthog:u1:set", "posthog:u1:once", "posthog:u1"]
    alone = one(event="$set", properties={}, **{"$set": {"plan": "pro"}})
    assert (alone["type"], alone["id"], alone["properties"]) == ("identify", "posthog:u1", {"plan": "pro"})
    assert one(event="$set_once", **{"$set_once": {"a": 1}})["context"]["form"] == {"fixed": ["a"]}


def test_pages_and_what_the_library_says_by_itself():
    page = {"$pathname": "/a", "$current_url": "https://e.org/a?utm_source=ads", "title": "A", "$referrer": "$direct"}
    fact = one(event="$pageview", properties={**page, "token": "secret", "$browser": "Firefox", "utm_term": None})
    assert fact["type"] == "page_viewed"
    url = page["$current_url"]
    assert fact["properties"] == {"path": "/a", "url": url, "title": "A", "referrer": "$direct", "utm_source": "ads"}
    assert fact["context"].items() >= {"$browser": "Firefox", "event": "$pageview"}.items()
    assert "secret" not in json.dumps(fact)
    left = one(event="$pageleave", properties={"$prev_pageview_duration": 4.5})
    assert (left["type"], left["properties"]) == ("page_left", {"dwell": 4.5})
    assert one(event="$screen", properties={"$screen_name": "Home"})["properties"] == {"name": "Home"}


def test_groups():
    grouped = {"$group_type": "company", "$group_key": "acme", "$group_set": {"employees": 30}}
    fact = one(event="$groupidentify", properties=grouped)
    assert (fact["type"], fact["properties"]) == ("group", {"group_id": "acme", "group_type": "company"})
    assert fact["context"]["group"] == {"id": "acme", "traits": {"employees": 30}}
    assert one(properties={"$groups": {"company": "acme"}})["properties"] == {"groups": {"company": "acme"}}


@pytest.mark.parametrize("event", [{"distinct_id": "$company_acme"}, {"distinct_id": None}, {"event": ""}])
def test_what_is_about_nobody_is_recorded_and_does_not_touch_the_others(event: dict[str, Any]):
    batch = [{"event": "Seen", "distinct_id": "ada", **event}, {"event": "Seen", "distinct_id": "ada"}]
    made = posted(SOURCE, {"batch": batch}, "/batch")
    assert [each.code for each in made.refused] == ["source.unread"]
    assert len(made.facts) == 1


@pytest.mark.parametrize(
    ("said", "sent", "occurred_at"),
    [
        ({}, None, "2026-03-27T09:00:00.123000+00:00"),
        ({}, "2026-03-27T09:59:59Z", "2026-03-27T09:00:00.123000+00:00"),
        ({}, "2026-03-27T12:00:20Z", "2026-03-27T07:00:00.123000+00:00"),
        ({"timestamp": "soon"}, None, "soon"),
    ],
)
def test_when_it_happened(said: dict[str, Any], sent: str | None, occurred_at: str):
    event = {"event": "Seen", "distinct_id": "ada", "timestamp": WHEN, **said}
    (fact,) = posted(SOURCE, {"batch": [event], "sent_at": sent}, "/e/").facts
    assert fact["occurred_at"] == occurred_at


def test_the_forms_of_a_body_and_where_the_key_stands():
    event = {"event": "Seen", "distinct_id": "ada", "properties": {"token": "k"}}
    packed = base64.b64encode(json.dumps([event]).encode()).decode()
    for body in (
        event,
        [event],
        {"api_key": "k", **event},
        {"token": "k", "batch": [event]},
        f"data={quote(packed)}".encode(),
    ):
        made = posted(SOURCE, body, "/e/")
        assert (made.key, [f["type"] for f in made.facts]) == ("k", ["seen"])
        assert made.answer.body == {"status": 1}


def test_the_newer_protocol_is_told_of_each_event():
    event = {"event": "Seen", "distinct_id": "ada", "uuid": "a", "session_id": "s", "properties": {}}
    batch = [{**event, "options": {"process_person_profile": False}}]
    made = posted(SOURCE, {"created_at": WHEN, "batch": batch}, V1)
    assert [fact["contact"] for fact in made.facts] == [{"anonymous_id": "ada"}]
    assert made.facts[0]["context"]["$session_id"] == "s"
    assert made.answer.body == {"results": {"a": {"result": "ok"}}}


def test_recorded_history_sends_nothing():
    body = {"historical_migration": True, "batch": [{"event": "Seen", "distinct_id": "ada"}]}
    assert posted(SOURCE, body, "/batch/").backfill


def test_what_its_libraries_ask_for():
    flags = asyncio.run(SOURCE.parse(asked({"token": "k"}, "/flags/")))
    assert isinstance(flags, Answer)
    assert (flags.body["flags"], flags.body["errorsWhileComputingFlags"]) == ({}, False)
    key = "</script><k>"
    asking = asked(b"", "~/array/{key}/config.js", method="GET", parts={"key": key})
    script = asyncio.run(SOURCE.parse(asking))
    assert isinstance(script, Answer)
    assert script.content_type == "application/javascript"
    assert b"<" not in script.body


@pytest.mark.parametrize("body", HOSTILE, ids=range(len(HOSTILE)))
def test_whatever_is_posted_it_is_facts_or_refused(body: bytes):
    usable(SOURCE, body, V1)


EVENTS = [
    "$identify",
    "$create_alias",
    "$set",
    "$set_once",
    "$groupidentify",
    "$pageview",
    "$pageleave",
    "$screen",
    "Seen",
]
KEYS = ["distinct_id", "uuid", "timestamp", "properties", "$set", "$set_once"]
OWN = [
    "$set",
    "$set_once",
    "alias",
    "$anon_distinct_id",
    "$group_key",
    "$group_set",
    "$groups",
    "$current_url",
    "token",
]
SAID = st.dictionaries(st.sampled_from(KEYS), st.dictionaries(st.sampled_from(OWN), JSON) | JSON)
CALLED = st.builds(lambda said, event: {"distinct_id": "ada", **said, "event": event}, SAID, st.sampled_from(EVENTS))


@settings(max_examples=200)
@given(st.lists(CALLED | JSON, min_size=1, max_size=3), JSON)
def test_whatever_events_say_nothing_fails(events: list[Any], sent: Any):
    taken(posted(SOURCE, json.dumps({"batch": events, "sent_at": sent}).encode(), "/batch/"))
