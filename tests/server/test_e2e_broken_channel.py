"""What waits for a channel that is left alone costs next to nothing, however much waits, and goes when it is back."""

from __future__ import annotations

import time
from pathlib import Path

from serverkit import Server, eventually, fact
from test_e2e_sources import installed

DOWN = """
from pathlib import Path

from pydantic import BaseModel

from overture.plugin import ChannelPlugin, Sent, hookimpl


class Config(BaseModel):
    pass


class Down:
    def __init__(self, config):
        pass

    async def send(self, message):
        if not Path("@UP@").exists():
            raise OSError("down")
        return Sent(message.id)

    async def check(self):
        pass

    async def close(self):
        pass


@hookimpl
def overture_channels():
    yield ChannelPlugin(name="down", config=Config, open=Down, address_of=address_of)


def address_of(contact):
    with open("@PREPARED@", "a") as file:
        file.write(".")
    return contact.id
"""
SENDING = """\
apiVersion: overture/v1
kind: Ruleset
name: sending
requires: {channels: [down]}
facts: {asked: {}}
rules:
  down: {when: fact.type == "asked", then: [{send: {channel: down, template: t, purpose: transactional}}]}
templates: {t: {text: Hello}}
"""


def waiting(server: Server) -> list[str]:
    found = server.get("/v1/messages?state=retrying&limit=500")["items"]
    return [message["reason"].partition(":")[0] for message in found]


def test_what_waits_is_not_prepared_again_and_again_and_goes_when_the_channel_is_back(tmp_path: Path) -> None:
    prepared = tmp_path / "prepared"
    source = DOWN.replace("@PREPARED@", str(prepared)).replace("@UP@", str(tmp_path / "up"))
    with Server(installed(tmp_path, "down", source)) as server:
        server.deploy("sending", SENDING)
        for n in range(5):  # one by one, so that the breaker is open after these
            server.facts(fact("asked", f"c{n}"))
            eventually(lambda n=n: len(waiting(server)) == n + 1, "each was tried")
        tried = len(prepared.read_text())
        began = time.monotonic()
        server.facts(*[fact("asked", f"d{n}") for n in range(100)])
        eventually(lambda: waiting(server).count("channel.breaker_open") >= 100, "they wait, and it is said why")
        if time.monotonic() - began < 10:  # else it was half-open meanwhile, and one of them was the try
            assert len(prepared.read_text()) == tried
        (tmp_path / "up").touch()
        eventually(lambda: not waiting(server), "all of them go")
        assert len(server.get("/v1/messages?state=sent&limit=500")["items"]) == 105
