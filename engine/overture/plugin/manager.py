"""Finds, loads and opens plugins. One that fails is recorded and never stops another."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any, TypeVar, cast

import msgspec
import pluggy
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from overture.model.contact import Contact
from overture.model.errors import PluginFailed, clean, describe
from overture.model.pure import Pure
from overture.plugin import hookspecs
from overture.plugin.asking import HostedFunction, HostedScorer
from overture.plugin.breaker import Breaker
from overture.plugin.cutoff import Blocked
from overture.plugin.descriptors import ChannelPlugin, Inbox
from overture.plugin.finding import OWN, Installed, installed
from overture.plugin.guard import DEFAULT, Limits
from overture.plugin.host import HostedChannel
from overture.plugin.kinds import KINDS, PURE, Kind, check_offer, said
from overture.plugin.listening import LISTENING, HostedPush, OpenPull
from overture.plugin.prompt import Loop
from overture.plugin.sources import PullSourcePlugin, PushSourcePlugin, SourcePlugin
from overture.plugin.starting import STARTING, started

SHOWING = 1.0  # seconds that a schema of settings may take
MOST = 1_000  # things of one kind that one plugin offers
Settings = Mapping[str, Mapping[str, Any]]
H = TypeVar("H")


@dataclass(frozen=True, slots=True)
class PluginState:
    """One plugin as found. ``state``: ``active``; ``failed``, with ``error`` in one sentence; ``not allowed``."""

    name: str
    distribution: str
    version: str
    hooks: tuple[str, ...] = ()
    state: str = "active"
    error: str = ""


@dataclass(frozen=True, slots=True)
class WrongSetting:
    """A finding about the settings of one thing offered (``kind``), without the value, which may be a secret.

    ``place`` is the path to it (empty: all of them); ``error`` and ``problem`` are pydantic's.
    """

    kind: Kind
    name: str
    place: tuple[str, ...]
    error: str
    problem: str


class PluginManager:
    """The plugins of the entry point group ``overture``.

    `load` once, then `configure` and `open` for each kind. ``channels`` and ``sources``, and `offered` for any kind,
    hold what the plugins offer that could be loaded, by name.
    """

    def __init__(self, allowed: Collection[str] | None = None, patience: float = STARTING) -> None:
        """``allowed``: names of the distributions whose plugins may be imported, besides our own; None: all.
        ``patience``: seconds that a plugin may take each time: to be imported, to say what it offers, to check the
        settings of a thing, to open it.
        """
        self.channels: dict[str, ChannelPlugin[Any]] = {}
        self.sources: dict[str, SourcePlugin] = {}
        self._allowed = None if allowed is None else {OWN, *map(_canonical, allowed)}
        self._offered: dict[Kind, dict[str, Any]] = {each.kind: {} for each in (*KINDS, *PURE)}
        self._offered["channel"], self._offered["source"] = self.channels, self.sources
        self._patience = patience
        self._loop: Loop | None = None
        self._schemas: dict[tuple[Kind, str], dict[str, Any]] = {}  # of settings, once they were asked for
        self._functions: dict[str, HostedFunction] = {}
        self._scorers: dict[str, HostedScorer] = {}
        self._configs: dict[tuple[Kind, str], tuple[str, BaseModel]] = {}  # -> what is offered, its settings
        self._owner: dict[tuple[Kind, str], str] = {}  # what is offered -> key of the plugin in _states
        self._faults: dict[tuple[Kind, str], str] = {}
        self._states: dict[str, PluginState] = {}
        self._pluggy = pluggy.PluginManager(hookspecs.PROJECT)
        self._pluggy.add_hookspecs(hookspecs)

    def load(self) -> None:
        """Import and register each plugin; Overture's own come first, so that no other takes a built-in's name.

        Where a server does it, that is in its main thread, from its loop.
        """
        with suppress(RuntimeError):  # a command has no loop
            self._loop = asyncio.get_running_loop()
        for plugin in installed():
            self._load(plugin)

    def states(self) -> list[PluginState]:
        """All plugins found, in the order they were loaded."""
        return list(self._states.values())

    def offered(self, kind: Kind) -> Mapping[str, Any]:
        """The descriptors of a kind by name."""
        return self._offered[kind]

    def pure(self, *, apart: bool = False) -> Pure:
        """What the plugins add to the language of rulesets. ``apart``: with circuit breakers of their own, for what is
        only looked at: asking again about what failed once must not keep them from those who decide.
        """
        functions, scorers = self._functions, self._scorers
        if apart:
            loop = self._loop
            functions = {name: HostedFunction(each.plugin, loop=loop) for name, each in functions.items()}
            scorers = {name: HostedScorer(each.plugin, loop=loop) for name, each in scorers.items()}
        return Pure(
            {name: hosted.function for name, hosted in functions.items()},
            {name: hosted.scorer for name, hosted in scorers.items()},
        )

    def asked(self) -> dict[tuple[Kind, str], Breaker]:
        """The circuit breakers of what rulesets ask."""
        found: dict[tuple[Kind, str], Breaker] = {}
        found.update((("function", name), each.breaker) for name, each in self._functions.items())
        found.update((("scorer", name), each.breaker) for name, each in self._scorers.items())
        return found

    def channel_names(self, given: Settings) -> dict[str, str]:
        """The channels that rules may name, each with what of the plugins sends on it by these settings: those of the
        plugins, those that a plugin serves, and those that are set up.
        """
        served = {plugin.serves: name for name, plugin in reversed(self.channels.items()) if plugin.serves}
        own = {name: name for name, plugin in self.channels.items() if not plugin.serves}
        return {**served, **own, **{name: meant(name, settings) for name, settings in given.items()}}

    def addresses(self, names: Mapping[str, str]) -> dict[str, Callable[[Contact], str | None]]:
        """How a contact is addressed on each of these channels, as `channel_names` gives them."""
        return {name: self.channels[of].address_of for name, of in names.items() if of in self.channels}

    def offers(self, plugin: PluginState) -> list[tuple[Kind, str, dict[str, Any], list[str]]]:
        """What a plugin offers: kind, name, the JSON Schema of its settings, and under which names it is configured."""
        own = [offer for offer, key in self._owner.items() if key == f"{plugin.distribution}:{plugin.name}"]
        return [(kind, of, self._schema(kind, of), self._named(kind, of)) for kind, of in own]

    def _schema(self, kind: Kind, of: str) -> dict[str, Any]:
        if kind == "function":
            return {"description": self._functions[of].told}
        if (kind, of) not in self._schemas:  # takes milliseconds, and may be the plugin's own code
            try:
                self._schemas[kind, of] = started("It", SHOWING, _shown, self._offered[kind][of].config)
            except Exception as error:
                self._schemas[kind, of] = {"description": f"It cannot be shown: {self._why(error)}"}
        return self._schemas[kind, of]

    def faults(self, kind: Kind) -> dict[str, str]:
        """What of a kind was to be there and is not, by its own name, each with the reason."""
        return {name: why for (its, name), why in self._faults.items() if its == kind}

    def _named(self, kind: Kind, of: str) -> list[str]:
        if kind in ("function", "scorer"):
            return [of]
        return [name for (its, name), (what, _) in self._configs.items() if (its, what) == (kind, of)]

    def configure(self, kind: Kind, given: Settings) -> list[WrongSetting]:
        """Check the settings; answers what is wrong. The plugin of what has wrong ones is recorded as failed.

        By name, the settings for the config model. Something may have a name of its own, and say with ``plugin`` what
        it is; what is not named gets the model's defaults where it needs no settings, and is not there otherwise, nor
        is a channel that is one way of several to serve another. Settings of what nobody offers are left alone.
        Unknown keys are wrong, unless the model says otherwise (``extra``).
        """
        wrong: list[WrongSetting] = []
        for name, settings in given.items():
            of = meant(name, settings)
            if of in self._offered[kind]:
                own = {key: value for key, value in settings.items() if key != "plugin"}
                wrong += self._configure(kind, name, of, own)
        for name, offer in self._offered[kind].items():
            if name not in given and not _serves(offer) and not isinstance(offer, PullSourcePlugin):
                self._configure(kind, name, name, None)
        return wrong

    def withdraw(self, source: str, error: PluginFailed) -> None:
        """An open source that cannot be used as it is: it counts as not there, and its plugin as failed."""
        of, _ = self._configs.pop(("source", source))
        self._lacks("source", source, of, str(error))

    def _configure(self, kind: Kind, name: str, of: str, given: Mapping[str, Any] | None) -> list[WrongSetting]:
        """None: without being asked for; then it may do without."""
        model = self._offered[kind][of].config
        try:
            config, found = started("The check of its settings", self._patience, _checked, model, given or {})
        except Exception as error:
            self._lacks(kind, name, of, self._why(error))
            return []
        if config is not None:
            self._configs[kind, name] = of, config
        elif given is not None:
            told = "; ".join(f"{'.'.join(map(str, each['loc'])) or 'config'}: {each['msg']}" for each in found)
            self._lacks(kind, name, of, told)
            return [WrongSetting(kind, name, tuple(map(str, each["loc"])), each["type"], each["msg"]) for each in found]
        return []

    def open_channels(self, inbox: Inbox | None = None, limits: Limits = DEFAULT) -> dict[str, HostedChannel]:
        """The channels whose settings are right. The plugin of one that does not open is recorded as failed. ``inbox``:
        for those that keep messages.
        """
        return self.open("channel", lambda name, plugin, opened: HostedChannel(plugin, opened, limits, name), inbox)

    def open_sources(self, limits: Limits = LISTENING) -> dict[str, HostedPush | OpenPull]:
        """The sources whose settings are right, by their own name."""

        def hosted(name: str, plugin: Any, opened: Any) -> HostedPush | OpenPull:
            if isinstance(plugin, PushSourcePlugin):
                return HostedPush(name, cast(PushSourcePlugin[Any], plugin), opened, limits)
            return OpenPull(opened)

        return self.open("source", hosted)

    def open(self, kind: Kind, host: Callable[[str, Any, Any], H], inbox: Inbox | None = None) -> dict[str, H]:
        """What of a kind has right settings, by its own name. ``host`` is given that name, the descriptor and what its
        ``open`` made. The plugin of what does not open is recorded as failed.
        """
        opened: dict[str, H] = {}
        for (its, name), (of, config) in list(self._configs.items()):
            if its != kind:
                continue
            offer = self._offered[kind][of]
            given: list[Any] = [config]
            if getattr(offer, "keeps", False):
                given.append(inbox)
            try:
                opened[name] = host(name, offer, started("To open it", self._patience, offer.open, *given))
            except Exception as error:
                del self._configs[kind, name]
                self._lacks(kind, name, of, self._why(error))
        return opened

    def _load(self, plugin: Installed) -> None:
        key = f"{plugin.distribution}:{plugin.name}"
        self._states[key] = PluginState(plugin.name, plugin.distribution, plugin.version)
        if self._allowed is not None and _canonical(plugin.distribution) not in self._allowed:
            self._states[key] = replace(self._states[key], state="not allowed")
            return
        if plugin.entry is None:
            self._fail(key, plugin.error)
            return
        try:
            module = started("Its import", self._patience, plugin.entry.load)
            offered = started("Its hooks", self._patience, self._register, key, module)
        except Exception as error:
            if self._pluggy.has_plugin(key):
                self._pluggy.unregister(name=key)
            self._fail(key, self._why(error))
            return
        for (kind, name), offer in offered.items():
            self._owner[kind, name] = key
            self._offered[kind][name] = offer
            if kind == "function":
                self._functions[name] = HostedFunction(offer, loop=self._loop)
            elif kind == "scorer":
                self._scorers[name] = HostedScorer(offer, loop=self._loop)

    def _register(self, key: str, module: ModuleType) -> dict[tuple[Kind, str], Any]:
        wanted = getattr(module, "OVERTURE_HOOK_API", hookspecs.HOOK_API)
        if wanted != hookspecs.HOOK_API:
            raise PluginFailed("plugin.hook_api", f"It is written for hook API {wanted}, this is {hookspecs.HOOK_API}.")
        self._pluggy.register(module, name=key)
        self._pluggy.check_pending()  # a misspelt hook would otherwise never be called, without a word
        hooks = tuple(caller.name for caller in self._pluggy.get_hookcallers(module) or ())
        self._states[key] = replace(self._states[key], hooks=hooks)
        others = [plugin for plugin in self._pluggy.get_plugins() if plugin is not module]
        found: dict[tuple[Kind, str], Any] = {}
        # pluggy stops at the first implementation that raises, so each plugin is called alone.
        for of in (*KINDS, *PURE):
            for offered in self._pluggy.subset_hook_caller(of.hook, others)():
                for n, each in enumerate(offered):
                    if n >= MOST:
                        raise PluginFailed("plugin.too_many", f"{of.hook} yields more than {MOST:,}.")
                    check_offer(of, each)
                    if each.name in self._offered[of.kind] or (of.kind, each.name) in found:
                        raise _taken(of.kind, each.name)
                    found[of.kind, each.name] = each
        return found

    def _lacks(self, kind: Kind, name: str, of: str, why: str) -> None:
        self._faults[kind, name] = why
        self._fail(self._owner[kind, of], f"{said(kind)} {name}: {why}")

    def _why(self, error: Exception) -> str:
        """One line; the text of an error is the plugin's code."""
        try:
            return started("The text of its error", SHOWING, _explain, error)
        except Blocked as own:
            return str(own)
        except Exception as own:
            return describe(own)

    def _fail(self, key: str, error: str) -> None:
        self._states[key] = replace(self._states[key], state="failed", error=error)


def _shown(model: type[BaseModel]) -> dict[str, Any]:
    """The JSON Schema of settings; raises where that is no JSON."""
    return msgspec.json.decode(msgspec.json.encode(model.model_json_schema()), type=dict[str, Any])


def _serves(offer: Any) -> bool:
    return isinstance(offer, ChannelPlugin) and offer.serves != ""


def meant(name: str, settings: Mapping[str, Any]) -> str:
    """What is meant by the settings under a name."""
    return str(settings.get("plugin", name))


def _taken(kind: Kind, name: str) -> PluginFailed:
    told = f"Another plugin offers the {said(kind)} {name}."
    if kind == "channel":
        return PluginFailed("plugin.channel_taken", told)
    if kind == "source":
        return PluginFailed("plugin.source_taken", told)
    return PluginFailed("plugin.name_taken", told)


def _canonical(distribution: str) -> str:
    """As the packaging tools compare names."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def _checked(model: type[BaseModel], given: Mapping[str, Any]) -> tuple[BaseModel | None, list[ErrorDetails]]:
    """The settings, or what is wrong with them: places and messages only, as the values may be secrets."""
    try:
        return model.model_validate(given, extra=None if "extra" in model.model_config else "forbid"), []
    except ValidationError as error:
        return None, error.errors(include_url=False, include_context=False, include_input=False)


def _explain(error: Exception) -> str:
    return clean(str(error)) if isinstance(error, PluginFailed) else describe(error)
