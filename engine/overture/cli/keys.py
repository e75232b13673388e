"""`overture keys`: the API keys of a server."""

from __future__ import annotations

import json
from typing import Annotated

from cyclopts import Parameter

from overture.cli.terminal import Json, Url, connect, console
from overture.model import Refused


def show(*, url: Url = None, as_json: Json = False) -> None:
    """The keys there are, and what each may do; never the keys themselves."""
    with connect(url) as client:
        found = client.keys()
    if as_json:
        print(json.dumps(found))
        return
    for each in found:
        limits = [f"types {','.join(each['types'])}"] if each["types"] else []
        limits += [f"pages of {','.join(each['origins'])}"] if each["origins"] else []
        limits += [f"{each['rate']:g} facts a second"] if each["rate"] else []
        console.print(f"{each['name']} {','.join(each['scopes'])} {'; '.join(limits)}".rstrip(), markup=False)


def new(
    name: str,
    /,
    *,
    browser: Annotated[bool, Parameter(negative="")] = False,
    inbox: Annotated[bool, Parameter(negative="")] = False,
    origin: list[str] | None = None,
    type: list[str] | None = None,
    rate: float | None = None,
    url: Url = None,
) -> None:
    """Make a key and print it, this once: for an app, for web pages, or for what lets them read inboxes.

    Parameters
    ----------
    name
        Lower-case letters, digits, _ and -. Facts that come with the key have it as their source.
    browser
        For web pages, where anybody can read it: it brings what happened there, and reads and changes nothing.
    inbox
        For the app's backend, to get tokens with which pages read the inbox of one contact each.
    origin
        Pages that may use it, such as https://shop.example.com; any, unless given. May be repeated.
    type
        Types of facts that it may bring; all that a page may, unless given. May be repeated.
    rate
        Facts a second that a process takes with it.
    """
    if browser and inbox:
        raise Refused("keys.kind", "A key is for web pages or for inboxes.", "Make two: --browser and --inbox.")
    kind = "browser" if browser else "inbox" if inbox else "write"
    asked = {"name": name, "kind": kind, "origins": origin or [], "types": type or []}
    with connect(url) as client:
        print(client.make_key({**asked, "rate": rate})["key"])


def revoke(name: str, /, *, url: Url = None) -> None:
    """Let a key be known no more."""
    with connect(url) as client:
        client.revoke_key(name)
    console.print(f"The key {name} is revoked.", markup=False)
