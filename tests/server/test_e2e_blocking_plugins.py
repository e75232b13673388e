"""Plugins that keep the process to themselves: everything else is answered, and they are left alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from serverkit import WRITE, Server, eventually, fact, installed, written

STUCK = """
import asyncio
import time

from pydantic import BaseModel

from overture.plugin import ChannelPlugin, Endpoint, PullSourcePlugin, PushSourcePlugin, hookimpl


class Config(BaseModel):
    pass


class Stuck:
    def __init__(self, config):
        pass

    async def send(self, message):
        await asyncio.sleep(0)
        time.sleep(600)

    async def parse(self, request):
        while True:
            try:
                time.sleep(600)
            except BaseException:
                pass

    async def run(self, emit):
        await emit([{"id": "before", "type": "pulled", "contact": "ada"}], "1")
        await asyncio.gather(asyncio.create_task(self.count()))

    async def count(self):
        while True:
            pass

    async def check(self):
        pass

    async def close(self):
        time.sleep(600)


def address_of(contact):
    if contact.id == "blocks":
        time.sleep(600)
    return contact.id


@hookimpl
def overture_channels():
    yield ChannelPlugin(name="stuck", config=Config, open=Stuck, address_of=lambda contact: contact.id)
    yield ChannelPlugin(name="nowhere", config=Config, open=Stuck, address_of=address_of)


@hookimpl
def overture_sources():
    hook = Endpoint(method="POST", path="/stuck")
    yield PushSourcePlugin(name="stuck", config=Config, open=Stuck, endpoints=[hook])
    yield PullSourcePlugin(name="stuck_too", config=Config, open=Stuck)
"""
SENDING = """\
apiVersion: overture/v1
kind: Ruleset
name: sending
requires: {channels: [stuck, nowhere]}
facts: {asked: {}, pulled: {}, sought: {}}
rules:
  asked: {when: fact.type == "asked", then: [{send: {channel: stuck, template: t, purpose: transactional}}]}
  sought: {when: fact.type == "sought", then: [{send: {channel: nowhere, template: t, purpose: transactional}}]}
templates: {t: {text: Hello}}
"""


def offers(server: Server) -> dict[tuple[str, str], Any]:
    return {(o["kind"], o["name"]): o for plugin in server.get("/v1/plugins") for o in plugin["offers"]}


def test_everything_else_is_answered(tmp_path: Path) -> None:
    directory = written(installed(tmp_path, "stuck", STUCK), "[sources.stuck_too]\n")
    with Server(directory, RULESETS="") as server:
        server.deploy("sending", SENDING)
        server.facts(*[fact("asked", f"c{n}") for n in range(20)])

        answer = server.call("POST", "/stuck", {}, key=WRITE)
        assert (answer.status, answer.json["code"]) == (503, "source.failing")
        assert "was interrupted. It kept the process to itself for 250 ms, in Stuck.parse (ov_stuck.py, line" in str(
            answer.json["detail"]
        )
        assert "left alone" in server.call("POST", "/stuck", {}, key=WRITE).json["detail"]

        eventually(lambda: offers(server)["channel", "stuck"]["open"]["stuck"] == "open", "the channel is left alone")
        assert offers(server)["source", "stuck"]["open"] == {"stuck": "open"}
        pulled = eventually(
            lambda: (
                (state := offers(server)["source", "stuck_too"]["open"]["stuck_too"]).startswith("failed") and state
            ),
            "the source that fetches is run again later",
        )
        assert "in Stuck.count (ov_stuck.py, line" in pulled
        assert [moment["fact"]["type"] for moment in server.timeline("ada")] == ["pulled"]

        sent = [message["reason"] for message in server.pages("/v1/messages?limit=100")]
        assert any(reason.startswith("plugin.blocked: The channel stuck was interrupted.") for reason in sent)
        server.facts(fact("sought", "blocks"))
        asked = eventually(
            lambda: [
                m["reason"]
                for m in server.pages("/v1/messages?limit=100")
                if (m["contact"], m["attempts"]) == ("blocks", 1)
            ],
            "its address was asked for",
        )
        assert asked[0].startswith("plugin.address_failed: nowhere: address_of was interrupted. It kept the process")
        assert "address_of was interrupted" in offers(server)["channel", "nowhere"]["trouble"]["nowhere"]["last"]
        assert server.facts(fact("asked", "bob"))["accepted"] == 1
        assert server.stop() == 0, "and so is closing"
