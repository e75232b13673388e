"""The hooks that a plugin may implement, with pluggy, under the project name ``overture``.

A plugin is a module named by an entry point in the group ``overture``::

    [project.entry-points.overture]
    carrier_pigeon = "pigeon.plugin"

    # pigeon/plugin.py
    from overture.plugin import ChannelPlugin, hookimpl

    @hookimpl
    def overture_channels():
        yield ChannelPlugin(name="pigeon", config=PigeonConfig, open=Pigeon, address_of=loft_of)
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pluggy

from overture.plugin.descriptors import ChannelPlugin
from overture.plugin.pure import FunctionPlugin, ScorerPlugin
from overture.plugin.sources import SourcePlugin

PROJECT = "overture"
HOOK_API = 1
"""Grows when a hook changes incompatibly. A module may state the one it was written for as ``OVERTURE_HOOK_API``."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def overture_channels() -> Iterable[ChannelPlugin[Any]]:  # pyright: ignore[reportReturnType]  # a spec has no body
    """The delivery channels that this plugin offers. Called once, at start; synchronous, without I/O."""


@hookspec
def overture_sources() -> Iterable[SourcePlugin]:  # pyright: ignore[reportReturnType]
    """The sources of facts that this plugin offers, pushed or pulled. Called once, at start; synchronous, without I/O.

    ::

        @hookimpl
        def overture_sources():
            rung = Endpoint(method="POST", path="~/rung")
            yield PushSourcePlugin(name="doorbell", config=DoorbellConfig, open=Doorbell, endpoints=[rung])
    """


@hookspec
def overture_functions() -> Iterable[FunctionPlugin]:  # pyright: ignore[reportReturnType]
    """The functions that conditions of rulesets may call besides the language's own. Called once, at start.

    ::

        def initials(name: str) -> str:
            return "".join(part[0] for part in name.split())

        @hookimpl
        def overture_functions():
            yield FunctionPlugin(
                name="initials", parameters=("string",), returns="string", call=initials,
                doc="The first letters of a name.", example="initials(contact.name)",
            )
    """


@hookspec
def overture_scorers() -> Iterable[ScorerPlugin[Any]]:  # pyright: ignore[reportReturnType]
    """The scorers that rules may set scores by. Called once, at start; synchronous, without I/O.

    ::

        class SeatsConfig(BaseModel):
            points: float = 2.0

        class Seats:
            def __init__(self, config: SeatsConfig) -> None:
                self._points = config.points

            def score(self, given: ScoreInput) -> Scored:
                seats = given.contact.traits.get("seats", 0)
                return Scored(self._points * seats, {"seats": seats})

        @hookimpl
        def overture_scorers():
            yield ScorerPlugin(name="seats", config=SeatsConfig, open=Seats, version="1")
    """
