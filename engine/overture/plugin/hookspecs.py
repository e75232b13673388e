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

from overture.plugin.checking import HealthCheckPlugin
from overture.plugin.commanding import CommandPlugin
from overture.plugin.descriptors import ChannelPlugin
from overture.plugin.enriching import EnricherPlugin
from overture.plugin.gating import DeliveryGatePlugin
from overture.plugin.observing import ObserverPlugin
from overture.plugin.pure import FunctionPlugin, ScorerPlugin
from overture.plugin.redacting import RedactorPlugin
from overture.plugin.resolving import IdentityPlugin
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


@hookspec
def overture_identity() -> Iterable[IdentityPlugin[Any]]:  # pyright: ignore[reportReturnType]
    """What understands the identifiers that facts present. Called once, at start; synchronous, without I/O.

    ::

        class Cards:
            def __init__(self, config: CardsConfig) -> None:
                self._users = config.users

            async def resolve(self, identifiers: Mapping[str, Any]) -> Mapping[str, Any]:
                user = self._users.get(identifiers.get("external", {}).get("card"))
                return {**identifiers, "user_id": user} if user else identifiers

            async def close(self) -> None:
                pass

        @hookimpl
        def overture_identity():
            yield IdentityPlugin(name="cards", config=CardsConfig, open=Cards)
    """


@hookspec
def overture_enrichers() -> Iterable[EnricherPlugin[Any]]:  # pyright: ignore[reportReturnType]
    """What knows more about facts than their senders. Called once, at start; synchronous, without I/O.

    ::

        class Weather:
            def key(self, fact: Presented) -> str | None:
                return fact.properties.get("city")

            async def enrich(self, fact: Presented) -> Mapping[str, Any]:
                return {"sky": await sky_over(fact.properties["city"])}

            async def close(self) -> None:
                pass

        @hookimpl
        def overture_enrichers():
            yield EnricherPlugin(name="weather", config=NoSettings, open=lambda config: Weather())
    """


@hookspec
def overture_redactors() -> Iterable[RedactorPlugin[Any]]:  # pyright: ignore[reportReturnType]
    """What takes out of facts what must not be stored. Called once, at start; synchronous, without I/O.

    ::

        class NoAddresses:
            def redact(self, fact: Presented) -> Presented:
                return replace(fact, context={k: v for k, v in fact.context.items() if k != "ip"})

        @hookimpl
        def overture_redactors():
            yield RedactorPlugin(name="no_addresses", config=NoSettings, open=lambda config: NoAddresses())
    """


@hookspec
def overture_delivery_gates() -> Iterable[DeliveryGatePlugin[Any]]:  # pyright: ignore[reportReturnType]
    """What is asked about each message before it is handed over. Called once, at start; synchronous, without I/O.

    ::

        class Budget:
            async def allow(self, message: Outgoing) -> Allow | Hold | Deny:
                if message.purpose == "marketing" and await is_spent():
                    return Hold(after=3600, text="The budget of this month is spent.")
                return Allow()

            async def close(self) -> None:
                pass

        @hookimpl
        def overture_delivery_gates():
            yield DeliveryGatePlugin(name="budget", config=NoSettings, open=lambda config: Budget())
    """


@hookspec
def overture_observers() -> Iterable[ObserverPlugin[Any]]:  # pyright: ignore[reportReturnType]
    """What is told of decisions and of what became of messages. Called once, at start; synchronous, without I/O.

    ::

        class Printer:
            async def observe(self, event: Decided | MessageOutcome) -> None:
                print(event)

            async def close(self) -> None:
                pass

        @hookimpl
        def overture_observers():
            yield ObserverPlugin(name="printer", config=NoSettings, open=lambda config: Printer())
    """


@hookspec
def overture_health_checks() -> Iterable[HealthCheckPlugin[Any]]:  # pyright: ignore[reportReturnType]
    """Further parts of whether the server is ready. Called once, at start; synchronous, without I/O.

    ::

        class Disk:
            async def check(self) -> None:
                if shutil.disk_usage(".").free < 10**9:
                    raise RuntimeError("Less than a gigabyte is free.")

            async def close(self) -> None:
                pass

        @hookimpl
        def overture_health_checks():
            yield HealthCheckPlugin(name="disk", config=NoSettings, open=lambda config: Disk(), required=True)
    """


@hookspec
def overture_commands() -> Iterable[CommandPlugin[Any]]:  # pyright: ignore[reportReturnType]
    """Commands of the command line. Called when a command is asked for that is none of ours; synchronous, without I/O.

    ::

        def greet(config: GreetConfig) -> cyclopts.App:
            app = cyclopts.App()

            @app.default
            def hello(name: str = "you") -> None:
                print(f"{config.greeting} {name}")

            return app

        @hookimpl
        def overture_commands():
            yield CommandPlugin(name="greet", config=GreetConfig, open=greet, help="Say hello.")
    """
