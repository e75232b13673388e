"""Forms over HTTP: who may say who the visitor is, what is refused before any form is asked."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aiohttp import ClientSession
from webkit import Memory

from overture.web.formed import Visitor

GOOD = {"answers": {"email": "ada@example.org"}, "about": {"webinar": "w1"}, "anonymous_id": "c1"}


async def get(client: ClientSession, path: str) -> tuple[int, Any]:
    async with client.get(path) as response:
        return response.status, await response.json(content_type=None)


async def post(client: ClientSession, body: Any) -> tuple[int, Any]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with client.post("/v1/forms/webinar", data=data) as response:
        return response.status, await response.json(content_type=None)


async def test_a_cookie_and_a_token_go_to_the_form(http: ClientSession, memory: Memory) -> None:
    status, form = await get(http, "/v1/forms/webinar?anonymous_id=c1&visitor=t1")
    assert status == 200
    field = {"trait": "email", "label": "E-mail", "type": "string", "required": True}
    assert form == {"form": "webinar", "identified": False, "fields": [field]}
    assert memory.calls == [{"visitor": Visitor("c1", "t1", "")}]


async def test_no_answer_is_kept_by_anybody_between(http: ClientSession) -> None:
    async with http.get("/v1/forms/webinar", headers={"Origin": "https://shop.example"}) as response:
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["Access-Control-Allow-Origin"] == "https://shop.example"
    async with http.options("/v1/forms/webinar", headers={"Origin": "https://shop.example"}) as response:
        assert response.status == 204
        assert "authorization" in response.headers["Access-Control-Allow-Headers"]


async def test_only_a_key_that_reads_contacts_says_who_the_visitor_is(
    http: ClientSession, admin: ClientSession, memory: Memory
) -> None:
    for status, problem in (
        await get(http, "/v1/forms/webinar?contact=ada"),
        await post(http, {**GOOD, "contact": "ada"}),
    ):
        assert (status, problem["code"]) == (403, "auth.scope_missing")
    assert memory.calls == []
    status, form = await get(admin, "/v1/forms/webinar?contact=ada")
    assert (status, form["identified"], form["fields"][0]["value"]) == (200, True, "ada@example.org")


async def test_what_is_answered_is_taken(http: ClientSession, memory: Memory) -> None:
    assert await post(http, GOOD) == (200, {"form": "webinar", "accepted": True})
    (call,) = memory.calls
    assert (call["said"].answers, call["said"].about, call["source"]) == (GOOD["answers"], GOOD["about"], "writer")


async def test_each_field_has_its_error(http: ClientSession) -> None:
    status, problem = await post(http, {**GOOD, "answers": {}})
    assert (status, problem["code"]) == (422, "form.invalid")
    assert [(e["code"], e["pointer"]) for e in problem["errors"]] == [("answer.missing", "/answers/email")]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"about": {}}',
        b'{"answers": {"email": ["a"]}}',
        b'{"answers": {}, "answer": {}}',
        b'{"answers": {"name": "\\ud800"}}',
        b'{"answers": {"name": {"a": 1}}}',
        b'{"answers": {}, "anonymous_id": 7}',
        b'{"answers": ' * 5_00,
        b'{"answers": {"n": 1' + b"0" * 400 + b"}}x",
        b"\xff",
    ],
)
async def test_what_is_no_submission(http: ClientSession, memory: Memory, body: bytes) -> None:
    status, problem = await post(http, body)
    assert (status, problem["code"]) == (400, "form.malformed")
    assert memory.calls == []


async def test_a_submission_is_small(http: ClientSession) -> None:
    status, problem = await post(http, {"answers": {"name": "x" * 20_000}})
    assert (status, problem["code"]) == (413, "body.too_large")


async def test_there_is_no_such_form(http: ClientSession) -> None:
    status, problem = await get(http, "/v1/forms/other")
    assert (status, problem["code"]) == (404, "form.unknown")
