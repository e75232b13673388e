"""A plugin for tests of hooks: what it does is told by files beside it, so that a test can change it while it runs."""

from __future__ import annotations

from pathlib import Path

from serverkit import Server, installed, written

HEAD = """
import asyncio
import json
import os
import time
from dataclasses import replace
from pathlib import Path

import cyclopts
from pydantic import BaseModel

from overture.plugin import (
    Allow, CommandPlugin, Decided, DeliveryGatePlugin, Deny, EnricherPlugin, HealthCheckPlugin, Hold, IdentityPlugin,
    MessageOutcome, ObserverPlugin, Presented, RedactorPlugin, hookimpl,
)


class Config(BaseModel):
    word: str = ""


def mode(name):
    '''What the test wants; missing: all is well.'''
    try:
        return Path(name).read_text()
    except FileNotFoundError:
        return ""


def trouble(name):
    if mode(name) == "raise":
        raise RuntimeError("it is broken today")


def told(name, what):
    with open(name, "a") as file:
        file.write(json.dumps(what, default=str) + "\\n")


class Closes:
    async def close(self):
        pass

"""


def server(directory: Path, body: str, toml: str = "", **settings: str) -> Server:
    """A server with the plugin ``hooks`` that is made of `HEAD` and ``body``."""
    written(installed(directory, "hooks", HEAD + body), toml)
    return Server(directory, **{"RULESETS": "", **settings})


def offer(running: Server, kind: str, name: str) -> dict[str, object]:
    """What ``GET /v1/plugins`` says of something that the plugin offers."""
    offers = [each for plugin in running.get("/v1/plugins") for each in plugin["offers"]]
    (found,) = [each for each in offers if (each["kind"], each["name"]) == (kind, name)]
    return found
