"""The kinds of things that plugins offer: by which hook, with which settings, in processes of which role."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from types import UnionType
from typing import Any, Literal, cast, get_args, get_origin, get_type_hints

from pydantic import BaseModel

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
from overture.plugin.sources import Endpoint, PullSourcePlugin, PushSourcePlugin

Kind = Literal[
    "channel", "source", "function", "scorer",
    "identity", "enricher", "redactor", "delivery_gate", "observer", "health_check", "command",
]  # fmt: skip
NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
"""What anything offered may be called; a source's name is a part of a path."""
LARGEST = 1_000_000_000  # of any number in a descriptor


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
    check_values(f"the {what} {name}", offered, next(each for each in of.types if isinstance(offered, each)))
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
        for each in cast(PushSourcePlugin[Any], offered).endpoints:
            check_values(f"an endpoint of the {what} {name}", each, Endpoint)


def check_values(told: str, offered: Any, kind: type) -> None:
    """Raises PluginFailed where a plain value of a descriptor is not of the type that its class says; ``told`` is how
    the sentence names it. Numbers are finite, and none is negative.
    """
    for field, hint in _plain_fields(kind).items():
        value = getattr(offered, field)
        if hint in (int, float):
            right = type(value) in (int, hint) and 0 <= value <= LARGEST
            wanted = f"a {'whole number' if hint is int else 'number'} from 0 to {LARGEST:,}"
        elif hint is Callable:
            right, wanted = callable(value), "a function"
        else:
            right, wanted = isinstance(value, hint), {str: "a text", bool: "True or False"}[hint]
        if not right:
            found = f"{value!r:.40}" if type(value) in (int, float) else type(value).__name__
            raise PluginFailed("plugin.wrong_type", f"The {field} of {told} must be {wanted}, not {found}.")


@cache
def _plain_fields(kind: type) -> dict[str, Any]:
    """Name -> int, float, str, bool, or Callable for what is called."""
    found: dict[str, Any] = {}
    for name, hint in get_type_hints(kind).items():
        each = get_args(hint)[0] if isinstance(hint, UnionType) else hint
        if each in (int, float, str, bool):
            found[name] = each
        elif get_origin(each) is Callable:
            found[name] = Callable
    return found
