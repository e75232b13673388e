"""Finds, loads and opens plugins. One that fails is recorded and never stops another."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any, Literal, TypeVar, cast

import pluggy
from pydantic import BaseModel, ValidationError

from overture.model.errors import PluginFailed, describe
from overture.plugin import hookspecs
from overture.plugin.descriptors import ChannelPlugin
from overture.plugin.guard import DEFAULT, Limits
from overture.plugin.host import HostedChannel
from overture.plugin.listening import LISTENING, HostedPush, OpenPull, check_endpoints
from overture.plugin.sources import PullSourcePlugin, PushSourcePlugin, SourcePlugin

GROUP = "overture"
Kind = Literal["channel", "source"]
Settings = Mapping[str, Mapping[str, Any]]
H = TypeVar("H")
_HOOKS: tuple[tuple[str, Kind, tuple[type, ...]], ...] = (
    ("overture_channels", "channel", (ChannelPlugin,)),
    ("overture_sources", "source", (PushSourcePlugin, PullSourcePlugin)),
)
NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
"""What channels and sources may be called; a source's name is a part of a path."""


@dataclass(frozen=True, slots=True)
class PluginState:
    """One plugin as loaded. ``state``: ``active``, or ``failed`` with ``error`` in one sentence."""

    name: str
    distribution: str
    version: str
    hooks: tuple[str, ...] = ()
    state: str = "active"
    error: str = ""


@dataclass(frozen=True, slots=True)
class WrongSetting:
    """A finding about the settings of one channel or source (``kind``), without the value, which may be a secret.

    ``place`` is the path to it (empty: all of them); ``error`` and ``problem`` are pydantic's.
    """

    kind: Kind
    name: str
    place: tuple[str, ...]
    error: str
    problem: str


class PluginManager:
    """The plugins of the entry point group ``overture``.

    `load` once, then `configure_channels` and `open_channels`, `configure_sources` and `open_sources`. ``channels`` and
    ``sources`` hold what the plugins offer that could be loaded, by name.
    """

    def __init__(self) -> None:
        self.channels: dict[str, ChannelPlugin[Any]] = {}
        self.sources: dict[str, SourcePlugin] = {}
        self._configs: dict[tuple[Kind, str], tuple[str, BaseModel]] = {}  # -> what is offered, its settings
        self._owner: dict[tuple[Kind, str], str] = {}  # what is offered -> key of the plugin in _states
        self._states: dict[str, PluginState] = {}
        self._pluggy = pluggy.PluginManager(hookspecs.PROJECT)
        self._pluggy.add_hookspecs(hookspecs)

    def load(self) -> None:
        """Import and register each plugin; Overture's own come first, so that no other takes a built-in's name."""
        for entry in sorted(entry_points(group=GROUP), key=_order):
            self._load(entry)

    def states(self) -> list[PluginState]:
        """All plugins found, in the order they were loaded."""
        return list(self._states.values())

    def offers(self, plugin: PluginState) -> list[tuple[Kind, str, dict[str, Any], list[str]]]:
        """What a plugin offers: kind, name, the JSON Schema of its settings, and under which names it is configured."""
        own = [offer for offer, key in self._owner.items() if key == f"{plugin.distribution}:{plugin.name}"]
        return [
            (kind, of, self._offers(kind)[of].config.model_json_schema(), self._named(kind, of)) for kind, of in own
        ]

    def _named(self, kind: Kind, of: str) -> list[str]:
        return [name for (its, name), (what, _) in self._configs.items() if (its, what) == (kind, of)]

    def configure_channels(self, given: Settings) -> list[WrongSetting]:
        """Check the settings; answers what is wrong. The plugin of a channel that has wrong ones is recorded as failed.

        By name, the settings for the config model; a channel that is not named gets the model's defaults. Those of what
        nobody offers are left alone. Unknown keys are wrong, unless the model says otherwise (``extra``).
        """
        return [
            wrong
            for name, plugin in self.channels.items()
            for wrong in self._configure("channel", name, name, plugin.config, given.get(name, {}))
        ]

    def configure_sources(self, given: Settings) -> list[WrongSetting]:
        """As `configure_channels`. A source may have a name of its own, and say with ``plugin`` what it is. One that is
        not named gets the model's defaults where it is pushed to and needs no settings; otherwise it is not there.
        """
        wanted: Settings = {
            **{name: {} for name, source in self.sources.items() if name in given or _needs_nothing(source)},
            **given,
        }
        wrong: list[WrongSetting] = []
        for name, settings in wanted.items():
            of = source_of(name, settings)
            if (source := self.sources.get(of)) is not None:
                own = {key: value for key, value in settings.items() if key != "plugin"}
                wrong += self._configure("source", name, of, source.config, own)
        return wrong

    def withdraw(self, source: str, error: PluginFailed) -> None:
        """An open source that cannot be used as it is: it counts as not there, and its plugin as failed."""
        of, _ = self._configs.pop(("source", source))
        self._fail(self._owner["source", of], f"source {source}: {_explain(error)}")

    def _configure(
        self, kind: Kind, name: str, of: str, model: type[BaseModel], given: Mapping[str, Any]
    ) -> list[WrongSetting]:
        extra = None if "extra" in model.model_config else "forbid"
        try:
            self._configs[kind, name] = of, model.model_validate(given, extra=extra)
        except ValidationError as error:
            self._fail(self._owner[kind, of], f"{kind} {name}: {_explain(error)}")
            found = error.errors(include_url=False, include_context=False, include_input=False)
            return [WrongSetting(kind, name, tuple(map(str, each["loc"])), each["type"], each["msg"]) for each in found]
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            self._fail(self._owner[kind, of], f"{kind} {name}: {_explain(error)}")
        return []

    def open_channels(self, limits: Limits = DEFAULT) -> dict[str, HostedChannel]:
        """The channels whose settings are right. The plugin of one that does not open is recorded as failed."""
        return self._open("channel", lambda name, of, config: self._channel(of, config, limits))

    def open_sources(self, limits: Limits = LISTENING) -> dict[str, HostedPush | OpenPull]:
        """The sources whose settings are right, by their own name."""
        return self._open("source", lambda name, of, config: self._source(name, of, config, limits))

    def _channel(self, of: str, config: BaseModel, limits: Limits) -> HostedChannel:
        plugin = self.channels[of]
        return HostedChannel(plugin, plugin.open(config), limits)

    def _source(self, name: str, of: str, config: BaseModel, limits: Limits) -> HostedPush | OpenPull:
        plugin = self.sources[of]
        if isinstance(plugin, PushSourcePlugin):
            return HostedPush(name, plugin, plugin.open(config), limits)
        return OpenPull(plugin.open(config))

    def _open(self, kind: Kind, make: Callable[[str, str, BaseModel], H]) -> dict[str, H]:
        opened: dict[str, H] = {}
        for (its, name), (of, config) in list(self._configs.items()):
            if its != kind:
                continue
            try:
                opened[name] = make(name, of, config)
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                del self._configs[kind, name]
                self._fail(self._owner[kind, of], f"{kind} {name}: {_explain(error)}")
        return opened

    def _load(self, entry: EntryPoint) -> None:
        distribution = entry.dist.name if entry.dist else ""
        key = f"{distribution}:{entry.name}"
        self._states[key] = PluginState(entry.name, distribution, entry.dist.version if entry.dist else "")
        try:
            offered = self._register(key, entry.load())
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a plugin may well call sys.exit at import
            if self._pluggy.has_plugin(key):
                self._pluggy.unregister(name=key)
            self._fail(key, _explain(error))
            return
        for (kind, name), offer in offered.items():
            self._owner[kind, name] = key
            self._offers(kind)[name] = offer

    def _offers(self, kind: Kind) -> dict[str, Any]:
        return self.channels if kind == "channel" else self.sources

    def _register(self, key: str, module: ModuleType) -> dict[tuple[Kind, str], Any]:
        wanted = getattr(module, "OVERTURE_HOOK_API", hookspecs.HOOK_API)
        if wanted != hookspecs.HOOK_API:
            raise PluginFailed("plugin.hook_api", f"It is written for hook API {wanted}, this is {hookspecs.HOOK_API}.")
        self._pluggy.register(module, name=key)
        self._pluggy.check_pending()  # a misspelt hook would otherwise never be called, without a word
        hooks = tuple(caller.name for caller in self._pluggy.get_hookcallers(module) or ())
        state = self._states[key]
        self._states[key] = PluginState(state.name, state.distribution, state.version, hooks)
        others = [plugin for plugin in self._pluggy.get_plugins() if plugin is not module]
        found: dict[tuple[Kind, str], Any] = {}
        # pluggy stops at the first implementation that raises, so each plugin is called alone.
        for hook, kind, types in _HOOKS:
            for offered in self._pluggy.subset_hook_caller(hook, others)():
                for each in offered:
                    _check(hook, kind, types, each)
                    if each.name in self._offers(kind) or (kind, each.name) in found:
                        raise _taken(kind, each.name)
                    found[kind, each.name] = each
        return found

    def _fail(self, key: str, error: str) -> None:
        state = self._states[key]
        self._states[key] = PluginState(state.name, state.distribution, state.version, state.hooks, "failed", error)


def source_of(name: str, settings: Mapping[str, Any]) -> str:
    """Which source is meant by the settings under a name."""
    return str(settings.get("plugin", name))


def _needs_nothing(source: SourcePlugin) -> bool:
    if not isinstance(source, PushSourcePlugin):
        return False
    try:
        source.config.model_validate({})
    except ValidationError:
        return False
    except Exception:  # of the plugin itself: told where it is configured
        return True
    return True


def _taken(kind: Kind, name: str) -> PluginFailed:
    if kind == "channel":
        return PluginFailed("plugin.channel_taken", f"Another plugin offers the channel {name}.")
    return PluginFailed("plugin.source_taken", f"Another plugin offers the source {name}.")


def _check(hook: str, kind: Kind, types: tuple[type, ...], offered: Any) -> None:
    if not isinstance(offered, types):
        wanted = " or ".join(each.__name__ for each in types)
        raise PluginFailed("plugin.wrong_type", f"{hook} yielded {type(offered).__name__}: no {wanted}.")
    name, config = offered.name, offered.config
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise PluginFailed("plugin.wrong_name", f"A {kind}'s name must match {NAME.pattern}: {name!r}.")
    if not isinstance(config, type) or not issubclass(config, BaseModel):
        raise PluginFailed("plugin.wrong_type", f"The config of the {kind} {name} is not a pydantic model.")
    if isinstance(offered, PushSourcePlugin):
        check_endpoints(cast(PushSourcePlugin[Any], offered))


def _order(entry: EntryPoint) -> tuple[bool, str, str]:
    distribution = entry.dist.name if entry.dist else ""
    return distribution != "overture", distribution, entry.name


def _explain(error: BaseException) -> str:
    """One line. A ValidationError shows places and messages only: the values may be secrets."""
    if isinstance(error, ValidationError):
        found = error.errors(include_url=False, include_context=False, include_input=False)
        return "; ".join(f"{'.'.join(map(str, each['loc'])) or 'config'}: {each['msg']}" for each in found)
    return str(error) if isinstance(error, PluginFailed) else describe(error)
