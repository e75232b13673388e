"""What the source of Snowplow's trackers makes of what is sent to it."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trackkit import HOSTILE, JSON, posted, taken, usable

from overture_sources.snowplow import KINDS, TP2, Snowplow, SnowplowConfig

SOURCE = Snowplow(SnowplowConfig())
WHEN = "1774602000123"  # 2026-03-27T09:00:00.123Z
EVENT = {"schema": "iglu:com.acme/order_completed/jsonschema/1-0-0", "data": {"total": 9.5, "title": "Ça va? ~~~>>>"}}
UNSTRUCT = {"schema": "iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0", "data": EVENT}
ENTITIES = [{"schema": "iglu:com.acme/shop/jsonschema/1-0-0", "data": {"id": 7}}]
CONTEXTS = {"schema": "iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-1", "data": ENTITIES}


def one(**event: Any) -> Any:
    event = {"e": "pv", "eid": "e1", "aid": "k", "uid": "ada", "dtm": WHEN, "url": "https://e.org/a", **event}
    made = posted(SOURCE, {"schema": "iglu:…/payload_data/…", "data": [event]}, TP2)
    taken(made)
    (fact,) = made.facts
    assert made.key == "k"
    assert "aid" not in json.dumps(fact)
    return fact


def test_a_page_view():
    fact = one(url="https://e.org/a?utm_source=ads", page="A", refr="https://s.org/", lang="de")
    assert (fact["type"], fact["id"], fact["occurred_at"]) == (
        "page_viewed",
        "snowplow:e1",
        "2026-03-27T09:00:00.123000+00:00",
    )
    url = "https://e.org/a?utm_source=ads"
    page = {"url": url, "path": "/a", "title": "A", "referrer": "https://s.org/", "utm_source": "ads"}
    assert (fact["properties"], fact["context"]) == (page, {"lang": "de"})


def test_the_other_kinds():
    struct = one(e="se", se_ca="shop", se_ac="Add to Basket", se_la="red", se_va="2.5")
    assert struct["type"] == "add_to_basket"
    said = {"category": "shop", "action": "Add to Basket", "label": "red", "value": 2.5}
    assert struct["properties"] == said
    order = one(e="tr", tr_id="o1", tr_tt="20", tr_cu="EUR")
    assert (order["type"], order["properties"]) == (
        "order_completed",
        {"order_id": "o1", "total": 20.0, "currency": "EUR"},
    )
    assert one(e="ti", ti_sk="s", ti_qu="2")["properties"] == {"sku": "s", "quantity": 2.0}
    assert one(e="pp", pp_max="5")["type"] == "page_pinged"
    assert (
        one(e="ue", ue_pr=json.dumps({"data": {"schema": "iglu:a/screen_view/b/c", "data": {}}}))["type"]
        == "screen_viewed"
    )


@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize("encode", [base64.urlsafe_b64encode, base64.b64encode])
def test_self_describing_events_and_entities_in_each_base64(padded: bool, encode: Any):
    packed = [encode(json.dumps(each, ensure_ascii=False).encode()).decode() for each in (UNSTRUCT, CONTEXTS)]
    event, contexts = packed if padded else [each.rstrip("=") for each in packed]
    fact = one(e="ue", ue_px=event, cx=contexts)
    assert (fact["type"], fact["properties"]) == ("order_completed", EVENT["data"])
    assert fact["context"]["schema"] == EVENT["schema"]
    assert fact["context"]["entities"] == ENTITIES
    assert one(e="ue", ue_pr=json.dumps(UNSTRUCT), co=json.dumps(CONTEXTS))["properties"] == EVENT["data"]


@pytest.mark.parametrize(
    ("event", "contact"),
    [
        ({}, {"user_id": "ada"}),
        ({"duid": "c1"}, {"user_id": "ada", "anonymous_id": "c1"}),
        ({"uid": "", "duid": "c1", "nuid": "n1"}, {"anonymous_id": "c1"}),
        ({"uid": None, "nuid": "n1"}, {"anonymous_id": "n1"}),
        ({"uid": None, "tnuid": "n2", "nuid": "n1"}, {"anonymous_id": "n2"}),
    ],
)
def test_who_an_event_is_about(event: dict[str, Any], contact: dict[str, str]):
    assert one(**event)["contact"] == contact


@pytest.mark.parametrize(
    ("event", "occurred_at"),
    [
        ({"stm": "1774605590000"}, "2026-03-27T09:00:00.123000+00:00"),
        ({"stm": "1774612820000"}, "2026-03-27T07:00:00.123000+00:00"),  # that clock is two hours and 20 s ahead
        ({"stm": "1774612820000", "ttm": "1774602000456"}, "2026-03-27T09:00:00.456000+00:00"),
        ({"dtm": "soon"}, "soon"),
    ],
)
def test_when_an_event_happened(event: dict[str, Any], occurred_at: str):
    assert one(**event)["occurred_at"] == occurred_at


def test_an_event_in_an_address_is_answered_with_an_image():
    query = {"e": "pv", "aid": "k", "eid": "e1", "uid": "ada", "url": "https://e.org/"}
    made = posted(SOURCE, b"", "/i", method="GET", query=query)
    assert (made.key, made.answer.content_type, made.answer.body[:6]) == ("k", "image/gif", b"GIF89a")
    assert [fact["id"] for fact in made.facts] == ["snowplow:e1"]


def test_one_bad_event_does_not_touch_the_others():
    made = posted(SOURCE, {"data": [7, {"e": "zz"}, {"e": "pv", "uid": "ada"}, {"e": ["pv"]}]}, TP2)
    assert (len(made.facts), len(made.refused)) == (1, 3)


@pytest.mark.parametrize("body", HOSTILE, ids=range(len(HOSTILE)))
def test_whatever_is_posted_it_is_facts_or_refused(body: bytes):
    usable(SOURCE, body, TP2)


NAMES = [
    "eid",
    "aid",
    "uid",
    "duid",
    "dtm",
    "ttm",
    "stm",
    "url",
    "se_ac",
    "se_va",
    "ue_px",
    "ue_pr",
    "cx",
    "co",
    "tr_tt",
]
SAID = st.dictionaries(st.sampled_from(NAMES), JSON | st.builds(json.dumps, JSON))
EVENTS = st.builds(lambda said, kind: {"uid": "ada", **said, "e": kind}, SAID, st.sampled_from([*KINDS, "zz"]))


@settings(max_examples=200)
@given(st.lists(EVENTS | JSON, max_size=3))
def test_whatever_events_say_nothing_fails(events: list[Any]):
    made = posted(SOURCE, json.dumps({"data": events}).encode(), TP2)
    taken(made)
    assert len(made.facts) + len(made.refused) == len(events)
