"""``overture plugins``: which plugins there are, what they offer, how they do, and why one does not."""

from __future__ import annotations

import json
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter
from rich.markup import escape
from rich.table import Table

from overture.cli.terminal import Json, Url, connect, console, load_settings
from overture.model import Refused

_COLORS = {"active": "green", "failed": "red", "not allowed": "yellow"}


def plugins(*, local: Annotated[bool, Parameter(negative="")] = False, url: Url = None, as_json: Json = False) -> None:
    """The plugins of a running server: what they offer, how that does, and what could not be loaded and why.

    Parameters
    ----------
    local
        Without a server: what one would load if it were started here.
    """
    mistakes: list[str] = []
    if local:
        found, mistakes = _here()
    else:
        with connect(url) as client:
            try:
                found = client.plugins()
            except Refused as error:
                if error.code == "client.unreachable":
                    error.hint = "Start it, or look without one: overture plugins --local."
                raise
    if as_json:
        print(json.dumps({"plugins": found, "mistakes": mistakes}))
        return
    console.print(_table(found))
    for mistake in mistakes:
        console.print(mistake, style="red", markup=False)


def _here() -> tuple[list[dict[str, Any]], list[str]]:
    from overture.node.configured import found
    from overture.node.plugged import Running, views

    manager, mistakes = found(load_settings(), commands=True)
    each = {
        (kind, own): Running("not running")
        for p in manager.states()
        for kind, _, _, names in manager.offers(p)
        for own in names
    }
    return msgspec.to_builtins(views(manager, each)), mistakes


def _table(found: list[dict[str, Any]]) -> Table:
    """A row for each plugin and one for each thing it offers, under each name."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("plugin", "offers", "state"):
        table.add_column(column, overflow="fold")
    for column in ("errors", "dropped"):
        table.add_column(column, justify="right")
    table.add_column("what is wrong", overflow="fold")
    for plugin in found:
        color = _COLORS.get(plugin["state"], "red")
        name = f"{plugin['name']} ({plugin['distribution']} {plugin['version']})"
        table.add_row(
            escape(name),
            escape(", ".join(plugin["hooks"])),
            f"[{color}]{plugin['state']}[/]",
            "",
            "",
            escape(plugin["error"]),
        )
        for offer in plugin["offers"]:
            what = f"{offer['kind'].replace('_', ' ')} {offer['name']}"
            if not offer["open"]:
                table.add_row("", escape(what), "not configured", "", "", "")
            for own, state in offer["open"].items():
                trouble = offer["trouble"].get(own, {"failures": 0, "dropped": 0, "last": ""})
                table.add_row(
                    "",
                    escape(what if own == offer["name"] else f"{what} as {own}"),
                    escape(state),
                    str(trouble["failures"] or ""),
                    str(trouble["dropped"] or ""),
                    escape(trouble["last"]),
                )
    return table
