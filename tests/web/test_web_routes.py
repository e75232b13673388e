"""Every route: its scope, its mechanics, and its place in the OpenAPI document."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from aiohttp import ClientSession
from webkit import Memory

from overture.attribution.question import Question
from overture.model.fact import TYPE_NAME
from overture.web import ROUTES, make_app
from overture.web.routing import PUBLIC, Route

OPEN = {"/healthz", "/readyz", "/metrics", "/openapi.json", "/v1/schemas/ruleset.json", "/v1/schemas/tests.json"}
OPEN |= {"/v1/inbox", "/v1/inbox/stream", "/v1/inbox/{id}/read"}  # with a token of their own
OPEN |= {"/subscription/{token}", "/o/{token}.gif", "/c/{token}"}


async def get(client: ClientSession, path: str, method: str = "GET", **more: Any) -> tuple[int, Any]:
    async with client.request(method, path, **more) as response:
        return response.status, await response.json(content_type=None)


def address(route: Route) -> str:
    return re.sub(r"\{\w+\}", "x", route.path)


def test_every_route_of_the_application_is_declared():
    app = make_app(Memory().services())
    served = {(r.method, r.resource.canonical) for r in app.router.routes() if r.resource}
    declared = {(r.method, r.path) for r in ROUTES}
    implied = {("HEAD", p) for m, p in declared if m == "GET"} | {("OPTIONS", p) for _, p in declared}
    assert declared <= served
    assert served - declared <= implied


@pytest.mark.parametrize("route", ROUTES, ids=lambda r: f"{r.method} {r.path}")
async def test_every_route_has_a_scope_and_holds_to_it(route: Route, site: str):
    assert (route.scope is PUBLIC) == (route.path in OPEN)
    if route.scope is PUBLIC:
        return
    async with ClientSession(site) as client:
        status, problem = await get(client, address(route), route.method)
        assert (status, problem["code"]) == (401, "auth.key_missing")
        other = "reader-key" if route.scope.startswith("facts:") else "writer-key"
        status, problem = await get(client, address(route), route.method, headers={"Authorization": f"Bearer {other}"})
        assert (status, problem["code"]) == (403, "auth.scope_missing")
        assert route.scope in problem["detail"]


async def test_what_is_not_there(admin: ClientSession):
    status, problem = await get(admin, "/v1/nothing")
    assert (status, problem["code"], problem["title"]) == (404, "request.not_found", "Not Found")
    async with admin.delete("/v1/facts") as response:
        assert response.status == 405
        assert response.headers["Allow"] == "OPTIONS, POST"
        assert response.content_type == "application/problem+json"


async def test_a_contact(admin: ClientSession):
    status, contact = await get(admin, "/v1/contacts/ada")
    assert status == 200
    assert contact["scores"] == {"lead": 40, "interest": {"seo": 10}}
    assert contact["segments"] == ["hot"]
    assert [fact["id"] for fact in contact["recent"]] == [f"f{n}" for n in range(12, 1, -1) if n != 11]
    assert contact["created_at"] == "1970-01-01T00:00:00.000Z"
    status, problem = await get(admin, "/v1/contacts/eve")
    assert (status, problem["code"]) == (404, "contact.unknown")


async def test_a_contact_whose_id_needs_escaping(site: str):
    from yarl import URL

    async with ClientSession(headers={"Authorization": "Bearer admin-key"}) as client:
        url = URL(f"{site}/v1/contacts/external%3Acrm%3Aa%2Fb%20c", encoded=True)
        async with client.get(url) as response:
            assert response.status == 200


async def test_a_timeline_page_by_page(admin: ClientSession):
    seen: list[int] = []
    cursor = ""
    for _ in range(3):
        status, page = await get(admin, f"/v1/contacts/ada/timeline?limit=5{cursor}")
        assert status == 200
        seen += [item["seq"] for item in page["items"]]
        cursor = f"&cursor={page['next']}"
    assert seen == list(range(12, 0, -1))
    assert page["next"] is None
    for tampered in ("abc", "-1", "1.5", "9" * 16, "٣", "1%0A"):
        status, problem = await get(admin, f"/v1/contacts/ada/timeline?cursor={tampered}")
        assert (status, problem["code"]) == (400, "cursor.invalid")


async def test_a_history_of_consent_page_by_page(admin: ClientSession):
    seen: list[str] = []
    cursor = ""
    for _ in range(3):
        status, page = await get(admin, f"/v1/contacts/ada/consent?limit=4{cursor}")
        assert status == 200
        seen += [item["entry"] for item in page["items"]]
        cursor = f"&cursor={page['next']}"
    assert seen == [f"3.{n}:ab" for n in range(9, 0, -1)]
    assert page["next"] is None
    assert (await get(admin, "/v1/contacts/ada/consent?cursor=x"))[1]["code"] == "cursor.invalid"


async def test_erasing_and_its_proofs(admin: ClientSession):
    async with admin.delete("/v1/contacts/ada") as response:
        assert (response.status, response.headers["Location"]) == (202, "/v1/erasures/er-0")
        assert (await response.json())["state"] == "under_way"
    async with admin.delete("/v1/contacts/eve") as response:
        assert (response.status, (await response.json())["code"]) == (404, "contact.unknown")
    status, proof = await get(admin, "/v1/erasures/er-1")
    assert (status, proof["state"], proof["number"]) == (200, "done", 1)
    assert (await get(admin, "/v1/erasures/er-9"))[1]["code"] == "erasure.unknown"
    status, page = await get(admin, "/v1/erasures?limit=1")
    assert (page["ok"], [e["number"] for e in page["items"]], page["next"]) == (True, [2], "2")
    assert [e["number"] for e in (await get(admin, "/v1/erasures?cursor=2"))[1]["items"]] == [1]
    assert (await get(admin, "/v1/erasures?cursor=x"))[1]["code"] == "cursor.invalid"
    assert (await get(admin, "/v1/contacts/ada/export"))[1]["contact"]["id"] == "ada"
    async with admin.get("/v1/contacts/busy/export") as response:
        assert (response.status, response.headers["Retry-After"]) == (429, "5")


async def test_rankings_and_segments(admin: ClientSession):
    status, page = await get(admin, "/v1/scores/lead/top?key=seo&limit=3&cursor=c")
    assert (status, page) == (200, {"items": [{"contact": "ada", "score": 40, "key": "seo", "limit": 3}], "next": "c"})
    assert (await get(admin, "/v1/scores/nothing/top"))[1]["code"] == "score.unknown"
    assert (await get(admin, "/v1/segments/hot/contacts"))[1]["items"] == [{"contact": "ada"}]
    for limit in ("0", "501", "many"):
        assert (await get(admin, f"/v1/segments/hot/contacts?limit={limit}"))[0] == 400


async def test_messages(admin: ClientSession):
    assert await get(admin, "/v1/messages?state=dead") == (
        200,
        {"items": [{"id": "m1", "state": "dead"}], "next": None},
    )
    assert (await get(admin, "/v1/messages?state=lost"))[0] == 400
    assert await get(admin, "/v1/messages/m1/retry", "POST") == (200, {"id": "m1"})
    status, problem = await get(admin, "/v1/messages/m2/retry", "POST")
    assert (status, problem["code"]) == (404, "message.unknown")


async def test_messages_that_wait_for_approval(admin: ClientSession):
    for verb in ("approve", "reject"):
        assert await get(admin, f"/v1/messages/m1/{verb}", "POST") == (200, {"id": "m1"})
        status, problem = await get(admin, f"/v1/messages/m2/{verb}", "POST")
        assert (status, problem["code"]) == (404, "message.unknown")


async def test_a_ruleset_from_draft_to_rollback(admin: ClientSession):
    path = "/v1/rulesets/scoring"
    status, kept = await get(admin, path, "PUT", data=b"name: scoring")
    assert (status, kept["revision"], kept["active"]) == (201, "r13", False)
    assert (await get(admin, path, "PUT", data=b"\xef\xbb\xbfname: scoring"))[0] == 200
    status, problem = await get(admin, f"{path}/revisions/r13/activate", "POST", headers={"If-Match": '"r1"'})
    assert (status, problem["code"]) == (412, "ruleset.changed")
    status, active = await get(admin, f"{path}/revisions/r13/activate", "POST")
    assert (status, active) == (200, {"name": "scoring", "revision": "r13", "version": 7, "stranded": {}})
    async with admin.get(path) as response:
        assert response.headers["ETag"] == '"r13"'
        assert (await response.json())["active"] == "r13"
    assert (await get(admin, "/v1/rulesets"))[1] == [{"name": "scoring", "active": "r13", "revisions": []}]
    assert (await get(admin, f"{path}/rollback", "POST"))[1]["revision"] == "r0"
    assert (await get(admin, "/v1/rulesets/nothing"))[0] == 404


async def test_revisions_are_read_and_compared(admin: ClientSession):
    path = "/v1/rulesets/scoring"
    for text in (b"name: scoring", b"name: scoring\n# more"):
        await get(admin, path, "PUT", data=text)
    async with admin.get(f"{path}/revisions/r20") as response:
        assert (response.content_type, await response.text()) == ("text/plain", "name: scoring\n# more")
        assert response.headers["ETag"] == '"r20"'
    assert (await get(admin, f"{path}/diff?from=r13&to=r13"))[1] == {"name": "scoring", "changes": []}
    await get(admin, f"{path}/revisions/r13/activate", "POST")
    for query in ("from=r13&to=r20", "to=r20"):
        (change,) = (await get(admin, f"{path}/diff?{query}"))[1]["changes"]
        assert (change["kind"], change["facet"], change["before"]) == ("changed", "when", "name: scoring")
    for query in ("", "from=r13", "to=r13&since=r20"):
        status, problem = await get(admin, f"{path}/diff?{query}")
        assert (status, problem["code"], problem["hint"]) == (400, "request.query", "Known parameters: to, from.")
    assert (await get(admin, f"{path}/diff?from=r13&to=r1"))[0] == 404
    assert (await get(admin, f"{path}/revisions/r1"))[0] == 404


async def test_the_schemas_are_for_anyone(site: str):
    async with ClientSession(site) as client:
        for name, title in (("ruleset", "Overture ruleset"), ("tests", "Overture tests of a ruleset")):
            status, schema = await get(client, f"/v1/schemas/{name}.json")
            assert (status, schema["title"]) == (200, title)
            assert schema["$schema"].endswith("2020-12/schema")


@pytest.mark.parametrize(
    ("given", "holds"),
    [
        (['"r13"'], True),
        (['"r1", "r13"'], True),
        (['"r1"', '"r13"'], True),
        ([' ,"a,b" ,, "r13",'], True),
        (["*"], True),
        (['"r1"'], False),
        (['"r1", "r2"'], False),
        (['""'], False),
        (['W/"r13"'], False),  # weak tags match nothing here (RFC 9110, 13.1.1)
        (['W/"r13", "r13"'], True),
    ],
)
async def test_if_match_names_what_may_be_active(admin: ClientSession, given: list[str], holds: bool):
    path = "/v1/rulesets/scoring"
    await get(admin, path, "PUT", data=b"name: scoring")
    headers = [("If-Match", value) for value in given]
    for route in (f"{path}/revisions/r13/activate", f"{path}/rollback"):
        assert (await get(admin, f"{path}/revisions/r13/activate", "POST"))[0] == 200
        status, answer = await get(admin, route, "POST", headers=headers)
        assert (status, answer.get("code", "")) == ((200, "") if holds else (412, "ruleset.changed"))


async def test_if_match_where_nothing_is_active(admin: ClientSession):
    await get(admin, "/v1/rulesets/scoring", "PUT", data=b"name: scoring")
    status, problem = await get(admin, "/v1/rulesets/scoring/revisions/r13/activate", "POST", headers={"If-Match": "*"})
    assert (status, problem["code"]) == (412, "ruleset.changed")


@pytest.mark.parametrize("given", ["", "r13", '"r13', '"r13" "r1"', '*, "r13"', "W/r13", ","])
async def test_if_match_that_is_no_list_of_tags(admin: ClientSession, given: str):
    await get(admin, "/v1/rulesets/scoring", "PUT", data=b"name: scoring")
    for route in ("revisions/r13/activate", "rollback"):
        status, problem = await get(admin, f"/v1/rulesets/scoring/{route}", "POST", headers={"If-Match": given})
        assert (status, problem["code"]) == (400, "request.if_match")


async def test_a_ruleset_with_errors_names_each(admin: ClientSession):
    for method, path in (("PUT", "/v1/rulesets/scoring"), ("POST", "/v1/rulesets/scoring/check")):
        status, problem = await get(admin, path, method, data=b"when: fact.totl > 1")
        assert status == 422
        (error,) = problem["errors"]
        assert (error["code"], error["line"], error["column"]) == ("rule.unknown_field", 3, 7)
        assert (await get(admin, path, method, data=b"\xff"))[1]["code"] == "ruleset.not_utf8"
        assert (await get(admin, path, method, data=b" " * (2**20 + 1)))[0] == 413
    assert await get(admin, "/v1/rulesets/scoring/check", "POST", data=b"fine") == (200, {"warnings": []})


async def test_a_backtest_from_start_to_end(admin: ClientSession, memory: Memory):
    async with admin.post("/v1/rulesets/vip/backtest?since=30d&baseline=recorded", data="name: vip") as response:
        assert (response.status, response.headers["Location"]) == (202, "/v1/backtests/bt-1")
        assert (await response.json())["state"] == "running"
    asked = memory.calls[-1]
    assert (asked["name"], asked["text"]) == ("vip", "name: vip")
    assert (asked["query"].since, asked["query"].until, asked["query"].baseline) == ("30d", "", "recorded")
    status, job = await get(admin, "/v1/backtests/bt-1")
    assert (status, job["progress"], job["summary"], job["error"]) == (200, {"facts": 1, "of": 2}, None, None)
    _, first = await get(admin, "/v1/backtests/bt-1/contacts?limit=3")
    _, second = await get(admin, f"/v1/backtests/bt-1/contacts?limit=3&cursor={first['next']}")
    assert [c["contact"] for c in first["items"] + second["items"]] == ["c0", "c1", "c2", "c3", "c4"]
    assert second["next"] is None
    status, problem = await get(admin, "/v1/backtests/bt-1/contacts?cursor=-1")
    assert (status, problem["code"]) == (400, "request.query")
    status, problem = await get(admin, "/v1/rulesets/vip/backtest?baseline=mine", "POST")
    assert (status, problem["code"]) == (400, "request.query")
    assert await get(admin, "/v1/backtests/bt-1", "DELETE") == (200, {"id": "bt-1"})
    assert memory.calls[-1] == {"removed": "bt-1"}


async def test_a_question_that_takes_long(admin: ClientSession, memory: Memory):
    path = "/v1/attribution?conversion=order_completed&value=fact.total&order=2&model=markov"
    async with admin.get(path) as response:
        assert (response.status, response.headers["Retry-After"]) == (202, "1")
        assert await response.json() == {"facts": 7}
    asked = memory.calls[-1]
    assert not asked["gone"]
    assert asked["question"] == Question("order_completed", "fact.total", order=2, model="markov")
    for wrong in ("", "?conversion=x&model=best", "?conversion=x&order=two", "?conversion=x&since_when=1d"):
        status, problem = await get(admin, f"/v1/attribution{wrong}")
        assert (status, problem["code"]) == (400, "request.query")


async def test_a_preview(admin: ClientSession):
    asked = {"template": "hello", "ruleset": "vip", "data": {"contact": {"name": "Ada"}}}
    async with admin.post("/v1/templates/preview", json=asked) as response:
        assert (response.status, (await response.json())["text"]) == (200, "Hello Ada")
    async with admin.post("/v1/templates/preview", json={"templates": "hello"}) as response:
        assert (response.status, (await response.json())["code"]) == (400, "preview.malformed")


async def test_health(site: str, memory: Memory):
    async with ClientSession(site) as client:
        assert await get(client, "/healthz") == (200, {"status": "ok"})
        assert await get(client, "/readyz") == (200, {"ready": True})
        memory.is_ready = False
        assert await get(client, "/readyz") == (503, {"ready": False})


async def test_metrics_count_what_happened(http: ClientSession):
    async def metrics() -> str:
        async with http.get("/metrics") as response:
            assert response.content_type == "text/plain"
            return await response.text()

    def value(text: str, name: str) -> float:
        return next((float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name + " ")), 0.0)

    counted = {
        'overture_facts_total{code="",outcome="accepted"}': 1,
        'overture_facts_total{code="fact.type_invalid",outcome="rejected"}': 1,
        'overture_http_requests_total{method="POST",route="/v1/facts",status="200"}': 1,
        'overture_http_requests_total{method="POST",route="/v1/facts",status="400"}': 1,
        'overture_http_seconds_count{method="POST",route="/v1/facts"}': 2,
    }
    before = await metrics()
    async with http.post("/v1/facts", json={"type": "a", "contact": "ada"}) as response:
        assert response.status == 200
    async with http.post("/v1/facts", json={"type": "A", "contact": "ada"}) as response:
        assert response.status == 400
    after = await metrics()
    assert {name: value(after, name) - value(before, name) for name in counted} == counted


async def test_the_openapi_document_has_every_route(site: str):
    async with ClientSession(site) as client:
        _, document = await get(client, "/openapi.json")
    assert document["openapi"] == "3.1.0"
    for route in ROUTES:
        operation = document["paths"][route.path][route.method.lower()]
        assert operation["summary"].endswith((".", "?", "!"))
        assert ("security" in operation) == (route.scope is not PUBLIC)
        named = [p["name"] for p in operation.get("parameters", []) if p["in"] == "path"]
        assert named == re.findall(r"\{(\w+)\}", route.path)
    operations = [o for path in document["paths"].values() for o in path.values()]
    assert len({o["operationId"] for o in operations}) == len(operations) == len(ROUTES)
    used = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(document)))
    assert used == set(document["components"]["schemas"])
    pattern = document["components"]["schemas"]["FactBody"]["properties"]["type"]["pattern"]
    assert re.fullmatch(pattern, "order.completed")
    assert pattern.strip("^$").replace("(", "(?:") == TYPE_NAME.pattern


async def test_schemathesis_reads_the_document(site: str):
    import schemathesis

    async with ClientSession(site) as client:
        _, document = await get(client, "/openapi.json")
    schema = schemathesis.openapi.from_dict(document)
    schema.validate()
    assert {(o.ok().method.upper(), o.ok().path) for o in schema.get_all_operations()} == {
        (r.method, r.path) for r in ROUTES
    }


async def test_an_artefact_is_put_and_a_version_pinned(admin: ClientSession) -> None:
    body = b'{"kind": "linear", "edition": "e", "intercept": 0, "weights": {"baskets": 1}}'
    async with admin.put("/v1/models/shop/buys", data=body) as answer:
        assert (answer.status, len((await answer.json())["version"])) == (200, 16)
    async with admin.put("/v1/models/shop/buys", data=b'{"kind": "pickle"}') as answer:
        assert (answer.status, (await answer.json())["code"]) == (422, "artefact.wrong")
    async with admin.post("/v1/models/shop/buys/pin", data=b'{"pinned": true, "version": "abc"}') as answer:
        assert await answer.json() == {"model": "shop/buys", "version": "abc", "active": 2}
    async with admin.post("/v1/models/shop/buys/pin", data=b'{"pin": 1}') as answer:
        assert (answer.status, (await answer.json())["code"]) == (400, "model.malformed")
    status, (state,) = await get(admin, "/v1/models")
    assert (status, state["model"], state["measured"]) == (200, "shop/buys", None)
