"""A channel that never answers holds up its own messages, and nobody else's: neither in an await nor in threads."""

from __future__ import annotations

import signal
from pathlib import Path

from serverkit import Server, eventually, fact, installed

HANGING = """
import asyncio

from pydantic import BaseModel

from overture.plugin import ChannelPlugin, Sent, hookimpl


class Config(BaseModel):
    pass


class Good:
    def __init__(self, config):
        pass

    async def send(self, message):
        return Sent(message.id)

    async def check(self):
        pass

    async def close(self):
        pass


class Hanging(Good):
    async def send(self, message):
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                pass


@hookimpl
def overture_channels():
    for name, channel in ("good", Good), ("hanging", Hanging), ("hanging_too", Hanging):
        yield ChannelPlugin(name=name, config=Config, open=channel, address_of=lambda contact: contact.id)
"""
SENDING = """\
apiVersion: overture/v1
kind: Ruleset
name: sending
requires: {channels: [good, hanging, hanging_too]}
facts: {asked: {}, asked_both: {}}
rules:
  good: {when: fact.type == "asked", then: [{send: {channel: good, template: t, purpose: transactional}}]}
  hanging: {when: fact.type == "asked_both", then: [{send: {channel: hanging, template: t, purpose: transactional}}]}
  too: {when: fact.type == "asked_both", then: [{send: {channel: hanging_too, template: t, purpose: transactional}}]}
templates: {t: {text: Hello}}
"""


def test_messages_of_other_channels_go_as_ever(tmp_path: Path) -> None:
    with Server(installed(tmp_path, "hanging", HANGING), RULESETS="") as server:
        server.deploy("sending", SENDING)
        server.facts(*[fact("asked_both", f"c{n}") for n in range(300)])
        eventually(lambda: server.get("/v1/messages?state=sending&limit=100")["items"], "they are being handed over")
        server.facts(*[fact("asked", f"d{n}") for n in range(50)])
        eventually(lambda: len(server.get("/v1/messages?state=sent&limit=100")["items"]) == 50, "all others are sent")
        waiting = server.get("/v1/messages?state=retrying&limit=500")["items"]
        assert {message["reason"].partition(":")[0] for message in waiting} <= {"channel.busy"}


IN_THREADS = """
import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from pydantic import BaseModel

from overture.plugin import ChannelPlugin, Sent, hookimpl


class Config(BaseModel):
    pass


class Good:
    def __init__(self, config):
        pass

    async def send(self, message):
        return await asyncio.to_thread(Sent, message.id)

    async def check(self):
        pass

    async def close(self):
        pass


class Hanging(Good):
    def __init__(self, config):
        self._begun = [asyncio.get_running_loop().create_task(asyncio.to_thread(time.sleep, 3600)) for _ in range(40)]
        self._own = ThreadPoolExecutor(1)

    async def send(self, message):
        threading.Thread(target=time.sleep, args=(3600,)).start()
        asyncio.get_running_loop().run_in_executor(self._own, time.sleep, 3600)
        await asyncio.to_thread(time.sleep, 3600)

    async def close(self):
        await asyncio.to_thread(time.sleep, 3600)


@hookimpl
def overture_channels():
    for name, channel in ("good", Good), ("hanging", Hanging):
        yield ChannelPlugin(name=name, config=Config, open=channel, address_of=lambda contact: contact.id)
"""


def test_threads_in_which_a_plugin_hangs_are_its_own_and_the_server_stops_without_them(tmp_path: Path) -> None:
    sending = SENDING.replace(", hanging_too", "").replace("channel: hanging_too", "channel: hanging")
    with Server(installed(tmp_path, "threads", IN_THREADS), RULESETS="") as server:
        server.deploy("sending", sending)
        server.facts(*[fact("asked_both", f"c{n}") for n in range(40)])
        eventually(lambda: len(server.get("/v1/messages?state=sending&limit=100")["items"]) >= 16, "many hang")
        server.facts(*[fact("asked", f"d{n}") for n in range(50)])
        eventually(lambda: len(server.get("/v1/messages?state=sent&limit=100")["items"]) == 50, "all others are sent")
        server.deploy("later", "apiVersion: overture/v1\nkind: Ruleset\nname: later\nfacts: {later: {}}\n")
        assert server.facts(fact("later", "ada"))["accepted"] == 1
        assert server.stop(signal.SIGTERM) == 0
        assert "Stopped" in server.said()
