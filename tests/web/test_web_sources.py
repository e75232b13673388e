"""What is posted to a source: read by a plugin that is installed as pip would leave it, over real HTTP.

The plugin does whatever the request asks of it, so that each way to go wrong can be told apart.
"""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import gzip
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web
from webkit import Memory

from overture.model import Overloaded, StoreUnavailable
from overture.node.plugged import PluginService
from overture.plugin import Limits, PluginManager
from overture.plugin.listening import HostedPush
from overture.state.outbox import Outbox
from overture.state.refusals import Refusals
from overture.state.wire import Wire
from overture.state.words import Words
from overture.web import make_app, make_runner, path_taken

MODULE = "ov_test_doorbell"
SOURCE = """
import asyncio
import json
import time

from pydantic import BaseModel

from overture.plugin import Answer, Endpoint, NoFact, Once, Posted, PushSourcePlugin, Refuse, Transform, hookimpl


class Config(BaseModel):
    house: str = "ours"


def rung(n, **more):
    return {"id": f"ring-{n}", "type": "rung", "contact": f"guest-{n}"} | more


class Sleepy(Exception):
    def __str__(self):
        time.sleep(600)


class Doorbell:
    closed = 0

    def __init__(self, config):
        self.house = config.house

    async def parse(self, request):
        said = json.loads(request.inflated or b"{}")
        key = request.query.get("key", "") or said.get("key", "")
        match said.get("do"):
            case "raise":
                raise OSError("the wire is cut")
            case "exit":
                raise SystemExit(3)
            case "half":
                raise OSError("no \\ud800")
            case "sleep":
                raise Sleepy
            case "refuse_half":
                raise Refuse("doorbell.\\ud800", "There is no \\ud800.")
            case "hang":
                await asyncio.Event().wait()
            case "hang_on":
                while True:
                    try:
                        await asyncio.sleep(3600)
                    except asyncio.CancelledError:
                        if said.get("end"):
                            raise
                        said["end"] = True
            case "type":
                return eval(said["what"])
            case "refuse":
                raise Refuse("doorbell.broken", "There is no bell.", said.get("status", 422))
            case "flood":
                return Posted(facts=[rung(n) for n in range(said["n"])])
            case "facts":
                return Posted(facts=said["facts"], key=key, refused=[NoFact(*r) for r in said.get("no", [])])
            case "surrogate":
                odd = [rung(2, properties={"name": "\\ud800"}), rung(3, properties={"n": 2**70})]
                return Posted(facts=[rung(1), *odd, rung(4)])
            case "hello":
                return Answer(status=201, body=b"hi", content_type="text/plain", headers={"X-House": self.house})
        seen = {k: getattr(request, k) for k in ("method", "path", "endpoint", "parts", "query", "peer")}
        raw = [request.body.hex(), request.inflated.decode(), request.headers.get("x-mixed-case", "")]
        return Posted(facts=[], key=key, answer=Answer(body={**seen, "raw": raw, "house": self.house}))

    async def close(self):
        Doorbell.closed += 1


@hookimpl
def overture_sources():
    yield PushSourcePlugin(name="doorbell", config=Config, open=Doorbell, endpoints=[
        Endpoint(method="POST", path="/ring", browser=True),
        Endpoint(method="POST", path="~/rung/{floor}/by/{who}"),
        Endpoint(method="GET", path="~/signed", proof="source"),
        Endpoint(method="POST", path="~/signed", proof="source", most=100),
    ])
"""


@dataclasses.dataclass
class Site:
    url: str
    memory: Memory
    sources: dict[str, HostedPush]
    service: PluginService


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / f"{MODULE}.py").write_text(SOURCE)
    info = tmp_path / f"{MODULE}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ov-doorbell\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[overture]\ndoorbell = {MODULE}\n")
    yield
    sys.modules.pop(MODULE, None)


@pytest.fixture
async def site(plugin: None, memory: Memory, store_url: str) -> AsyncIterator[Site]:
    """The doorbell of its own, and a second one under another name; calls may take 0.3 s, 3 failures are enough."""
    manager = PluginManager()
    manager.load()
    assert manager.configure("source", {"back_door": {"plugin": "doorbell", "house": "theirs"}}) == []
    opened = manager.open_sources(Limits(timeout=0.3, parallel=4, failures=3, pause=0.2))
    sources = {name: opened[name] for name in ("doorbell", "back_door")}
    wire = await Wire.connect(store_url)
    service = PluginService(manager, {}, sources.values(), {}, Refusals(wire), Outbox(wire, 1), {}, Words(wire))
    runner = make_runner(make_app(dataclasses.replace(memory.services(), plugins=service)), 1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield Site(f"http://127.0.0.1:{runner.addresses[0][1]}", memory, sources, service)
    finally:
        await runner.cleanup()
        await wire.close()


@pytest.fixture
async def bell(site: Site) -> AsyncIterator[ClientSession]:
    async with ClientSession(site.url, headers={"Authorization": "Bearer writer-key"}) as session:
        yield session


async def ring(session: ClientSession, path: str = "/ring", **said: Any) -> tuple[int, Any]:
    async with session.post(path, json=said) as answer:
        return answer.status, await answer.json(content_type=None)


async def test_what_a_source_is_given(bell: ClientSession):
    packed = gzip.compress(b'{"do": "tell"}')
    headers = {"X-Mixed-Case": "Yes"}
    path = "/in/doorbell/rung/2%2F3/by/ada%20l?a=1&a=2&b=%C3%A9"
    async with bell.post(path, data=packed, headers=headers) as answer:
        assert answer.status == 200
        told = await answer.json()
    assert told == {
        "method": "POST",
        "path": "/in/doorbell/rung/2/3/by/ada l",
        "endpoint": "~/rung/{floor}/by/{who}",
        "parts": {"floor": "2/3", "who": "ada l"},
        "query": {"a": "2", "b": "é"},
        "peer": "127.0.0.1",
        "raw": [packed.hex(), '{"do": "tell"}', "Yes"],
        "house": "ours",
    }


async def test_a_second_one_has_paths_below_its_own_name_and_no_others(bell: ClientSession):
    _, told = await ring(bell, "/in/back_door/rung/1/by/ada")
    assert told["house"] == "theirs"
    _, told = await ring(bell)
    assert told["house"] == "ours"


async def test_an_answer_is_given_as_it_is(bell: ClientSession):
    async with bell.post("/ring", json={"do": "hello"}) as answer:
        assert (answer.status, answer.content_type, await answer.read()) == (201, "text/plain", b"hi")
        assert answer.headers["X-House"] == "ours"


async def test_a_request_that_is_to_be_sent_again_is_not_recorded_as_refused(site: Site, bell: ClientSession):
    status, told = await ring(bell, do="type", what='Transform(script="shop/desk", request={}, seed="1")')
    assert (status, told["code"]) == (503, "transform.unknown")
    assert await site.service.refused(10) == []


async def test_no_script_is_asked_for_who_has_no_key(site: Site):
    async with ClientSession(site.url) as stranger:
        status, told = await ring(stranger, do="type", what='Transform(script="shop/desk", request={}, seed="1")')
    assert (status, told["code"]) == (401, "auth.key_missing")


async def test_a_word_is_not_bound_by_who_has_no_key(site: Site, bell: ClientSession):
    posted = 'Posted(facts=[rung(1)], once=Once("word", "{}", 60))'
    async with ClientSession(site.url) as stranger:
        status, told = await ring(stranger, do="type", what=posted.format("theirs"))
    assert (status, told["code"]) == (401, "auth.key_missing")
    assert await site.service.refused(10) == []
    assert (await ring(bell, do="type", what=posted.format("ours")))[0] == 200
    status, told = await ring(bell, do="type", what=posted.format("theirs"))
    assert (status, told["code"]) == (401, "source.signature")


async def test_facts_are_taken_and_bad_ones_recorded(site: Site, bell: ClientSession):
    good = {"id": "f1", "type": "rung", "contact": "ada"}
    bad = {"id": "f2", "type": "Not A Type", "contact": "ada"}
    status, _ = await ring(bell, do="facts", facts=[good, bad, 7], no=[[{"x": 1}, "doorbell.noise", "A cat."]])
    assert status == 200
    assert list(site.memory.taken) == ["f1"]
    assert site.memory.calls[0]["source"] == "writer"
    found = await site.service.refused(10)
    assert sorted((r.source, r.code, r.pointer) for r in found) == [
        ("doorbell", "doorbell.noise", ""),
        ("doorbell", "fact.not_object", ""),
        ("doorbell", "fact.type_invalid", "/type"),
    ]
    assert {json.dumps(json.loads(r.fact)) for r in found} == {json.dumps(bad), "7", '{"x": 1}'}


async def test_what_no_encoding_holds_costs_itself_alone(site: Site, bell: ClientSession):
    status, _ = await ring(bell, do="surrogate")
    assert status == 200
    assert list(site.memory.taken) == ["ring-1", "ring-4"]
    assert {r.code for r in await site.service.refused(10)} == {"fact.surrogate", "fact.number_range"}


async def test_the_words_of_a_refusal_are_cleaned(site: Site, bell: ClientSession):
    status, problem = await ring(bell, do="refuse_half")
    assert (status, problem["code"], problem["detail"]) == (400, "doorbell.?", "There is no ?.")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"do": "raise"}, "OSError: the wire is cut"),
        ({"do": "exit"}, "SystemExit: 3"),
        ({"do": "half"}, "OSError: no ?"),
        ({"do": "sleep"}, "kept the process to itself"),
        ({"do": "hang"}, "did not answer within 0.3 s"),
        ({"do": "hang_on"}, "did not answer within 0.3 s"),
        ({"do": "type", "what": "None"}, "NoneType instead of Posted, Transform or Answer"),
        ({"do": "type", "what": "[]"}, "list instead of Posted, Transform or Answer"),
        ({"do": "type", "what": "Posted(facts=None)"}, "facts and refused are lists"),
        ({"do": "type", "what": "Posted(facts='abc')"}, "facts and refused are lists"),
        ({"do": "type", "what": "Posted(facts=[], refused=[1])"}, "what was refused"),
        ({"do": "type", "what": "Posted(facts=[], key=None)"}, "key is a text"),
        ({"do": "type", "what": "Posted(facts=[], answer={})"}, "its answer is no Answer"),
        ({"do": "type", "what": "Answer(status=503)"}, "status 503"),
        ({"do": "type", "what": "Answer(status='200')"}, "status '200'"),
        ({"do": "type", "what": "Answer(body=object())"}, "its body is no JSON"),
        ({"do": "type", "what": "Answer(headers={'A': 'x\\r\\nB: y'})"}, "headers are lines"),
        ({"do": "type", "what": "Answer(content_type='a\\r\\nB: y')"}, "content_type is a line"),
    ],
)
async def test_a_source_that_fails_is_answered_so_that_the_caller_comes_again(
    site: Site, bell: ClientSession, said: dict[str, Any], told: str
):
    status, problem = await ring(bell, **said)
    assert (status, problem["code"]) == (503, "source.failing")
    assert told in problem["detail"]
    assert site.memory.taken == {}


async def test_one_that_keeps_failing_is_left_alone_and_stops_no_other(site: Site, bell: ClientSession):
    for _ in range(3):
        assert (await ring(bell, do="raise"))[0] == 503
    _, problem = await ring(bell, do="facts", facts=[])
    assert "left alone for a while" in problem["detail"]
    assert (await ring(bell, "/in/back_door/rung/1/by/ada"))[0] == 200
    (plugin,) = [p for p in site.service.states() if p.name == "doorbell"]
    assert plugin.offers[0].open == {"doorbell": "open", "back_door": "closed"}
    while (await ring(bell, do="facts", facts=[]))[0] != 200:
        await asyncio.sleep(0.05)
    (plugin,) = [p for p in site.service.states() if p.name == "doorbell"]
    assert plugin.offers[0].open["doorbell"] == "closed"


async def test_hanging_calls_do_not_pile_up(site: Site, bell: ClientSession):
    """Four may run at once: further ones are turned away, and the server goes on."""
    answers = await asyncio.gather(*(ring(bell, do="hang_on") for _ in range(12)))
    assert {status for status, _ in answers} == {503}
    async with bell.get("/healthz") as alive:
        assert alive.status == 200


async def test_without_the_store_nothing_is_taken_and_the_caller_comes_again(site: Site, bell: ClientSession):
    facts = [{"id": "f1", "type": "rung", "contact": "ada"}, {"type": "Bad"}]
    site.memory.fail = StoreUnavailable("The store cannot be reached.")
    async with bell.post("/ring", json={"do": "facts", "facts": facts}) as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
    assert await site.service.refused(10) == []
    site.memory.fail = Overloaded("facts.backlog", "Too many wait.")
    async with bell.post("/ring", json={"do": "facts", "facts": facts}) as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (429, "1")
    assert site.memory.taken == {}
    site.memory.fail = None
    assert (await ring(bell, do="facts", facts=facts))[0] == 200
    assert list(site.memory.taken) == ["f1"]
    assert site.sources["doorbell"].breaker.state == "closed"  # it was not the source that failed


async def test_a_refusal_is_the_sources_own(bell: ClientSession):
    status, problem = await ring(bell, do="refuse")
    assert (status, problem["code"], problem["detail"]) == (422, "doorbell.broken", "There is no bell.")
    assert problem["message"] == problem["detail"]  # where libraries of others look
    assert (await ring(bell, do="refuse", status=503))[0] == 400  # whoever means that raises


async def test_more_facts_than_a_batch_holds_are_refused_as_a_whole(site: Site, bell: ClientSession):
    status, problem = await ring(bell, do="flood", n=30_001)  # of 10,000 events, each of which makes three
    assert (status, problem["code"]) == (413, "body.too_many_facts")
    assert site.memory.taken == {}
    assert (await ring(bell, do="flood", n=10_001))[0] == 200
    assert len(site.memory.taken) == 10_001


async def test_the_key_may_stand_wherever_the_source_finds_it(site: Site):
    async with ClientSession(site.url) as anyone:
        assert (await ring(anyone, key="writer-key"))[0] == 200
        assert (await ring(anyone, "/ring?key=writer-key"))[0] == 200
        basic = {"Authorization": "Basic " + base64.b64encode(b"writer-key:").decode()}
        async with anyone.post("/ring", json={}, headers=basic) as answer:
            assert answer.status == 200
        for path, said, status, code in (
            ("/ring", {}, 401, "auth.key_missing"),
            ("/ring", {"key": "nobody"}, 401, "auth.key_unknown"),
            ("/ring?key=reader-key", {}, 403, "auth.scope_missing"),
        ):
            got, problem = await ring(anyone, path, do="facts", facts=[{"type": "rung", "contact": "ada"}], **said)
            assert (got, problem["code"]) == (status, code)
        wrong = {"Authorization": "Basic " + base64.b64encode(b"nobody:").decode()}
        async with anyone.post("/ring", json={"key": "writer-key"}, headers=wrong) as answer:
            assert answer.status == 401
    assert site.memory.taken == {}


async def test_where_the_source_itself_checks_no_key_is_asked_for(site: Site):
    async with ClientSession(site.url) as anyone:
        async with anyone.get("/in/doorbell/signed") as answer:
            assert answer.status == 200
        said = {"do": "facts", "facts": [{"id": "f1", "type": "rung", "contact": "ada"}]}
        async with anyone.post("/in/doorbell/signed", data=json.dumps(said)) as answer:
            assert answer.status == 200
        assert site.memory.calls[0]["source"] == "doorbell"
        async with anyone.post("/in/doorbell/signed", data=b" " * 101) as answer:
            assert (answer.status, (await answer.json())["code"]) == (413, "body.too_large")
        async with anyone.post("/in/doorbell/signed", data=b"\x1f\x8bnot gzip") as answer:
            assert (answer.status, (await answer.json())["code"]) == (400, "body.corrupt")


async def test_a_page_of_another_origin_may_post_where_the_endpoint_says_so(site: Site):
    asked = {
        "Origin": "https://shop.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,anonymousid,sentat,content-type",
    }
    async with ClientSession(site.url) as page:
        async with page.options("/ring", headers=asked) as answer:
            assert answer.status == 204
            assert answer.headers["Access-Control-Allow-Origin"] == "https://shop.example"
            assert answer.headers["Access-Control-Max-Age"] == "86400"
            allowed = answer.headers["Access-Control-Allow-Headers"]
        assert {"authorization", "content-type", "anonymousid", "sentat", "x-retry-count"} <= set(allowed.split(", "))
        async with page.post("/ring", json={"key": "nobody"}, headers={"Origin": "https://shop.example"}) as answer:
            assert answer.status == 401
            assert answer.headers["Access-Control-Allow-Origin"] == "https://shop.example"
        async with page.options("/in/doorbell/signed", headers=asked) as answer:
            assert answer.status == 405


async def test_paths_that_are_taken(site: Site):
    doorbell, second = site.sources["doorbell"], site.sources["back_door"]
    assert path_taken(doorbell, []) is None
    assert path_taken(second, [doorbell]) is None
    assert str(path_taken(doorbell, [second, doorbell])).startswith(
        "POST /ring is answered by the source doorbell already, as /ring."
    )
