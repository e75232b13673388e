"""What the sources of the Segment family make of what is posted to them: facts that intake takes, whatever comes."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
import trackkit
from hypothesis import given, settings
from hypothesis import strategies as st
from trackkit import HOSTILE, JSON, NOW, asked, usable

from overture.intake import Caps, parse
from overture.plugin import Answer, Posted, Refuse
from overture_sources.rudderstack import RudderStack, RudderStackConfig
from overture_sources.segment import Segment, SegmentConfig

WHEN = "2026-03-27T09:00:00.123Z"
SOURCE = Segment(SegmentConfig())


def posted(body: Any, path: str = "/v1/batch", **more: Any) -> Posted:
    return trackkit.posted(SOURCE, body, path, **more)


def one(**message: Any) -> Any:
    """The fact of one call."""
    message = {"type": "track", "event": "Seen", "userId": "ada", "timestamp": WHEN, **message}
    facts = posted({"batch": [message]}).facts
    assert len(facts) == 1
    return facts[0]


@pytest.mark.parametrize(
    ("event", "type"),
    [
        ("Order Completed", "order_completed"),
        ("orderCompleted", "order_completed"),
        ("ORDER COMPLETED", "order_completed"),
        ("HTTPRequestSent", "http_request_sent"),
        ("order.completed", "order_completed"),
        ("Session.Ended", "session_ended"),
        ("message.sent", "message_sent"),
        ("  Added: 2 items!  ", "added_2_items"),
        ("3 Days Left", "track_3_days_left"),
        ("Achat terminé", "achat_termine"),
        ("购买", "track"),
        ("", "track"),
        (None, "track"),
        (7, "track_7"),
        ("x" * 300, "x" * 128),
    ],
)
def test_the_name_of_an_event_becomes_a_type(event: Any, type: str):
    fact = one(event=event)
    assert fact["type"] == type
    assert fact["context"]["event"] == ("" if event is None else str(event))


@pytest.mark.parametrize(
    ("message", "contact"),
    [
        ({"userId": "ada", "anonymousId": "c1"}, {"user_id": "ada"}),
        ({"userId": "", "anonymousId": "c1"}, {"anonymous_id": "c1"}),
        ({"userId": None, "anonymousId": "c1"}, {"anonymous_id": "c1"}),
        ({"userId": 42}, {"user_id": "42"}),
        ({"userId": True, "anonymousId": "c1"}, {"anonymous_id": "c1"}),
        ({"userId": " ada "}, {"user_id": "ada"}),
        ({"userId": None}, {}),
        ({"type": "identify", "anonymousId": "c1"}, {"user_id": "ada", "anonymous_id": "c1"}),
        (
            {"type": "identify", "traits": {"email": "ada@example.org"}},
            {"user_id": "ada", "email": "ada@example.org"},
        ),
        ({"type": "identify", "traits": {"email": "none given"}}, {"user_id": "ada"}),
        ({"type": "track", "context": {"traits": {"email": "ada@example.org"}}}, {"user_id": "ada"}),
        (
            {"type": "identify", "context": {"traits": {"email": "ada@example.org"}}},
            {"user_id": "ada", "email": "ada@example.org"},
        ),
        ({"type": "alias", "previousId": "c1"}, {"user_id": "ada", "anonymous_id": "c1"}),
        ({"type": "group", "anonymousId": "c1", "groupId": 9}, {"user_id": "ada"}),
    ],
)
def test_who_a_call_is_about(message: dict[str, Any], contact: dict[str, str]):
    fact = one(**message)
    assert fact["contact"] == contact


def test_what_is_not_said_by_the_fact_is_in_its_context():
    fact = one(anonymousId="c1", context={"ip": "192.0.2.7", "traits": {"email": "x@y.z"}})
    assert fact["context"] == {"ip": "192.0.2.7", "event": "Seen", "anonymous_id": "c1"}
    group = one(type="group", groupId="acme", traits={"employees": 30})
    assert group["properties"] == {"group_id": "acme"}
    assert group["context"]["group"] == {"id": "acme", "traits": {"employees": 30}}


@pytest.mark.parametrize(
    ("agent", "context", "machine"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox", False),
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "", True),
    ],
)
def test_which_browser_it_is(agent: str, context: str, machine: bool):
    """What the library says of it itself stays."""
    fact = one(context={"userAgent": agent, "os": {"name": "Plan 9"}})
    assert fact["context"].get("browser", {}).get("name", "") == context
    assert fact["context"]["os"] == {"name": "Plan 9"}
    assert fact["properties"].get("machine", False) is machine
    assert "machine" not in one(type="identify", context={"userAgent": agent})["properties"]


def test_traits_of_both_places():
    fact = one(type="identify", traits={"plan": "pro"}, context={"traits": {"plan": "free", "city": "Paris"}})
    assert fact["properties"] == {"plan": "pro", "city": "Paris"}
    assert "traits" not in fact["context"]


def test_a_page_and_its_campaign():
    page = {"path": "/a", "url": "https://e.org/a?utm_source=ads&utm_campaign=spring&x=1", "title": "A"}
    fact = one(type="page", name="Home", context={"page": page}, properties={"title": "Own"})
    assert fact["type"] == "page_viewed"
    assert fact["properties"] == {
        "name": "Home",
        "path": "/a",
        "url": page["url"],
        "title": "Own",
        "utm_source": "ads",
        "utm_campaign": "spring",
    }
    campaign = {"name": "summer", "source": "mail", "medium": "email"}
    fact = one(context={"campaign": campaign, "page": page})
    assert fact["properties"] == {"utm_campaign": "summer", "utm_source": "mail", "utm_medium": "email"}


def test_ids_are_the_librarys_and_say_whose():
    assert one(messageId="m1")["id"] == "segment:m1"
    assert one(messageId="m1", channel="server")["id"] == "rudderstack:m1"
    assert "id" not in one()
    assert len(one(messageId="x" * 500)["id"]) < 200


@pytest.mark.parametrize(
    ("message", "sent", "occurred_at"),
    [
        ({"timestamp": WHEN}, None, "2026-03-27T09:00:00.123000+00:00"),
        ({"timestamp": None, "originalTimestamp": WHEN}, None, "2026-03-27T09:00:00.123000+00:00"),
        ({"timestamp": "2026-03-27T10:00:00.123456+01:00"}, None, "2026-03-27T10:00:00.123456+01:00"),
        ({"timestamp": "2026-03-27T09:00:00"}, None, "2026-03-27T09:00:00+00:00"),
        # The clock is right, or behind, or the request was long under way.
        ({"timestamp": WHEN}, "2026-03-27T10:00:30Z", "2026-03-27T09:00:00.123000+00:00"),
        ({"timestamp": WHEN}, "2026-03-27T07:00:00Z", "2026-03-27T09:00:00.123000+00:00"),
        # The clock is ahead by 2 h and 20 s: by whole minutes, that is what is taken off.
        ({"timestamp": WHEN}, "2026-03-27T12:00:20Z", "2026-03-27T07:00:00.123000+00:00"),
        ({"timestamp": WHEN, "sentAt": "2026-03-27T12:00:20Z"}, None, "2026-03-27T07:00:00.123000+00:00"),
        ({"timestamp": "soon"}, None, "soon"),
        ({"timestamp": "0001-01-01T00:00:00Z"}, "2026-03-27T12:00:00Z", "0001-01-01T00:00:00Z"),
        ({"timestamp": 7}, "2026-03-27T12:00:00Z", 7),
    ],
)
def test_when_a_call_happened(message: dict[str, Any], sent: str | None, occurred_at: str):
    message = {"type": "track", "event": "Seen", "userId": "ada", **message}
    (fact,) = posted({"batch": [message], "sentAt": sent}).facts
    assert fact["occurred_at"] == occurred_at


def test_without_a_time_it_is_that_of_acceptance():
    assert "occurred_at" not in one(timestamp=None)


def test_a_call_that_is_sent_again_says_the_same():
    message = {"type": "track", "event": "Seen", "userId": "ada", "timestamp": WHEN, "messageId": "m1"}
    first = posted({"batch": [message], "sentAt": "2026-03-27T09:59:58Z"})
    again = posted({"batch": [message], "sentAt": "2026-03-27T10:00:29Z"}, at=NOW + 30_000)
    assert first.facts == again.facts


def test_single_calls_and_their_short_paths():
    for path, type in (
        ("/v1/track", "seen"),
        ("/v1/t", "seen"),
        ("/v1/p", "page_viewed"),
        ("/v1/i", "identify"),
        ("~/v1/s", "screen_viewed"),
        ("~/v1/alias", "alias"),
        ("/v1/g", "group"),
    ):
        (fact,) = posted({"event": "Seen", "userId": "ada"}, path).facts
        assert fact["type"] == type


def test_what_is_around_a_batch_is_of_each_call():
    body = {
        "batch": [{"type": "track", "event": "A", "userId": "ada", "context": {"ip": "192.0.2.9"}}],
        "context": {"ip": "192.0.2.1", "locale": "de"},
    }
    (fact,) = posted(body, "/v1/b").facts
    assert fact["context"] == {"ip": "192.0.2.9", "locale": "de", "event": "A"}


@pytest.mark.parametrize(
    ("body", "query"),
    [
        ({"writeKey": "k", "batch": []}, {}),
        ({"batch": []}, {"writeKey": "k"}),
        ({"batch": [{"writeKey": "k"}]}, {}),
    ],
)
def test_where_the_key_may_stand(body: Any, query: dict[str, str]):
    assert posted(body, query=query).key == "k"


@pytest.mark.parametrize("body", HOSTILE, ids=range(len(HOSTILE)))
def test_whatever_is_posted_it_is_facts_or_refused(body: bytes):
    usable(SOURCE, body, "/v1/batch")
    usable(SOURCE, body, "/v1/t")


@pytest.mark.parametrize("body", [b"", b"[]", b"7", b"{", b"\xff", b'{"batch": 7}', b"{}", b"[" * 200_000])
def test_what_is_no_batch_is_refused(body: bytes):
    with pytest.raises(Refuse) as refusal:
        posted(body)
    assert (refusal.value.code, refusal.value.status) == ("source.body", 400)


def test_one_bad_call_does_not_touch_the_others():
    good = {"type": "track", "event": "Seen", "userId": "ada"}
    taken = posted({"batch": [7, {"type": "merge"}, good, {"type": ["track"]}, None]})
    assert len(taken.facts) == 1
    assert [(each.what, each.code) for each in taken.refused] == [
        (7, "source.unread"),
        ({"type": "merge"}, "source.unread"),
        ({"type": ["track"]}, "source.unread"),
        (None, "source.unread"),
    ]


def test_a_large_order_is_taken_and_says_that_it_was_cut():
    products = [{"sku": f"p{n}", **{f"k{k}": k for k in range(10)}} for n in range(60)]
    fact = one(properties={"order_id": "o1", "total": 9.5, "products": products})
    assert (fact["properties"]["order_id"], fact["properties"]["total"]) == ("o1", 9.5)
    assert fact["context"]["cut"] is True
    assert parse(json.dumps(fact).encode(), NOW, Caps()).rejected == []
    assert "cut" not in one(properties={"products": products[:15]})["context"]


KEYS = ["type", "event", "userId", "anonymousId", "previousId", "groupId", "traits", "properties", "context"]
MORE = ["messageId", "timestamp", "originalTimestamp", "sentAt", "name", "channel", "writeKey"]
MESSAGES = st.dictionaries(st.sampled_from(KEYS + MORE), JSON, max_size=8) | JSON
TYPES = st.sampled_from(["track", "page", "identify", "alias", "group"])
CALLED = st.builds(lambda m, t: {**m, "type": t} if isinstance(m, dict) else m, MESSAGES, TYPES)


@settings(max_examples=300)
@given(st.lists(CALLED, max_size=4), JSON, JSON)
def test_whatever_is_sent_nothing_fails(messages: list[Any], sent: Any, around: Any):
    taken = posted(json.dumps({"batch": messages, "sentAt": sent, "context": around}).encode())
    assert len(taken.facts) + len(taken.refused) == len(messages)


def test_what_the_library_for_browsers_asks_first():
    asking = asked(b"", "/v1/projects/{key}/settings", method="GET", parts={"key": "k"}, headers={"host": "ov.example"})
    answer = asyncio.run(Segment(SegmentConfig()).parse(asking))
    assert isinstance(answer, Answer)
    assert answer.body["integrations"]["Segment.io"]["apiKey"] == "k"


def test_what_rudderstacks_library_for_browsers_asks_first():
    asking = asked(b"", "/sourceConfig/", method="GET")
    answer = asyncio.run(RudderStack(RudderStackConfig()).parse(asking))
    assert isinstance(answer, Answer)
    assert (answer.body["source"]["enabled"], answer.body["source"]["destinations"]) == (True, [])
