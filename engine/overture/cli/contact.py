"""`overture contact …`: what is kept about a person handed out, and erased."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from overture.cli.terminal import Json, Url, connect, console
from overture.model import Refused

PAUSE = 0.2  # seconds between looks at an erasure


def erase(
    contact: str,
    *,
    yes: Annotated[bool, Parameter(negative="", help="Do not ask.")] = False,
    wait: Annotated[bool, Parameter(help="Wait until it is done.")] = True,
    url: Url = None,
    as_json: Json = False,
) -> int:
    """Erase a contact, by its id or another of its identifiers, and print the proof."""
    if not yes:
        if not sys.stdin.isatty():
            raise Refused("contact.not_confirmed", "Erasing cannot be taken back.", "Pass --yes.")
        if input(f"Erase {contact} and all that is known of it, for good? Type its id to go on: ") != contact:
            return 1
    with connect(url) as client:
        erasure = client.erase_contact(contact)
        while wait and erasure["state"] != "done":
            time.sleep(PAUSE)
            erasure = client.erasure(erasure["id"])
    if as_json:
        print(json.dumps(erasure))
    else:
        console.print(_told(erasure), markup=False)
    return 0


def export(
    contact: str,
    *,
    to: Annotated[Path | None, Parameter(help="The file to write; printed if missing.")] = None,
    url: Url = None,
) -> None:
    """Write all that is kept about a contact, as one JSON document."""
    with connect(url) as client:
        text = json.dumps(client.export_contact(contact), indent=2, ensure_ascii=False)
    if to is None:
        print(text)
    else:
        _write(to, f"{text}\n")


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, "utf-8")
    except OSError as error:
        raise Refused(
            "file.unwritable", f"{file} cannot be written: {error.strerror}.", "Choose another file."
        ) from error


def erasures(*, url: Url = None, as_json: Json = False) -> int:
    """List who was erased, by their hashes. Exit code 0: the chain of proofs is whole; 1: it is not."""
    with connect(url) as client:
        found = client.erasures()
    if as_json:
        print(json.dumps(found))
    else:
        for erasure in (*found["under_way"], *found["items"]):
            console.print(_told(erasure), markup=False)
        whole = "whole" if found["ok"] else f"broken: {found['broken']}"
        console.print(f"The chain of proofs is {whole}.", markup=False)
    return 0 if found["ok"] else 1


def _told(erasure: dict[str, Any]) -> str:
    counts = ", ".join(f"{n:,} {what}" for what, n in erasure["counts"].items())
    if erasure["state"] != "done":
        return f"{erasure['id']}: under way ({erasure['stage']}), asked for by {erasure['by']}"
    file = "" if erasure["file"] == "rewritten" else "; the store's files are its operator's to write anew"
    return f"{erasure['id']}: done {erasure['done_at']}, proof {erasure['number']} ({counts}){file}"
