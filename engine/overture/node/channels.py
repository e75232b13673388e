"""What the settings say about channels: handed to the plugins, and told where it is wrong."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Mapping
from typing import Any

from overture.model import StartupRefused
from overture.plugin.manager import PluginManager, WrongSetting
from overture.settings import Settings, sentence

log = logging.getLogger("overture.plugin")

# Settings of channels that also have a name of their own: channel → its setting → ours.
_GENERAL: Mapping[str, Mapping[str, str]] = {
    "email": {"url": "smtp_url", "sender": "mail_from"},
    "webhook": {"egress_allow": "egress_allow"},
}


def load_plugins(settings: Settings) -> PluginManager:
    """The plugins there are, with the channels' settings checked where this process delivers.

    Raises `StartupRefused` ``settings.invalid`` with one sentence for each mistake in what the operator set. A plugin
    that fails otherwise, also for want of settings, is recorded, and stops nothing else.
    """
    plugins = PluginManager()
    plugins.load()
    sentences = _unknown_channels(settings, plugins)
    if "delivery" in settings.roles:
        wrong = plugins.configure(_config(settings))
        sentences += [_told(settings, plugins, each) for each in wrong if _is_set(settings, each.name)]
    if sentences:
        hint = "`overture plugins` shows which channels there are; docs/operating.md has the settings of ours."
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


def _is_set(settings: Settings, channel: str) -> bool:
    return channel in settings.channels or channel in _GENERAL


def _unknown_channels(settings: Settings, plugins: PluginManager) -> list[str]:
    sentences: list[str] = []
    failed = [plugin.name for plugin in plugins.states() if plugin.state == "failed"]
    named = {name: _table(settings, name) for name in settings.channels}
    for name in settings.channel_rates:
        named.setdefault(name, f"{settings.place('channel_rates')}: {name}")
    for name, table in named.items():
        if name in plugins.channels:
            continue
        what = f"{table} is for a channel that no plugin offers"
        if failed:  # it may be one of theirs
            log.error("%s; of the plugins, %s could not be loaded", what, ", ".join(failed))
        else:
            sentences.append(f"{what}{_guess(name, plugins.channels)}")
    return sentences


def _told(settings: Settings, plugins: PluginManager, wrong: WrongSetting) -> str:
    field = wrong.place[0] if wrong.place else ""
    general = _GENERAL.get(wrong.name, {}).get(field)
    if general is not None and field not in settings.channels.get(wrong.name, {}):
        place = settings.place(general)
    else:
        place = _table(settings, ".".join((wrong.name, *wrong.place)))
    if wrong.error == "missing":
        return f"{place} is missing."
    if wrong.error == "extra_forbidden":
        known = plugins.channels[wrong.name].config.model_fields
        return f"{place} is no setting of the channel{_guess(field, known)}"
    return sentence(place, wrong.problem)


def _table(settings: Settings, path: str) -> str:
    return f"channels.{path} ({settings.origins()['channels']})"


def _guess(name: str, known: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(name.lower(), known, 1)
    return f"; did you mean {close[0]}?" if close else "."
