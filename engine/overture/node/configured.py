"""What the settings say about what plugins offer: handed to the plugins, and told where it is wrong."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Collection, Mapping
from typing import Any

from overture.model import StartupRefused
from overture.plugin.kinds import BY_KIND, KINDS, NAME, Kind, KindOf, article, said
from overture.plugin.manager import PluginManager, WrongSetting, meant
from overture.settings import Settings, sentence

log = logging.getLogger("overture.plugin")

_HTTP = {"egress_allow": "egress_allow"}
_MAIL = {"sender": "mail_from"}
# Settings of channels that also have a name of their own: what sends → its setting → ours.
_GENERAL: Mapping[str, Mapping[str, str]] = {
    "email": {"url": "smtp_url", **_MAIL},
    **dict.fromkeys(("webhook", "hubspot", "slack", "web_push", "twilio"), _HTTP),
    **{name: {**_HTTP, **_MAIL} for name in ("sendgrid", "mailgun", "postmark", "ses")},
}
_BY_GENERAL = ("email", "webhook")  # what of them is there with no settings but ours


def load_plugins(settings: Settings) -> PluginManager:
    """The plugins as `found`.

    Raises `StartupRefused` ``settings.invalid`` with one sentence for each mistake in what the operator set. A plugin
    that fails otherwise is recorded, and stops nothing else.
    """
    plugins, sentences = found(settings)
    if sentences:
        hint = "`overture plugins --local` shows what plugins offer; docs/operating.md has the settings of ours."
        raise StartupRefused("settings.invalid", " ".join(sentences), hint)
    return plugins


def found(settings: Settings, *, commands: bool = False) -> tuple[PluginManager, list[str]]:
    """The plugins there are and may be, with the settings of what they offer checked where this process uses it: those
    of channels where it delivers, of sources where it listens; of ``commands`` on the command line. And a sentence for
    each mistake of the operator.
    """
    plugins = PluginManager(settings.plugins_allowed)
    plugins.load()
    sentences = [sentence for of in KINDS for sentence in _unknown(settings, plugins, of)]
    wrong: list[WrongSetting] = []
    for of in KINDS:
        if of.role in settings.roles or (commands and of.kind == "command"):
            wrong += plugins.configure(
                of.kind, _config(settings, plugins) if of.kind == "channel" else _given(settings, of.kind)
            )
    sentences += [_told(settings, plugins, each) for each in wrong if _is_set(settings, each)]
    return plugins, sentences


def tell_failures(plugins: PluginManager) -> None:
    """Write each plugin that failed to the log."""
    for plugin in plugins.states():
        if plugin.state == "failed":
            log.error("The plugin %s of %s failed: %s", plugin.name, plugin.distribution, plugin.error)


def _config(settings: Settings, plugins: PluginManager) -> dict[str, Mapping[str, Any]]:
    """Each channel's settings: what stands in ``[channels.<name>]``, over what the general settings say."""
    general: dict[str, Any] = {
        "smtp_url": settings.smtp_url,
        "mail_from": settings.mail_from,
        "egress_allow": [str(network) for network in settings.egress_allow],
    }
    own = [name for name in _BY_GENERAL if name in plugins.channels]
    config: dict[str, Mapping[str, Any]] = {}
    for name in dict.fromkeys((*own, *settings.channels)):
        given = settings.channels.get(name, {})
        ours = _GENERAL.get(meant(name, given), {})
        config[name] = {**{field: general[setting] for field, setting in ours.items()}, **given}
    return config


def _given(settings: Settings, kind: Kind) -> Mapping[str, Mapping[str, Any]]:
    return getattr(settings, BY_KIND[kind].table)


def _is_set(settings: Settings, wrong: WrongSetting) -> bool:
    return wrong.name in _given(settings, wrong.kind) or (wrong.kind == "channel" and wrong.name in _GENERAL)


def _unknown(settings: Settings, plugins: PluginManager, of: KindOf) -> list[str]:
    """A sentence for each name in the settings that cannot be one, or is of what no plugin offers."""
    sentences: list[str] = []
    unknown: list[tuple[str, str]] = []
    known = plugins.offered(of.kind)
    for name, given in _given(settings, of.kind).items():
        place, what = _place(settings, of.kind, name), meant(name, given)
        if not NAME.fullmatch(name):
            sentences.append(f"{place} must be named with lower-case letters, digits and _, at most 64.")
        elif what not in known:
            unknown.append((_place(settings, of.kind, f"{name}.plugin") if "plugin" in given else place, what))
        elif "plugin" not in given and (serves := getattr(known[what], "serves", "")):
            sentences.append(f'{place} is no channel of its own: write plugin = "{what}" in channels.{serves}.')
    if of.kind == "channel":
        rates, named = f"{settings.place('channel_rates')}: ", plugins.channel_names(settings.channels)
        unknown += [(rates + name, name) for name in settings.channel_rates if name not in named]
    return sentences + _unoffered(of.kind, unknown, known, plugins)


def _unoffered(kind: Kind, found: list[tuple[str, str]], known: Collection[str], plugins: PluginManager) -> list[str]:
    """A sentence for each (place, name); none where it may be of a plugin that failed."""
    failed = [plugin.name for plugin in plugins.states() if plugin.state == "failed"]
    sentences: list[str] = []
    for place, name in found:
        what = f"{place} is for {article(kind)} that no plugin offers"
        if failed:
            log.error("%s; of the plugins, %s could not be loaded", what, ", ".join(failed))
        else:
            sentences.append(f"{what}{_guess(name, known)}")
    return sentences


def _told(settings: Settings, plugins: PluginManager, wrong: WrongSetting) -> str:
    field = wrong.place[0] if wrong.place else ""
    what = meant(wrong.name, _given(settings, wrong.kind).get(wrong.name, {}))
    general = _GENERAL.get(what, {}).get(field) if wrong.kind == "channel" else None
    if general is not None and field not in settings.channels.get(wrong.name, {}):
        place = settings.place(general)
    else:
        place = _place(settings, wrong.kind, ".".join((wrong.name, *wrong.place)))
    if wrong.error == "missing":
        return f"{place} is missing."
    if wrong.error == "extra_forbidden":
        return f"{place} is no setting of the {said(wrong.kind)}{_guess(field, _fields(settings, plugins, wrong))}"
    return sentence(place, wrong.problem)


def _fields(settings: Settings, plugins: PluginManager, wrong: WrongSetting) -> Collection[str]:
    of = meant(wrong.name, _given(settings, wrong.kind).get(wrong.name, {}))
    return ["plugin", *plugins.offered(wrong.kind)[of].config.model_fields]


def _place(settings: Settings, kind: Kind, path: str) -> str:
    table = BY_KIND[kind].table
    return f"{table}.{path} ({settings.origins()[table]})"


def _guess(name: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(name.lower(), known, 1)
    return f"; did you mean {close[0]}?" if close else "."
