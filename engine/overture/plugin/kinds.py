"""The kinds of things that plugins offer: by which hook, with which settings, in processes of which role."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol, cast

from pydantic import BaseModel, ValidationError

from overture.model.errors import PluginFailed
from overture.plugin.checking import HealthCheckPlugin
from overture.plugin.commanding import BUILT_IN, CommandPlugin
from overture.plugin.descriptors import ChannelPlugin
from overture.plugin.enriching import EnricherPlugin
from overture.plugin.gating import DeliveryGatePlugin
from overture.plugin.listening import check_endpoints
from overture.plugin.observing import ObserverPlugin
from overture.plugin.pure import FunctionPlugin, ScorerPlugin, check_function
from overture.plugin.redacting import RedactorPlugin
from overture.plugin.resolving import IdentityPlugin
from overture.plugin.sources import PullSourcePlugin, PushSourcePlugin

Kind = Literal[
    "channel", "source", "function", "scorer",
    "identity", "enricher", "redactor", "delivery_gate", "observer", "health_check", "command",
]  # fmt: skip
NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
"""What anything offered may be called; a source's name is a part of a path."""


class Offer(Protocol):
    """What all descriptors have; ``open`` makes from checked settings what the host calls, without I/O."""

    @property
    def name(self) -> str: ...
    @property
    def config(self) -> type[BaseModel]: ...
    @property
    def open(self) -> Callable[[Any], Any]: ...


@dataclass(frozen=True, slots=True)
class KindOf:
    """``table``: of ``overture.toml``, whose tables hold the settings by name. ``role``: of processes that use it;
    empty: of none that serves. ``types``: its descriptors.

    It is there where its settings have its name, or say with ``plugin`` what is meant, or where it needs none.
    ``always``: also where it lacks settings, as one that has failed.
    """

    kind: Kind
    hook: str
    table: str
    role: str
    types: tuple[type, ...]


KINDS: tuple[KindOf, ...] = (
    KindOf("channel", "overture_channels", "channels", "delivery", (ChannelPlugin,)),
    KindOf("source", "overture_sources", "sources", "web", (PushSourcePlugin, PullSourcePlugin)),
    KindOf("identity", "overture_identity", "identity", "web", (IdentityPlugin,)),
    KindOf("enricher", "overture_enrichers", "enrichers", "web", (EnricherPlugin,)),
    KindOf("redactor", "overture_redactors", "redactors", "web", (RedactorPlugin,)),
    KindOf("delivery_gate", "overture_delivery_gates", "delivery_gates", "delivery", (DeliveryGatePlugin,)),
    KindOf("observer", "overture_observers", "observers", "worker", (ObserverPlugin,)),
    KindOf("health_check", "overture_health_checks", "health_checks", "web", (HealthCheckPlugin,)),
    KindOf("command", "overture_commands", "commands", "", (CommandPlugin,)),
)
BY_KIND = {each.kind: each for each in KINDS}

PURE: tuple[KindOf, ...] = (
    KindOf("function", "overture_functions", "", "", (FunctionPlugin,)),
    KindOf("scorer", "overture_scorers", "", "", (ScorerPlugin,)),
)
"""What rulesets use by its name: it has no settings in ``overture.toml``, and is there in every process."""


def said(kind: Kind) -> str:
    """The kind as a sentence names it."""
    return kind.replace("_", " ")


def article(kind: Kind) -> str:
    """The same with its article."""
    return f"an {said(kind)}" if kind[0] in "aeio" else f"a {said(kind)}"


def check_offer(of: KindOf, offered: Any) -> None:
    """Raises PluginFailed where what a hook yielded cannot be used."""
    what = said(of.kind)
    if not isinstance(offered, of.types):
        wanted = " or ".join(each.__name__ for each in of.types)
        raise PluginFailed("plugin.wrong_type", f"{of.hook} yielded {type(offered).__name__}: no {wanted}.")
    name = offered.name
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise PluginFailed("plugin.wrong_name", f"A {what}'s name must match {NAME.pattern}: {name!r}.")
    if isinstance(offered, FunctionPlugin):
        check_function(offered)
        return
    config = offered.config
    if not isinstance(config, type) or not issubclass(config, BaseModel):
        raise PluginFailed("plugin.wrong_type", f"The config of the {what} {name} is not a pydantic model.")
    if of.kind == "command" and name in BUILT_IN:
        raise PluginFailed("plugin.built_in", f"Overture has its own command {name}.")
    if isinstance(offered, PushSourcePlugin):
        check_endpoints(cast(PushSourcePlugin[Any], offered))


def needs_nothing(offered: Offer) -> bool:
    """Whether it is there without being asked for: one that calls nothing in, and has a default for each setting."""
    if isinstance(offered, PullSourcePlugin):
        return False
    try:
        offered.config.model_validate({})
    except ValidationError:
        return False
    except Exception:  # of the plugin itself: told where it is configured
        return True
    return True
