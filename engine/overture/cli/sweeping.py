"""`overture deploy --wait`: until the contacts who were there before have been brought up to date."""

from __future__ import annotations

import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from overture.cli.client import Client

PAUSE = 0.25  # seconds between two looks


def until_swept(client: Client, version: int, console: Console) -> None:
    """Wait until no contact is behind a version of the active set. Raises Refused where the server is not ready."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("contacts", total=None)
        while (sweep := client.ready()["sweep"])["version"] < version or not sweep["over"]:
            bar.update(task, total=sweep["of"] or None, completed=sweep["done"])
            time.sleep(PAUSE)
    console.print(f"{sweep['of']:,} contacts are up to date")
