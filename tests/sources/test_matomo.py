"""What the source of Matomo's Tracking API makes of what is sent to it."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trackkit import HOSTILE, JSON, asked, posted, taken, usable

from overture.plugin import Posted
from overture_sources.matomo import Matomo, MatomoConfig

SOURCE = Matomo(MatomoConfig())
PATH = "/matomo.php"


def asking(**said: Any) -> Any:
    query = {"idsite": "k", "rec": "1", "uid": "ada", "url": "https://e.org/a", **said}
    made = posted(SOURCE, b"", PATH, method="GET", query={name: str(value) for name, value in query.items()})
    taken(made)
    return made


def one(**said: Any) -> Any:
    (fact,) = asking(**said).facts
    return fact


def test_a_page():
    fact = one(action_name="A", urlref="https://s.org/", _rcn="spring", res="800x600", dimension1="red")
    page = {"url": "https://e.org/a", "path": "/a", "title": "A", "referrer": "https://s.org/"}
    assert (fact["type"], fact["properties"]) == (
        "page_viewed",
        {**page, "utm_campaign": "spring", "dimension1": "red"},
    )
    assert fact["context"]["res"] == "800x600"


def test_an_event_keeps_its_page_in_the_context():
    fact = one(e_c="Videos", e_a="Play Video", e_n="Intro", e_v="3.5")
    assert fact["type"] == "play_video"
    assert fact["properties"] == {"category": "Videos", "action": "Play Video", "name": "Intro", "value": 3.5}
    assert fact["context"]["url"] == "https://e.org/a"


def test_orders_and_baskets():
    items = json.dumps([["s1", "Shoe", "Shoes", 10.5, 2], ["s2"]])
    fact = one(idgoal="0", ec_id="o1", revenue="21", ec_st="20", ec_tx="1", ec_items=items)
    assert (fact["type"], fact["id"].partition(":order:")[0], fact["id"][-3:]) == ("order_completed", "matomo", ":o1")
    assert fact["properties"] == {
        "order_id": "o1",
        "total": 21.0,
        "subtotal": 20.0,
        "tax": 1.0,
        "products": [
            {"sku": "s1", "name": "Shoe", "category": "Shoes", "price": 10.5, "quantity": 2},
            {"sku": "s2"},
        ],
    }
    basket = one(idgoal="0", revenue="21", ec_items=items)
    assert (basket["type"], len(basket["properties"]["products"])) == ("cart_updated", 2)


@pytest.mark.parametrize(
    ("said", "type", "properties"),
    [
        ({"idgoal": 3, "revenue": 5}, "goal_reached", {"goal_id": "3", "revenue": 5.0}),
        ({"search": "shoe", "search_count": 0}, "searched", {"query": "shoe", "results": 0.0}),
        ({"link": "https://o.org"}, "link_clicked", {"url": "https://o.org"}),
        ({"download": "https://e.org/a.pdf"}, "file_downloaded", {"url": "https://e.org/a.pdf"}),
        ({"c_n": "Ad", "c_p": "a.png"}, "content_viewed", {"name": "Ad", "piece": "a.png"}),
        ({"c_n": "Ad", "c_i": "click"}, "content_clicked", {"name": "Ad", "interaction": "click"}),
        ({"ping": 1}, "page_pinged", {"url": "https://e.org/a"}),
    ],
)
def test_the_other_kinds(said: dict[str, Any], type: str, properties: dict[str, Any]):
    fact = one(**said)
    assert (fact["type"], fact["properties"]) == (type, properties)


@pytest.mark.parametrize(
    ("said", "contact"),
    [
        ({}, {"user_id": "ada"}),
        ({"_id": "0123456789abcdef"}, {"user_id": "ada", "anonymous_id": "0123456789abcdef"}),
        ({"uid": "", "_id": "0123456789abcdef", "cid": "fedcba9876543210"}, {"anonymous_id": "fedcba9876543210"}),
        ({"uid": ""}, {}),
    ],
)
def test_who_it_is_about(said: dict[str, Any], contact: dict[str, str]):
    assert one(**said)["contact"] == contact


@pytest.mark.parametrize("when", ["2026-03-27 09:00:00", "1774602000", "1774602000.0"])
def test_when_it_happened(when: str):
    assert one(cdt=when)["occurred_at"] == "2026-03-27T09:00:00+00:00"
    assert "occurred_at" not in one()


def test_what_is_sent_again_is_told_by_what_was_drawn_or_when_it_happened():
    assert "id" not in one()
    for said in ({"rand": "0.123"}, {"cdt": "1774602000"}):
        assert one(**said)["id"] == one(**said)["id"]
        assert one(**said)["id"] != one(**said, url="https://e.org/b")["id"]
    assert one(rand="1", token_auth="x")["id"] == one(rand="1", token_auth="y")["id"]


def test_shops_that_count_their_orders_alike_have_orders_of_their_own():
    first, again, other = (one(idgoal="0", ec_id="o1", revenue=9, idsite=site) for site in ("key-1", "key-1", "key-2"))
    assert first["id"] == again["id"] != other["id"]
    assert "key-1" not in json.dumps(first)


def test_many_in_one_body_and_the_same_twice_is_meant_twice():
    asked = "?" + urlencode({"idsite": 1, "rec": 1, "uid": "ada", "url": "https://e.org/", "cdt": "1774602000"})
    body = {"requests": [asked, asked, "?rec=0", 7], "token_auth": "k"}
    made = posted(SOURCE, body, PATH)
    taken(made)
    assert made.key == "k"
    first, second = made.facts
    assert first["id"] != second["id"]
    assert [fact["id"] for fact in posted(SOURCE, body, PATH).facts] == [first["id"], second["id"]]
    assert made.answer.body == {"status": "success", "tracked": 2, "invalid": 2}


def test_a_beacon_and_where_the_key_stands():
    form = urlencode({"idsite": "k", "rec": 1, "uid": "ada", "url": "https://e.org/"}).encode()
    made = posted(SOURCE, form, PATH)
    assert (made.key, [fact["type"] for fact in made.facts]) == ("k", ["page_viewed"])
    made = asking(token_auth="t")
    assert (made.key, made.answer.content_type) == ("t", "image/gif")
    assert "token_auth" not in json.dumps(made.facts)
    assert "idsite" not in json.dumps(made.facts)


@pytest.mark.parametrize("body", HOSTILE, ids=range(len(HOSTILE)))
def test_whatever_is_posted_it_is_facts_or_refused(body: bytes):
    usable(SOURCE, body, PATH)


NAMES = ["idsite", "uid", "_id", "url", "cdt", "rand", "e_a", "e_v", "idgoal", "ec_id", "ec_items", "revenue", "search"]
SAID = st.builds(lambda said: {"rec": 1, "uid": "ada", **said}, st.dictionaries(st.sampled_from(NAMES), JSON))


@settings(max_examples=200)
@given(st.lists(SAID | JSON, max_size=3))
def test_whatever_is_said_nothing_fails(requests: list[Any]):
    made = posted(SOURCE, json.dumps({"requests": requests}).encode(), PATH)
    taken(made)
    assert len(made.facts) + len(made.refused) == len(requests)


async def test_other_requests_go_on_while_a_body_of_some_kilobytes_is_read():
    body = json.dumps({"requests": ["?idsite=1&rec=1&uid=ada&ua=" + "x" * 900] * 10, "token_auth": "k"}).encode()
    reading = asyncio.ensure_future(SOURCE.parse(asked(body, PATH)))
    await asyncio.sleep(0)
    assert not reading.done()
    answer = await reading
    assert isinstance(answer, Posted)
    assert len(answer.facts) == 10
