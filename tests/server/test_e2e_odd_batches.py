"""Batches of trackers' libraries in which one thing is odd: that alone is refused, and nothing is believed of it."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from serverkit import WRITE, Answer, Server, fresh

TP2 = "/com.snowplowanalytics.snowplow/tp2"
DEEP, LONG = "[" * 1000 + "]" * 1000, "9" * 5000


def post(server: Server, path: str, body: Any) -> Answer:
    """As libraries do, with the key in the body."""
    sent = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return server.call("POST", path, sent, headers={"Authorization": ""})


def batch(path: str, users: list[str], value: str) -> str:
    """An event of each user; the second says ``value`` besides."""
    a, b, c = users
    return {
        "/v1/batch": f"""{{"writeKey": "{WRITE}", "batch": [
            {{"type": "track", "event": "Seen", "userId": "{a}"}},
            {{"type": "track", "event": "Seen", "userId": "{b}", "properties": {{"n": {value}}}}},
            {{"type": "track", "event": "Seen", "userId": "{c}"}}]}}""",
        "/batch": f"""{{"api_key": "{WRITE}", "batch": [
            {{"event": "seen", "distinct_id": "{a}"}},
            {{"event": "seen", "distinct_id": "{b}", "properties": {{"n": {value}}}}},
            {{"event": "seen", "distinct_id": "{c}"}}]}}""",
        TP2: f"""{{"data": [
            {{"e": "se", "se_ac": "seen", "aid": "{WRITE}", "uid": "{a}"}},
            {{"e": "se", "se_ac": "seen", "uid": "{b}", "n": {value}}},
            {{"e": "se", "se_ac": "seen", "uid": "{c}"}}]}}""",
        "/matomo.php": f"""{{"token_auth": "{WRITE}", "requests": [
            {{"rec": "1", "uid": "{a}", "e_a": "seen"}},
            {{"rec": "1", "uid": "{b}", "e_a": "seen", "dimension1": {value}}},
            {{"rec": "1", "uid": "{c}", "e_a": "seen"}}]}}""",
    }[path]


PATHS = ("/v1/batch", "/batch", TP2, "/matomo.php")


@pytest.mark.parametrize("value", [DEEP, LONG], ids=["deep", "long"])
@pytest.mark.parametrize("path", PATHS)
def test_a_value_that_no_fact_can_hold_costs_its_event_alone(server: Server, path: str, value: str):
    users = [fresh("odd-") for _ in range(3)]
    assert post(server, path, batch(path, users, value)).status == 200
    for user in (users[0], users[2]):
        assert [moment["fact"]["type"] for moment in server.timeline(user)] == ["seen"]
    server.drained()
    if server.find(users[1]) is None:
        assert users[1] in server.get("/v1/sources/refused")[0]["fact"]
    else:
        (moment,) = server.timeline(users[1])
        assert moment["fact"]["context"]["cut"] is True


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400"])
def test_what_is_no_number_is_nobodys_id(server: Server, number: str):
    ada, bob = fresh("ada-"), fresh("bob-")
    calls = [
        f'{{"type": "identify", "userId": {number}, "anonymousId": "{who}", "traits": {{"email": "{who}@x.org"}}}}'
        for who in (ada, bob)
    ]
    assert post(server, "/v1/batch", f'{{"writeKey": "{WRITE}", "batch": [{", ".join(calls)}]}}').status == 200
    for who in (ada, bob):
        found = server.contact(f"anonymous_id:{who}")
        assert found["id"] == server.contact(f"email:{who}@x.org")["id"]
    assert server.contact(f"email:{ada}@x.org")["id"] != server.contact(f"email:{bob}@x.org")["id"]
    event = f'{{"api_key": "{WRITE}", "event": "seen", "distinct_id": {number}, "uuid": "{fresh("u")}"}}'
    assert post(server, "/capture", event).status == 200
    for odd in ("nan", "inf", "-inf"):
        assert server.find(odd) is None


def test_a_whole_number_is_the_same_id_with_and_without_a_point(server: Server):
    calls = [f'{{"type": "track", "event": "Seen", "userId": {id}}}' for id in ("4711", "4711.0", '"4711"')]
    assert post(server, "/v1/batch", f'{{"writeKey": "{WRITE}", "batch": [{", ".join(calls)}]}}').status == 200
    assert len(server.timeline("4711")) == 3


REFUSED = {
    "/v1/batch": {"batch": [{"type": "zz", "writeKey": WRITE}]},
    "/batch": {"api_key": WRITE, "batch": [{"event": "", "api_key": WRITE, "properties": {"token": WRITE}}]},
    TP2: {"data": [{"e": "zz", "aid": WRITE, "duid": "d"}]},
    "/matomo.php": {"token_auth": WRITE, "requests": [{"rec": "0", "token_auth": WRITE, "idsite": WRITE}]},
}


@pytest.mark.parametrize("path", REFUSED)
def test_what_was_refused_is_shown_without_the_key(server: Server, path: str):
    before = len(server.get("/v1/sources/refused?limit=500"))
    assert post(server, path, REFUSED[path]).status == 200
    refused = server.get("/v1/sources/refused?limit=500")
    assert len(refused) == before + 1
    assert refused[0]["fact"]
    assert WRITE not in json.dumps(refused)


@pytest.mark.parametrize("odd", ['{"event": "x"}', "null", '"[]"', "7"])
@pytest.mark.parametrize(
    ("path", "name"), [("/v1/batch", "batch"), ("/batch/", "batch"), (TP2, "data"), ("/matomo.php", "requests")]
)
def test_a_batch_that_is_no_list_is_refused(server: Server, path: str, name: str, odd: str):
    body = f'{{"api_key": "{WRITE}", "token_auth": "{WRITE}", "writeKey": "{WRITE}", "{name}": {odd}}}'
    answer = server.call("POST", path, body.encode(), key=WRITE)
    assert (answer.status, answer.json["code"]) == (400, "source.body")


MANY = {
    "/v1/batch": '{"batch": [%s]}', "/batch/": '{"batch": [%s]}', TP2: '{"data": [%s]}', "/t": '{"facts": [%s]}',
    "/matomo.php": '{"requests": [%s]}',
}  # fmt: skip


@pytest.mark.parametrize("path", MANY)
def test_more_events_than_a_request_may_have_are_refused_before_anything_is_made_of_them(server: Server, path: str):
    """Whoever has no key has the memory of the server for as little as a compressed body weighs."""
    packed = gzip.compress((MANY[path] % ",".join(["0"] * 200_000)).encode())
    answer = server.call("POST", path, packed, headers={"Authorization": "", "Content-Encoding": "gzip"})
    assert (answer.status, answer.json["code"]) == (413, "source.too_many")


def test_an_event_of_posthog_may_make_three_facts(server: Server):
    user = fresh("three-")
    each = {"event": "seen", "properties": {"$set": {"plan": "pro"}, "$set_once": {"first": "x"}}}
    events = [{**each, "distinct_id": f"{user}-{n}", "uuid": fresh("u")} for n in range(3_400)]
    assert post(server, "/batch/", {"api_key": WRITE, "batch": events}).status == 200
    assert len(server.timeline(f"{user}-3399")) == 3
