"""The store's own file written anew: it holds every write, so what was erased as well, until then."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from pathlib import Path
from typing import Literal

from overture.state.wire import ReplyError, Wire

PAUSE = 0.05  # seconds between looks whether it has been written
PATIENCE = 600.0  # seconds
_LEFT = re.compile(r"temp-rewriteaof-(?:bg-)?(\d+)\.aof")


async def write_anew(wire: Wire, files: Path) -> Literal["rewritten", "operator", ""]:
    """Have the append-only file hold what is in the store now, and nothing else. ``files``: where one of an
    embedded store is; what a rewriting that was killed left there goes too.

    ``operator``: the store keeps none, or does not let us. Empty: it did not come about, try again. Raises
    StoreUnavailable.
    """
    if (await _persistence(wire)).get("aof_enabled") != "1":
        return "operator"
    async with asyncio.timeout(PATIENCE):
        await _idle(wire)
        try:
            await wire.call("BGREWRITEAOF")
        except ReplyError as error:
            return "" if "progress" in error.message else "operator"
        with contextlib.suppress(ReplyError):  # it may be its operator's alone, and is in no file
            await wire.call("SLOWLOG", "RESET")  # has words of commands
        last = await _idle(wire)
    if last.get("aof_last_bgrewrite_status") != "ok":
        return ""
    await asyncio.to_thread(_clear, files)
    return "rewritten"


def _clear(files: Path) -> None:
    for left in files.glob("temp-rewriteaof-*.aof"):
        if (named := _LEFT.fullmatch(left.name)) and not _lives(int(named[1])):
            left.unlink(missing_ok=True)


async def _idle(wire: Wire) -> dict[str, str]:
    while True:
        told = await _persistence(wire)
        if told.get("aof_rewrite_in_progress") == "0" and told.get("aof_rewrite_scheduled") == "0":
            return told
        await asyncio.sleep(PAUSE)


async def _persistence(wire: Wire) -> dict[str, str]:
    text = (await wire.call("INFO", "persistence")).decode()
    return dict(line.split(":", 1) for line in text.split("\r\n") if ":" in line)


def _lives(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False
