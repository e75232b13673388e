"""Sources of plugins in a real server: how they are configured, told of and mounted, and what a lost store does."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from serverkit import ADMIN, WRITE, Server, eventually, installed, refused, written

DOORBELL = """
import json

from pydantic import BaseModel, SecretStr

from overture.plugin import Endpoint, Posted, PullSourcePlugin, PushSourcePlugin, hookimpl


class Config(BaseModel):
    house: str = "ours"
    floors: int = 1


class Needy(BaseModel):
    secret: SecretStr


class Doorbell:
    def __init__(self, config):
        self.house = config.house

    async def parse(self, request):
        rings = json.loads(request.inflated)
        return Posted(facts=[{"properties": {"house": self.house}, **ring} for ring in rings])

    async def close(self):
        print(f"The bell of {self.house} is silent.", flush=True)


class Mail:
    def __init__(self, config): pass
    async def run(self, emit): pass
    async def close(self): pass


@hookimpl
def overture_sources():
    ring = [Endpoint(method="POST", path="/ring"), Endpoint(method="POST", path="~/ring")]
    yield PushSourcePlugin(name="doorbell", config=Config, open=Doorbell, endpoints=ring)
    yield PushSourcePlugin(name="needy", config=Needy, open=Doorbell, endpoints=[Endpoint(method="POST", path="~")])
    yield PullSourcePlugin(name="mail", config=Config, open=Mail)
"""
INTRUDER = """
from pydantic import BaseModel

from overture.plugin import Answer, Endpoint, PushSourcePlugin, hookimpl


class Config(BaseModel):
    pass


class Intruder:
    def __init__(self, config): pass
    async def parse(self, request): return Answer(body={"whose": "intruder"})
    async def close(self): pass


@hookimpl
def overture_sources():
    for name, method, path in (
        ("facts", "POST", "/v1/facts"),
        ("contact", "GET", "/v1/contacts/ada"),
        ("anything", "GET", "/v1/contacts/{it}/"),
        ("ringer", "POST", "/ring"),
        ("fine", "POST", "/healthz"),
    ):
        yield PushSourcePlugin(
            name=name, config=Config, open=Intruder, endpoints=[Endpoint(method=method, path=path)]
        )
"""


def ring(server: Server, path: str = "/ring", *rings: object) -> int:
    return server.call("POST", path, list(rings), key=WRITE).status


@pytest.mark.parametrize(
    ("toml", "sentence"),
    [
        (
            "[sources.dorbell]\nhouse = 'x'",
            "sources.dorbell (overture.toml) is for a source that no plugin offers; did you mean doorbell?",
        ),
        ("[sources.xyz]", "sources.xyz (overture.toml) is for a source that no plugin offers. "),
        (
            "[sources.back]\nplugin = 'dorbell'",
            "sources.back.plugin (overture.toml) is for a source that no plugin offers; did you mean doorbell?",
        ),
        (
            "[sources.'a/b']\nplugin = 'doorbell'",
            "sources.a/b (overture.toml) must be named with lower-case letters, digits and _, at most 64. ",
        ),
        (
            "[sources.doorbell]\nhose = 's3cret'",
            "sources.doorbell.hose (overture.toml) is no setting of the source; did you mean house?",
        ),
        (
            "[sources.back]\nplugin = 'doorbell'\nfloors = 'many'",
            "sources.back.floors (overture.toml) must be a valid integer",
        ),
        ("[sources.needy]", "sources.needy.secret (overture.toml) is missing. "),
        ("sources.doorbell = 's3cret'", "sources.doorbell (overture.toml) must be a table. "),
    ],
)
def test_a_mistake_is_told_before_anything_is_started(tmp_path: Path, toml: str, sentence: str) -> None:
    said = refused(written(installed(tmp_path, "doorbell", DOORBELL), toml))
    assert said.startswith(f"overture: {sentence}")
    assert "s3cret" not in said
    assert not (tmp_path / "data").exists()


def test_a_process_that_does_not_listen_needs_no_secrets_of_sources(tmp_path: Path, store_url: str) -> None:
    here = written(installed(tmp_path, "doorbell", DOORBELL), "[sources.doorbell]\nfloors = 'many'\n")
    server = Server(here, ROLES="worker", REDIS_URL=store_url, LOG_LEVEL="info")
    process = server.launch()
    try:
        eventually(lambda: (here / "data").exists() or process.poll() is not None, "it is under way")
        assert process.poll() is None, server.said()
    finally:
        assert server.stop() == 0


def test_what_there_is_can_be_seen_and_each_has_its_paths(tmp_path: Path) -> None:
    toml = "[sources.back]\nplugin = 'doorbell'\nhouse = 'theirs'\n"
    with Server(written(installed(tmp_path, "doorbell", DOORBELL), toml)) as server:
        assert {"doorbell": "closed", "back": "closed"}.items() <= server.ready()["sources"].items()
        assert "needy" not in server.ready()["sources"]  # nobody gave it the secret it needs
        (plugin,) = [p for p in server.get("/v1/plugins") if p["name"] == "doorbell"]
        assert (plugin["state"], plugin["hooks"]) == ("active", ["overture_sources"])
        offers = {offer["name"]: offer for offer in plugin["offers"]}
        assert offers["doorbell"]["open"] == {"doorbell": "closed", "back": "closed"}
        assert offers["doorbell"]["settings"]["properties"]["floors"]["type"] == "integer"
        assert offers["needy"]["open"] == offers["mail"]["open"] == {}
        assert ring(server, "/ring", {"id": "r1", "type": "rung", "contact": "ada"}) == 200
        assert ring(server, "/in/doorbell/ring", {"id": "r2", "type": "rung", "contact": "ada"}) == 200
        assert ring(server, "/in/back/ring", {"id": "r3", "type": "rung", "contact": "ada"}) == 200
        assert ring(server, "/in/back/ring", {"id": "r3", "type": "rung", "contact": "ada"}) == 200  # once more
        moments = server.timeline("ada")
        assert [(m["fact"]["id"], m["fact"]["properties"]["house"]) for m in moments] == [
            ("r1", "ours"),
            ("r2", "ours"),
            ("r3", "theirs"),
        ]
    assert "The bell of ours is silent." in server.said()
    assert "The bell of theirs is silent." in server.said()


def test_one_bad_fact_is_recorded_and_the_rest_taken(tmp_path: Path) -> None:
    with Server(installed(tmp_path, "doorbell", DOORBELL)) as server:
        bad = {"id": "r2", "type": "rung", "contact": {"user_id": 7}}
        assert ring(server, "/ring", {"id": "r1", "type": "rung", "contact": "ada"}, bad) == 200
        assert [m["fact"]["id"] for m in server.timeline("ada")] == ["r1"]
        (found,) = server.get("/v1/sources/refused?limit=5")
        assert (found["source"], found["code"], found["pointer"]) == (
            "doorbell",
            "fact.identifier_not_text",
            "/contact/user_id",
        )
        assert json.loads(found["fact"]) == {"properties": {"house": "ours"}, **bad}
        assert server.call("GET", "/v1/sources/refused", key=WRITE).status == 403


def test_a_store_that_dies_is_answered_with_503_until_it_is_back(tmp_path: Path) -> None:
    with Server(installed(tmp_path, "doorbell", DOORBELL)) as server:
        assert ring(server, "/ring", {"id": "r1", "type": "rung", "contact": "ada"}) == 200
        old = server.process_of("valkey")
        os.kill(old, signal.SIGKILL)
        answers = [ring(server, "/ring", {"id": "r2", "type": "rung", "contact": "ada"})]
        server.new_store(old)
        while answers[-1] != 200:
            answers.append(ring(server, "/ring", {"id": "r2", "type": "rung", "contact": "ada"}))
        assert set(answers) <= {200, 503}
        assert [m["fact"]["id"] for m in server.timeline("ada")] == ["r1", "r2"]


def test_a_path_that_is_taken_is_never_shadowed(tmp_path: Path) -> None:
    here = installed(installed(tmp_path, "doorbell", DOORBELL), "intruder", INTRUDER)
    with Server(here) as server:
        assert set(server.ready()["sources"]) >= {"doorbell", "fine"}
        assert not {"facts", "contact", "anything", "ringer"} & set(server.ready()["sources"])
        errors = {plugin["name"]: plugin["error"] for plugin in server.ready()["plugins"]}
        assert errors["doorbell"] == ""
        assert "answered by" in errors["intruder"]
        assert server.facts({"id": "f1", "type": "rung", "contact": "ada"})["accepted"] == 1
        assert server.contact("ada")["id"] == "ada"
        assert ring(server, "/ring", {"id": "r1", "type": "rung", "contact": "ada"}) == 200
        assert server.call("POST", "/healthz", {}, key=ADMIN).json == {"whose": "intruder"}
        (plugin,) = [p for p in server.get("/v1/plugins") if p["name"] == "intruder"]
        opened = {offer["name"]: offer["open"] for offer in plugin["offers"]}
        assert opened == {"facts": {}, "contact": {}, "anything": {}, "ringer": {}, "fine": {"fine": "closed"}}
        assert "plugin intruder of ov-intruder failed: source" in server.said()
