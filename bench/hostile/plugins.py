"""The plugins of the bed, each a distribution of its own, as pip would leave them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

GOOD = """
import json

import aiohttp
from pydantic import BaseModel

from overture.plugin import ChannelPlugin, Endpoint, Posted, PushSourcePlugin, Sent, hookimpl


class Config(BaseModel):
    url: str


class Nothing(BaseModel):
    pass


class Good:
    def __init__(self, config):
        self.config, self.session = config, None

    async def send(self, message):
        self.session = self.session or aiohttp.ClientSession()
        async with self.session.post(self.config.url, json={"fact": message.properties["fact"]["n"]}) as answer:
            return Sent(str(answer.status))

    async def parse(self, request):
        n = json.loads(request.inflated)["n"]
        return Posted(facts=[{"id": f"good:{n}", "type": "came", "contact": f"g{n % 500}", "properties": {"n": n}}])

    async def check(self):
        pass

    async def close(self):
        if self.session is not None:
            await self.session.close()


@hookimpl
def overture_channels():
    yield ChannelPlugin(name="good", config=Config, open=Good, address_of=lambda contact: contact.id)


@hookimpl
def overture_sources():
    hook = Endpoint(method="POST", path="/in/good")
    yield PushSourcePlugin(name="good", config=Nothing, open=Good, endpoints=[hook])
"""

_OFFERS = """
from pydantic import BaseModel

from overture.plugin import (
    Answer, ChannelPlugin, Endpoint, EnricherPlugin, FunctionPlugin, HealthCheckPlugin, ObserverPlugin, Posted,
    PullSourcePlugin, PushSourcePlugin, Scored, ScorerPlugin, Sent, hookimpl,
)


class Config(BaseModel):
    pass


class Evil:
    def __init__(self, config):
        self.kept = []

    async def close(self):
        await self.do()

    async def send(self, message):
        return await self.do()

    async def parse(self, request):
        return await self.do()

    async def run(self, emit):
        return await self.do()

    async def enrich(self, fact):
        return await self.do()

    async def observe(self, event):
        return await self.do()

    async def check(self):
        return await self.do()

    def key(self, fact):
        return fact.id

    def score(self, given):
        return do_now()


def function(number):
    return do_now()


@hookimpl
def overture_channels():
    yield ChannelPlugin(name=NAME, config=Config, open=Evil, address_of=lambda contact: contact.id)


@hookimpl
def overture_sources():
    hook = Endpoint(method="POST", path=f"/in/{NAME}")
    yield PushSourcePlugin(name=NAME, config=Config, open=Evil, endpoints=[hook])
    yield PullSourcePlugin(name=f"{NAME}_pull", config=Config, open=Evil)


@hookimpl
def overture_functions():
    yield FunctionPlugin(name=NAME, parameters=("number",), returns="bool", call=function)


@hookimpl
def overture_scorers():
    yield ScorerPlugin(name=NAME, config=Config, open=Evil, version="1")


@hookimpl
def overture_enrichers():
    yield EnricherPlugin(name=NAME, config=Config, open=Evil)


@hookimpl
def overture_observers():
    yield ObserverPlugin(name=NAME, config=Config, open=Evil)


@hookimpl
def overture_health_checks():
    yield HealthCheckPlugin(name=NAME, config=Config, open=Evil)
"""

_DEEDS = {
    "raises": '''
import asyncio, itertools, sys
_next = itertools.cycle([ValueError("bad"), SystemExit(3), KeyboardInterrupt(), MemoryError(), RecursionError("deep")])
def do_now():
    raise next(_next)
async def _do(self):
    asyncio.create_task(_exit())
    raise next(_next)
async def _exit():
    sys.exit("from a task")
''',
    "hangs": '''
import asyncio
def do_now():
    return None
async def _do(self):
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            pass
''',
    "blocks": '''
import asyncio, itertools, time
_turn = itertools.count()
def do_now():
    while True:
        try:
            if next(_turn) % 2:
                time.sleep(60)
            else:
                while True:
                    pass
        except BaseException:
            pass
async def _do(self):
    await asyncio.sleep(0)
    do_now()
''',
    "leaks": '''
_kept = []
def do_now():
    _kept.append(bytearray(16 * 1024))
    return None
async def _do(self):
    self.kept.append(bytearray(16 * 1024))
''',
    "lies": '''
import itertools
_answers = itertools.cycle([7, "sent", object(), Sent, float("nan"), {"a": object()}, [[[]]], lambda: None])
def do_now():
    return next(_answers)
async def _do(self):
    return next(_answers)
''',
}  # fmt: skip

_FLOODS = """
import itertools

from pydantic import BaseModel

from overture.plugin import Endpoint, Posted, PullSourcePlugin, PushSourcePlugin, hookimpl

_ids = itertools.count()


class Config(BaseModel):
    pass


def facts(n):
    made = {"type": "flooded", "properties": {"i": n}}
    return [{"id": f"flood:{next(_ids)}", "contact": f"f{i}", **made} for i in range(n)]


class Flood:
    def __init__(self, config):
        pass

    async def run(self, emit):
        while True:
            await emit(facts(1000))

    async def parse(self, request):
        return Posted(facts=facts(2000))

    async def close(self):
        pass


@hookimpl
def overture_sources():
    yield PullSourcePlugin(name="floods_pull", config=Config, open=Flood)
    hook = Endpoint(method="POST", path="/in/floods")
    yield PushSourcePlugin(name="floods", config=Config, open=Flood, endpoints=[hook])
"""
_HOOKS = (
    "channels", "sources", "functions", "scorers", "identity", "enrichers", "redactors", "delivery_gates", "observers",
    "health_checks", "commands",
)  # fmt: skip

FLOODS = "floods"
DEEDS = (*_DEEDS, FLOODS)
"""What the plugins do that can be called; all but the last offer one of each kind."""


def _breaking(body: str) -> str:
    """Each hook of a plugin of its own."""
    return f"from overture.plugin import hookimpl\n@hookimpl\ndef overture_%s():\n    {body}\n"


def install_good(directory: Path) -> None:
    _install(directory, "good", GOOD)


def install_hostile(directory: Path, deeds: Sequence[str]) -> None:
    """Raise at import, exit at import, raise in each hook, yield nonsense from each hook; then one for each deed."""
    _install(directory, "at_import", "raise RuntimeError('at import')")
    _install(directory, "exits", "import sys\nsys.exit(3)")
    for hook in _HOOKS:
        _install(directory, f"raises_in_{hook}", _breaking("raise OSError('in the hook')") % hook)
        _install(directory, f"yields_from_{hook}", _breaking("yield 7") % hook)
    for name in deeds:
        source = _FLOODS if name == FLOODS else f"NAME = {name!r}\n{_OFFERS}\n{_DEEDS[name]}\nEvil.do = _do\n"
        _install(directory, name, source)


def _install(directory: Path, name: str, source: str) -> None:
    (directory / f"ov_{name}.py").write_text(source)
    info = directory / f"ov_{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: ov-{name.replace('_', '-')}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[overture]\n{name} = ov_{name}\n")
