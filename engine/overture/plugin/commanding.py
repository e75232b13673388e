"""Commands that plugins add to the command line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

C = TypeVar("C", bound=BaseModel)
BUILT_IN = frozenset({
    "attribution", "backtest", "check", "clock", "config", "consent", "contact", "deploy", "diff", "doctor",
    "explain", "fmt", "import", "keys", "new", "plugins", "preview", "replay", "rfm", "rollback", "schema",
    "serve", "test", "train",
})  # fmt: skip
"""The commands of Overture itself, which no plugin can take the place of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandPlugin(Generic[C]):
    """A command ``overture <name>``, or several below it. ``help``: one line for the list of commands.

    ``open`` makes a `cyclopts.App` from the settings in ``[commands.<name>]``, when the command is called.
    """

    name: str
    config: type[C]
    open: Callable[[C], Any]
    help: str = ""
