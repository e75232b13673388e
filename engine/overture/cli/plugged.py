"""Commands that plugins offer, mounted below the command line where one of them is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import cyclopts
from rich.console import Console

from overture.cli.terminal import load_settings
from overture.model import OvertureError, Refused
from overture.model.errors import PluginFailed
from overture.plugin.commanding import BUILT_IN

_HELP = ("--help", "-h")


def mount(app: cyclopts.App, arguments: Sequence[str]) -> None:
    """Add what the arguments may be about: nothing, where they begin with a command of ours.

    A plugin that cannot be loaded or opened costs its own commands. Raises Refused where the settings of the command
    that is asked for are wrong.
    """
    asked = arguments[0] if arguments else "--help"
    if asked in BUILT_IN or (asked.startswith("-") and asked not in _HELP):
        return
    from overture.node.configured import found

    if asked in _HELP:
        with suppress(OvertureError):  # wrong settings are told by what needs them
            plugins, _ = found(load_settings(), commands=True)
            for name, command in plugins.offered("command").items():
                app.command(cyclopts.App(name=name, help=command.help), name=name)
        return
    plugins, mistakes = found(load_settings(), commands=True)
    offered = plugins.offered("command")
    if asked in offered:
        opened = plugins.open("command", _checked)
        if asked in opened:
            app.command(opened[asked], name=asked)
            return
        why = plugins.faults("command").get(asked, "")
        told = [each for each in mistakes if each.startswith(f"commands.{asked}")]
        message = " ".join(told) or (f"The command {asked} cannot be used: {why or 'it needs settings'}.")
        raise Refused("command.unusable", message, f"Its settings stand in [commands.{asked}] of overture.toml.")
    for state in plugins.states():
        if state.state == "failed":
            Console(stderr=True, highlight=False, soft_wrap=True).print(
                f"The plugin {state.name} of {state.distribution} could not be loaded: {state.error}", markup=False
            )


def _checked(_: str, offer: Any, opened: Any) -> cyclopts.App:
    if not isinstance(opened, cyclopts.App):
        raise PluginFailed("plugin.wrong_type", f"open answered {type(opened).__name__}, no cyclopts.App.")
    opened.help = opened.help or offer.help
    return opened
