"""What the commands share: the terminal, common options, settings, the way to a server."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from rich.console import Console

from overture.cli.client import Client
from overture.settings import Settings

if TYPE_CHECKING:
    from overture.plugin.manager import PluginManager

console = Console(highlight=False, soft_wrap=True)

Json = Annotated[bool, Parameter(name="--json", help="Print JSON, for programs.")]
Url = Annotated[str | None, Parameter(help="The server, by default http://127.0.0.1:8080 or what the settings say.")]


def load_settings(**flags: Any) -> Settings:
    return Settings.load(os.environ, flags=flags)


def loaded_plugins() -> PluginManager:
    """Those that are installed here and may be."""
    from overture.plugin.manager import PluginManager  # much is imported with it

    plugins = PluginManager(load_settings().plugins_allowed)
    plugins.load()
    return plugins


def connect(url: str | None) -> Client:
    settings = load_settings()
    return Client(settings.own_url() if url is None else url, settings)
