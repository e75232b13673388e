"""`overture clock`: what time it is on a server for trying things out, and later."""

from __future__ import annotations

import json
import time
from typing import Annotated, Any

from cyclopts import Parameter

from overture.cli.terminal import Json, Url, connect, console
from overture.model import Refused
from overture.rules.durations import UNITS

PAUSE = 0.5  # seconds between two looks


def show(*, url: Url = None, as_json: Json = False) -> None:
    """What time it is on the server, and how far that is ahead of its machine."""
    with connect(url) as client:
        _tell(client.clock(), as_json=as_json)


def advance(
    by: str,
    *,
    jump: Annotated[bool, Parameter(negative="")] = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Put the clock of a server ahead: what would have happened until then happens now, each thing at its own time.

    Parameters
    ----------
    by
        How far: 90s, 15m, 12h, 3d, 1w.
    jump
        At once, as if nobody had worked meanwhile: what became due is late.
    """
    with connect(url) as client:
        told = client.advance_clock(by, jump=jump)
        while to := told["to"]:
            if console.is_terminal and not as_json:
                console.print(f"{told['now']}, on the way to {to}", markup=False)
            time.sleep(PAUSE)
            told = client.clock()
            if told["to"] is None and told["now"] < to:
                stopped = f"The clock stopped at {told['now']}, on the way to {to}."
                raise Refused("clock.stopped", stopped, "The server's log says why.")
    _tell(told, as_json=as_json)


def _tell(told: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(told))
    else:
        console.print(f"{told['now']}, {told['ahead_ms'] / UNITS['d']:.3g} days ahead", markup=False)
