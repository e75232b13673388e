"""POST /v1/facts and /v1/decide over real sockets."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
from typing import Any

import msgpack
import pytest
from aiohttp import ClientSession, encode_basic_auth, web
from webkit import Memory

from overture.model import Overloaded, StoreUnavailable
from overture.web import make_app, make_runner
from overture.web.body import MADE, SMALL, Bodies

FACT = {"id": "f1", "type": "page_viewed", "contact": "ada", "properties": {"topic": "seo"}}


def batch(*bodies: Any) -> bytes:
    return b"\n".join(b if isinstance(b, bytes) else json.dumps(b).encode() for b in bodies)


async def post(http: ClientSession, body: Any, path: str = "/v1/facts", **more: Any) -> tuple[int, Any]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with http.post(path, data=data, **more) as response:
        return response.status, await response.json(content_type=None)


async def test_one_fact_is_answered_with_exactly_200(http: ClientSession, memory: Memory):
    assert await post(http, FACT) == (200, {"accepted": 1, "duplicates": 0, "rejected": [], "ids": ["f1"]})
    assert await post(http, FACT) == (200, {"accepted": 0, "duplicates": 1, "rejected": [], "ids": ["f1"]})
    assert memory.taken["f1"].properties == {"topic": "seo"}
    assert memory.calls[0]["source"] == "writer"
    assert (memory.calls[0]["wait"], memory.calls[0]["backfill"]) == (False, False)


async def test_a_bad_fact_alone_is_a_problem(http: ClientSession):
    async with http.post("/v1/facts", json={**FACT, "contact": {"user_id": 42}}) as response:
        problem = await response.json(content_type="application/problem+json")
    assert response.status == 400
    assert problem["code"] == "fact.identifier_not_text"
    assert problem["title"] == "Bad Request"
    assert problem["pointer"] == "/contact/user_id"
    assert problem["hint"]


async def test_a_conflict_alone_is_409_and_in_a_batch_a_rejection(http: ClientSession):
    await post(http, FACT)
    other = {**FACT, "contact": "eve"}
    status, problem = await post(http, other)
    assert (status, problem["code"]) == (409, "fact.id_conflict")
    status, answer = await post(http, [FACT, other, {**FACT, "id": "f2"}])
    assert status == 200
    assert (answer["accepted"], answer["duplicates"], answer["ids"]) == (1, 1, ["f1", None, "f2"])
    assert [(r["index"], r["code"]) for r in answer["rejected"]] == [(1, "fact.id_conflict")]


@pytest.mark.parametrize("encode", [lambda fs: json.dumps(fs).encode(), msgpack.packb, lambda fs: batch(*fs)])
async def test_the_rest_of_a_batch_goes_on(http: ClientSession, encode: Any):
    facts = [FACT, {**FACT, "type": "Bad Type"}, {**FACT, "id": "f2"}, {"contact": "ada"}]
    status, answer = await post(http, encode(facts))
    assert status == 200
    assert (answer["accepted"], answer["ids"]) == (2, ["f1", None, "f2", None])
    assert [(r["index"], r["code"], r["pointer"]) for r in answer["rejected"]] == [
        (1, "fact.type_invalid", "/type"),
        (3, "fact.type_missing", ""),
    ]
    assert set(answer["rejected"][0]) == {"index", "code", "message", "pointer"}


async def test_a_batch_of_only_bad_facts_is_still_answered_with_200(http: ClientSession, memory: Memory):
    status, answer = await post(http, [{}, 1])
    assert (status, answer["accepted"], answer["ids"], len(answer["rejected"])) == (200, 0, [None, None], 2)
    assert memory.calls == []


async def test_waiting_adds_the_decisions_in_order(http: ClientSession, memory: Memory):
    status, answer = await post(http, [{}, FACT], "/v1/facts?wait=true&backfill=true")
    assert status == 200
    assert answer["decisions"] == [None, {"scores": {"lead": 5}}]
    assert (memory.calls[0]["wait"], memory.calls[0]["backfill"]) == (True, True)


async def test_decide_takes_one_fact(http: ClientSession):
    decided = {"id": "f1", "status": "accepted", "contact": "ada", "decision": {"scores": {"lead": 5}}}
    assert await post(http, FACT, "/v1/decide") == (200, decided)
    assert await post(http, FACT, "/v1/decide") == (200, {**decided, "status": "duplicate", "decision": None})
    for body, expected in (([FACT], (400, "decide.one_fact")), ({}, (400, "fact.type_missing"))):
        status, problem = await post(http, body, "/v1/decide")
        assert (status, problem["code"]) == expected
    status, problem = await post(http, {**FACT, "contact": "eve"}, "/v1/decide")
    assert (status, problem["code"]) == (409, "fact.id_conflict")


async def test_a_wrong_query_is_refused_and_names_what_there_is(http: ClientSession):
    for query in ("wiat=true", "wait=perhaps"):
        status, problem = await post(http, FACT, f"/v1/facts?{query}")
        assert (status, problem["code"]) == (400, "request.query")
        assert "wait, backfill" in problem["hint"]


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (b"", {}, 400, "body.empty"),
        (b"{", {}, 400, "fact.malformed"),
        (b"[1", {}, 400, "body.malformed"),
        (b" " * (17 * 2**20), {}, 413, "body.too_large"),
        (gzip.compress(b" " * (17 * 2**20)), {"Content-Encoding": "gzip"}, 413, "body.inflated_too_large"),
        (b"\x1f\x8bnonsense", {"Content-Encoding": "gzip"}, 400, "body.corrupt"),
        (b"x", {"Content-Encoding": "br"}, 415, "body.encoding"),
        (json.dumps({**FACT, "properties": {"x": "y" * 70_000}}).encode(), {}, 413, "fact.too_large"),
    ],
)
async def test_bodies_that_cannot_be_used(http: ClientSession, body: bytes, headers: Any, status: int, code: str):
    async with http.post("/v1/facts", data=body, headers=headers, skip_auto_headers=["Content-Type"]) as response:
        assert (response.status, (await response.json(content_type=None))["code"]) == (status, code)


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "application/x-www-form-urlencoded", "a/b"])
async def test_the_content_type_is_never_trusted(http: ClientSession, content_type: str):
    for body in (json.dumps(FACT).encode(), gzip.compress(json.dumps(FACT).encode()), msgpack.packb(FACT)):
        status, answer = await post(http, body, headers={"Content-Type": content_type})
        assert (status, answer["ids"]) == (200, ["f1"])


async def test_a_large_batch_in_chunks_and_gzip(http: ClientSession):
    lines = batch(*({**FACT, "id": f"f{i}"} for i in range(3000)))

    async def chunks() -> Any:
        squeezed = gzip.compress(lines)
        for i in range(0, len(squeezed), 5000):
            yield squeezed[i : i + 5000]

    async with http.post("/v1/facts", data=chunks(), headers={"Content-Encoding": "gzip"}) as response:
        answer = await response.json()
    assert (response.status, answer["accepted"], answer["ids"][2999]) == (200, 3000, "f2999")


async def test_the_store_is_away(http: ClientSession, memory: Memory):
    memory.fail = StoreUnavailable("The store does not answer.")
    async with http.post("/v1/facts", json=FACT) as response:
        assert (response.status, response.headers["Retry-After"]) == (503, "1")
        assert (await response.json(content_type=None))["code"] == "store.unavailable"


async def test_too_much_to_do(http: ClientSession, memory: Memory):
    memory.fail = Overloaded("facts.backlog", "200000 accepted facts wait to be decided.", 5)
    async with http.post("/v1/facts", json=FACT) as response:
        assert (response.status, response.headers["Retry-After"]) == (429, "5")
        assert (await response.json(content_type=None))["code"] == "facts.backlog"


async def test_what_breaks_is_logged_and_not_shown(
    http: ClientSession, memory: Memory, caplog: pytest.LogCaptureFixture
):
    memory.fail = RuntimeError("the secret is 42")
    with caplog.at_level(logging.ERROR, "overture.web"):
        async with http.post("/v1/facts", json=FACT) as response:
            text = await response.text()
    assert response.status == 500
    assert json.loads(text)["code"] == "server.failed"
    assert "secret" not in text
    assert "Traceback" not in text
    assert "the secret is 42" in caplog.text


async def test_basic_user_name_is_a_key_and_others_are_none(site: str):
    async with ClientSession(site) as client:
        status, answer = await post(client, FACT, headers={"Authorization": encode_basic_auth("writer-key", "")})
        assert (status, answer["accepted"]) == (200, 1)
        for header in ("", "Bearer", "Bearer ", "Basic !!!", "Basic " + "w" * 5, "Digest writer-key", "Basic Og=="):
            status, problem = await post(client, FACT, headers={"Authorization": header})
            assert (status, problem["code"]) == (401, "auth.key_missing")
        async with client.post("/v1/facts", json=FACT, headers={"Authorization": "Bearer guess"}) as response:
            assert (response.status, response.headers["WWW-Authenticate"]) == (401, "Bearer")
            assert (await response.json(content_type=None))["code"] == "auth.key_unknown"
        status, problem = await post(client, FACT, headers={"Authorization": "bearer reader-key"})
        assert (status, problem["code"]) == (403, "auth.scope_missing")


async def test_browsers_may_ask_and_may_read_errors(site: str):
    origin = {"Origin": "https://shop.example"}
    async with ClientSession(site) as client:
        async with client.options("/v1/facts", headers=origin) as response:
            assert response.status == 204
            assert response.headers["Access-Control-Allow-Origin"] == "https://shop.example"
            # what the libraries of Segment, RudderStack and Snowplow send, and an EventSource that goes on
            assert set(response.headers["Access-Control-Allow-Headers"].split(", ")) == {
                *("authorization", "content-type", "content-encoding", "last-event-id", "anonymousid", "sentat"),
                *("x-retry-count", "sp-anonymous", "rsa-recovered", "rsa-retry-attempt", "rsa-retry-reason"),
                *("rsa-since-first-attempt", "rsa-since-last-attempt"),
            }
            assert int(response.headers["Access-Control-Max-Age"]) > 0
        async with client.post("/v1/facts", json=FACT, headers=origin) as response:
            assert response.status == 401
            assert response.headers["Access-Control-Allow-Origin"] == "https://shop.example"
            assert response.headers["Access-Control-Allow-Credentials"] == "true"
            assert response.headers["Vary"] == "Origin"
        async with client.options("/v1/facts", headers={"Origin": "null"}) as response:
            assert "Access-Control-Allow-Origin" not in response.headers
        async with client.get("/v1/contacts/ada", headers={**origin, "Authorization": "Bearer reader-key"}) as response:
            assert response.status == 200
            assert "Access-Control-Allow-Origin" not in response.headers


async def test_a_body_that_never_ends_is_given_up_and_bodies_share_a_budget(memory: Memory):
    bodies = Bodies(budget=1000, seconds=0.2)
    runner = make_runner(make_app(memory.services(), bodies), 1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port: int = runner.addresses[0][1]
        head = b"POST /v1/facts HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer writer-key\r\nContent-Length: %d\r\n\r\n"

        async def send(length: int, body: bytes) -> bytes:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(head % length)
            await writer.drain()
            await asyncio.sleep(0.02)
            writer.write(body)
            answer = await reader.read()
            writer.close()
            return answer

        slow, large = await asyncio.gather(send(900, b"{"), send(1100, b" " * 1100 + b"GET / HTTP/1.0\r\n\r\n"))
        assert slow.startswith(b"HTTP/1.1 408 ")
        assert b"body.timeout" in slow
        assert large.startswith(b"HTTP/1.1 503 ")
        assert b"Retry-After: 1" in large
        assert bodies.held == 0
    finally:
        await runner.cleanup()


def test_what_is_made_of_a_body_weighs_more_than_it_does() -> None:
    unit = b"x" * (SMALL + 1)
    bodies = Bodies(budget=20 * MADE * len(unit))
    with bodies.weighed(unit * 9), bodies.weighed(unit * 8):
        with pytest.raises(Overloaded), bodies.weighed(unit * 4):
            raise AssertionError("there is no room for it")
        with bodies.weighed(unit * 3), bodies.weighed(b"x" * SMALL):
            assert bodies.made == 20 * MADE * len(unit), "there is always room for small ones"
        assert bodies.held == 0, "and for facts that no source makes"
    with bodies.weighed(unit * 100):
        assert bodies.made == 10 * MADE * len(unit), "half of the room: it is taken where there is nothing else"
    assert bodies.made == 0
