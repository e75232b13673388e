"""Texts and ends of plugins that nobody could keep or show: what was handed over is not handed over again at once."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from serverkit import ADMIN, Server, eventually, fact, installed, overture

HEAD = """
from pathlib import Path

from pydantic import BaseModel

from overture.plugin import Allow, ChannelPlugin, DeliveryGatePlugin, FunctionPlugin, HealthCheckPlugin
from overture.plugin import Hold, Rejected, RetryLater, Sent, hookimpl


class Config(BaseModel):
    pass
"""
CHANNELS = """
HALF = "\\ud800"


class Odd:
    def __init__(self, config):
        pass

    async def send(self, message):
        with Path("@SENT@").open("a") as file:
            file.write(message.contact + "\\n")
        match message.contact:
            case "sent":
                return Sent(HALF)
            case "rejected":
                return Rejected(HALF, HALF)
            case "later":
                raise RetryLater(code="x", message=HALF)
            case "ends":
                raise GeneratorExit
        return Sent("1")

    async def check(self):
        pass

    async def close(self):
        pass


class Gate:
    def __init__(self, config):
        pass

    async def allow(self, message):
        if message.contact == "held":
            return Hold(after=600, text=HALF)
        return Allow()

    async def close(self):
        pass


@hookimpl
def overture_channels():
    yield ChannelPlugin(
        name="odd", config=Config, open=Odd, address_of=lambda contact: HALF if contact.id == "nowhere" else contact.id
    )


@hookimpl
def overture_delivery_gates():
    yield DeliveryGatePlugin(name="odd", config=Config, open=Gate)
"""
SENDING = """\
apiVersion: overture/v1
kind: Ruleset
name: sending
requires: {channels: [odd]}
facts: {asked: {}}
rules:
  odd: {when: fact.type == "asked", then: [{send: {channel: odd, template: t, purpose: transactional}}]}
templates: {t: {text: Hello}}
"""
STATES = {
    "sent": ("sent", ""),
    "rejected": ("dead", "?"),
    "later": ("retrying", "x"),
    "ends": ("retrying", "channel.raised"),
    "held": ("retrying", "gate.held"),
    "nowhere": ("retrying", "plugin.address_failed"),
}


def test_what_cannot_be_kept_of_an_answer_is_no_reason_to_send_again(tmp_path: Path) -> None:
    handed = tmp_path / "handed"
    source = (HEAD + CHANNELS).replace("@SENT@", str(handed))
    with Server(installed(tmp_path, "odd", source)) as server:
        server.deploy("sending", SENDING)
        server.facts(*[fact("asked", contact) for contact in STATES])

        def ends() -> dict[str, tuple[str, str]]:
            found = server.get("/v1/messages?limit=100")["items"]
            return {each["contact"]: (each["state"], each["reason"].partition(":")[0]) for each in found}

        eventually(lambda: ends() == STATES, "each message has come to what became of it")
        time.sleep(2)  # it would be handed over again at once
        sent = handed.read_text().split()
        made = {each["contact"]: each["attempts"] for each in server.get("/v1/messages?limit=100")["items"]}
        # However late this is: each hand-off is an attempt on record, and those that ended were one.
        assert set(sent) == set(list(STATES)[:4])
        assert all(sent.count(contact) <= made[contact] for contact in sent)
        assert [sent.count(contact) for contact in ("sent", "rejected")] == [1, 1]


BROKEN = 'raise RuntimeError("not \\ud800 today")\n'
FAILED = 'from overture.model import PluginFailed\n\nraise PluginFailed("plugin.own", "Half \\ud800.")\n'
SHOWN = """
class Nan(BaseModel):
    x: float = float("nan")


class Half(BaseModel):
    y: str = "\\ud800"


class Objects(BaseModel):
    @classmethod
    def model_json_schema(cls, *_, **__):
        return {"x": object(), 1: 2}


class Open:
    def __init__(self, config):
        pass

    async def send(self, message):
        return Sent()

    async def check(self):
        raise RuntimeError("\\ud800")

    async def close(self):
        pass


@hookimpl
def overture_channels():
    for config in Nan, Half, Objects:
        yield ChannelPlugin(name=config.__name__.lower(), config=config, open=Open, address_of=lambda c: c.id)


@hookimpl
def overture_health_checks():
    yield HealthCheckPlugin(name="ill", config=Config, open=Open)


@hookimpl
def overture_functions():
    yield FunctionPlugin(
        name="same", parameters=("any",), returns="any", call=lambda x: x, doc="\\ud800", example="same(1)"
    )
"""


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Any:
    here = installed(installed(tmp_path_factory.mktemp("shown"), "broken", BROKEN), "shown", HEAD + SHOWN)
    with Server(installed(here, "failed", FAILED)) as server:
        plugins = {each["name"]: each for each in server.get("/v1/plugins")}
        ready = server.call("GET", "/readyz").json
        environ = {"OVERTURE_ADMIN_KEY": ADMIN}
        yield plugins, ready, overture("plugins", "--url", server.url, cwd=here, environ=environ)


def test_one_plugin_does_not_hide_the_others(shown: Any) -> None:
    plugins, ready, listed = shown
    assert plugins["broken"]["error"] == "RuntimeError: not ? today"
    assert plugins["failed"]["error"] == "Half ?. [plugin.own]"
    assert plugins["smtp"]["state"] == "active"
    offers = {each["name"]: each["settings"] for each in plugins["shown"]["offers"]}
    assert offers["nan"]["properties"]["x"]["default"] is None
    assert "cannot be shown" in offers["half"]["description"]
    assert "cannot be shown" in offers["objects"]["description"]
    assert "?" in offers["same"]["description"]
    assert "RuntimeError: ?" in str(ready)
    assert listed.returncode == 0, listed.stderr
    assert "broken" in listed.stdout
