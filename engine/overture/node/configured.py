"""What the settings say about channels and sources: handed to the plugins, and told where it is wrong."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Collection, Mapping
from typing import Any

from overture.model import StartupRefused
from overture.plugin.manager import NAME, Kind, PluginManager, WrongSetting, source_of
from overture.settings import Settings, sentence

log = logging.getLogger("overture.plugin")

# Settings of channels that also have a name of their own: channel → its setting → ours.
_GENERAL: Mapping[str, Mapping[str, str]] = {
    "email": {"url": "smtp_url", "sender": "mail_from"},
    "webhook": {"egress_allow": "egress_allow"},
}


def load_plugins(settings: Settings) -> PluginManager:
    """The plugins there are, with the channels' settings checked where this process delivers, the sources' where it
    listens.

    Raises `StartupRefused` ``settings.invalid`` with one sentence for each mistake in what the operator set. A plugin
    that fails otherwise, also for want of settings, is recorded, and stops nothing else.
    """
    plugins = PluginManager()
    plugins.load()
    sentences = [*_unknown_channels(settings, plugins), *_unknown_sources(settings, plugins)]
    wrong: list[WrongSetting] = []
    if "delivery" in settings.roles:
        wrong += plugins.configure_channels(_config(settings))
    if "web" in settings.roles:
        wrong += plugins.configure_sources(settings.sources)
    sentences += [_told(settings, plugins, each) for each in wrong if _is_set(settings, each)]
    if sentences:
        hint = (
            "`overture plugins` shows the channels and sources there are; docs/operating.md has the settings of ours."
        )
        raise StartupRefused("settings.invalid", " ".join(sentences), hint)
    return plugins


def tell_failures(plugins: PluginManager) -> None:
    """Write each plugin that failed to the log."""
    for plugin in plugins.states():
        if plugin.state == "failed":
            log.error("The plugin %s of %s failed: %s", plugin.name, plugin.distribution, plugin.error)


def _config(settings: Settings) -> dict[str, Mapping[str, Any]]:
    """Each channel's settings: what stands in ``[channels.<name>]``, over what the general settings say."""
    general: dict[str, dict[str, Any]] = {
        "email": {"url": settings.smtp_url, "sender": settings.mail_from},
        "webhook": {"egress_allow": [str(network) for network in settings.egress_allow]},
    }
    return {
        name: {**general.get(name, {}), **settings.channels.get(name, {})} for name in {*general, *settings.channels}
    }


def _is_set(settings: Settings, wrong: WrongSetting) -> bool:
    if wrong.kind == "source":
        return wrong.name in settings.sources
    return wrong.name in settings.channels or wrong.name in _GENERAL


def _unknown_channels(settings: Settings, plugins: PluginManager) -> list[str]:
    named = {name: _place(settings, "channel", name) for name in settings.channels}
    for name in settings.channel_rates:
        named.setdefault(name, f"{settings.place('channel_rates')}: {name}")
    unknown = [(table, name) for name, table in named.items() if name not in plugins.channels]
    return _unknown("channel", unknown, plugins.channels, plugins)


def _unknown_sources(settings: Settings, plugins: PluginManager) -> list[str]:
    sentences: list[str] = []
    unknown: list[tuple[str, str]] = []
    for name, given in settings.sources.items():
        place, of = _place(settings, "source", name), source_of(name, given)
        if not NAME.fullmatch(name):  # it becomes a part of a path
            sentences.append(f"{place} must be named with lower-case letters, digits and _, at most 64.")
        elif of not in plugins.sources:
            unknown.append((_place(settings, "source", f"{name}.plugin") if "plugin" in given else place, of))
    return sentences + _unknown("source", unknown, plugins.sources, plugins)


def _unknown(kind: Kind, found: list[tuple[str, str]], known: Collection[str], plugins: PluginManager) -> list[str]:
    """A sentence for each (place, name); none where it may be of a plugin that failed."""
    failed = [plugin.name for plugin in plugins.states() if plugin.state == "failed"]
    sentences: list[str] = []
    for place, name in found:
        what = f"{place} is for a {kind} that no plugin offers"
        if failed:
            log.error("%s; of the plugins, %s could not be loaded", what, ", ".join(failed))
        else:
            sentences.append(f"{what}{_guess(name, known)}")
    return sentences


def _told(settings: Settings, plugins: PluginManager, wrong: WrongSetting) -> str:
    field = wrong.place[0] if wrong.place else ""
    general = _GENERAL.get(wrong.name, {}).get(field) if wrong.kind == "channel" else None
    if general is not None and field not in settings.channels.get(wrong.name, {}):
        place = settings.place(general)
    else:
        place = _place(settings, wrong.kind, ".".join((wrong.name, *wrong.place)))
    if wrong.error == "missing":
        return f"{place} is missing."
    if wrong.error == "extra_forbidden":
        return f"{place} is no setting of the {wrong.kind}{_guess(field, _fields(settings, plugins, wrong))}"
    return sentence(place, wrong.problem)


def _fields(settings: Settings, plugins: PluginManager, wrong: WrongSetting) -> Collection[str]:
    if wrong.kind == "channel":
        return plugins.channels[wrong.name].config.model_fields
    of = source_of(wrong.name, settings.sources[wrong.name])
    return ["plugin", *plugins.sources[of].config.model_fields]


def _place(settings: Settings, kind: Kind, path: str) -> str:
    return f"{kind}s.{path} ({settings.origins()[f'{kind}s']})"


def _guess(name: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(name.lower(), known, 1)
    return f"; did you mean {close[0]}?" if close else "."
