"""Finds, loads and opens plugins. One that fails is recorded and never stops another."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any

import pluggy
from pydantic import BaseModel, ValidationError

from overture.model.errors import PluginFailed, describe
from overture.plugin import hookspecs
from overture.plugin.descriptors import ChannelPlugin
from overture.plugin.host import DEFAULT, HostedChannel, Limits

GROUP = "overture"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


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
    """A finding about one channel's settings, without the value, which may be a secret.

    ``place`` is the path to it (empty: all of them); ``kind`` and ``problem`` are pydantic's.
    """

    channel: str
    place: tuple[str, ...]
    kind: str
    problem: str


class PluginManager:
    """The plugins of the entry point group ``overture``.

    `load` once, `configure` with each channel's settings, then `open_channels`. ``channels`` holds what the plugins
    offer that could be loaded.
    """

    def __init__(self) -> None:
        self.channels: dict[str, ChannelPlugin[Any]] = {}
        self._configs: dict[str, BaseModel] = {}
        self._owner: dict[str, str] = {}  # channel -> key of the plugin in _states
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

    def configure(self, config: Mapping[str, Mapping[str, Any]]) -> list[WrongSetting]:
        """Check the channels' settings; answers what is wrong. The plugins of those channels are recorded as failed.

        ``config``: channel name → settings for its config model; a channel that is not named gets the model's defaults.
        Unknown keys are wrong too, unless the model says otherwise itself (``extra``).
        """
        wrong: list[WrongSetting] = []
        for name, plugin in self.channels.items():
            extra = None if "extra" in plugin.config.model_config else "forbid"
            try:
                self._configs[name] = plugin.config.model_validate(config.get(name, {}), extra=extra)
            except ValidationError as error:
                self._fail(self._owner[name], f"channel {name}: {_explain(error)}")
                for found in error.errors(include_url=False, include_context=False, include_input=False):
                    wrong.append(WrongSetting(name, tuple(map(str, found["loc"])), found["type"], found["msg"]))
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                self._fail(self._owner[name], f"channel {name}: {_explain(error)}")
        return wrong

    def open_channels(self, limits: Limits = DEFAULT) -> dict[str, HostedChannel]:
        """The channels whose settings are right. The plugin of one that does not open is recorded as failed."""
        hosted: dict[str, HostedChannel] = {}
        for name, config in self._configs.items():
            plugin = self.channels[name]
            try:
                hosted[name] = HostedChannel(plugin, plugin.open(config), limits)
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                self._fail(self._owner[name], f"channel {name}: {_explain(error)}")
        return hosted

    def _load(self, entry: EntryPoint) -> None:
        distribution = entry.dist.name if entry.dist else ""
        key = f"{distribution}:{entry.name}"
        self._states[key] = PluginState(entry.name, distribution, entry.dist.version if entry.dist else "")
        try:
            channels = self._register(key, entry.load())
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a plugin may well call sys.exit at import
            if self._pluggy.has_plugin(key):
                self._pluggy.unregister(name=key)
            self._fail(key, _explain(error))
            return
        self._owner.update(dict.fromkeys(channels, key))
        self.channels.update(channels)

    def _register(self, key: str, module: ModuleType) -> dict[str, ChannelPlugin[Any]]:
        wanted = getattr(module, "OVERTURE_HOOK_API", hookspecs.HOOK_API)
        if wanted != hookspecs.HOOK_API:
            raise PluginFailed("plugin.hook_api", f"It is written for hook API {wanted}, this is {hookspecs.HOOK_API}.")
        self._pluggy.register(module, name=key)
        self._pluggy.check_pending()  # a misspelt hook would otherwise never be called, without a word
        hooks = tuple(caller.name for caller in self._pluggy.get_hookcallers(module) or ())
        state = self._states[key]
        self._states[key] = PluginState(state.name, state.distribution, state.version, hooks)
        others = [plugin for plugin in self._pluggy.get_plugins() if plugin is not module]
        channels: dict[str, ChannelPlugin[Any]] = {}
        # pluggy stops at the first implementation that raises, so each plugin is called alone.
        for offered in self._pluggy.subset_hook_caller("overture_channels", others)():
            for channel in offered:
                _check(channel)
                if channel.name in self.channels or channel.name in channels:
                    raise PluginFailed("plugin.channel_taken", f"Another plugin offers the channel {channel.name}.")
                channels[channel.name] = channel
        return channels

    def _fail(self, key: str, error: str) -> None:
        state = self._states[key]
        self._states[key] = PluginState(state.name, state.distribution, state.version, state.hooks, "failed", error)


def _check(channel: object) -> None:
    if not isinstance(channel, ChannelPlugin):
        raise PluginFailed(
            "plugin.wrong_type", f"overture_channels yielded {type(channel).__name__}: no ChannelPlugin."
        )
    name, config = channel.name, channel.config  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    if not isinstance(name, str) or not _NAME.fullmatch(name):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise PluginFailed("plugin.wrong_name", f"A channel's name must match {_NAME.pattern}: {name!r}.")
    if not isinstance(config, type) or not issubclass(config, BaseModel):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise PluginFailed("plugin.wrong_type", f"The config of the channel {name} is not a pydantic model.")


def _order(entry: EntryPoint) -> tuple[bool, str, str]:
    distribution = entry.dist.name if entry.dist else ""
    return distribution != "overture", distribution, entry.name


def _explain(error: BaseException) -> str:
    """One line. A ValidationError shows places and messages only: the values may be secrets."""
    if isinstance(error, ValidationError):
        found = error.errors(include_url=False, include_context=False, include_input=False)
        return "; ".join(f"{'.'.join(map(str, each['loc'])) or 'config'}: {each['msg']}" for each in found)
    return str(error) if isinstance(error, PluginFailed) else describe(error)
