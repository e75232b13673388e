"""How far each partition's contacts have been brought up to date after an activation."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass

from overture.state import keys
from overture.state.lease import Command
from overture.state.wire import Wire

_LOOKED_AT = 1_000  # keys of the store at once
_CONTACT = re.compile(r"ov:\{(\d+)\}:c:(.*)")


@dataclass(frozen=True, slots=True)
class Sweep:
    """One partition: its contacts in the order of their ids are done up to ``after``, ``done`` of them.

    ``version``: of the active set that they are brought up to; ``swept``: the last one that all of them were brought up
    to. Both are the same where nothing is left to do.
    """

    version: int = 0
    swept: int = 0
    done: int = 0
    after: str = ""

    @classmethod
    def parse(cls, text: str) -> Sweep:
        if not text:
            return cls()
        version, swept, done, after = text.split("/", 3)
        return cls(int(version), int(swept), int(done), after)

    def __str__(self) -> str:
        return f"{self.version}/{self.swept}/{self.done}/{self.after}"

    @property
    def over(self) -> bool:
        return self.swept == self.version


async def load(wire: Wire, p: int) -> Sweep:
    """Raises StoreUnavailable."""
    return Sweep.parse((await wire.call("GET", keys.sweep(p)) or b"").decode())


def save(p: int, sweep: Sweep) -> Command:
    return ("SET", keys.sweep(p), str(sweep))


async def page(wire: Wire, p: int, after: str, limit: int) -> list[str]:
    """The next contacts of a partition by id, from just after one; empty text: from the first."""
    low = f"({after}" if after else "-"
    found = await wire.call("ZRANGE", keys.known(p), low, "+", "BYLEX", "LIMIT", 0, limit)
    return [id.decode() for id in found]


async def list_known(wire: Wire, partitions: int) -> None:
    """Once for a store: see that each contact is in the list of its partition, which earlier versions did not keep.

    All sweeps begin anew with that, as they missed those contacts. Call it before a worker runs. Raises
    StoreUnavailable.
    """
    if await wire.call("HEXISTS", keys.META, "listed"):
        return
    await wire.call("DEL", *(keys.sweep(p) for p in range(partitions)))
    cursor = b"0"
    while True:
        cursor, found = await wire.call("SCAN", cursor, "MATCH", "ov:{*}:c:*", "COUNT", _LOOKED_AT)
        ids: dict[int, list[str]] = {}
        for key in found:
            if match := _CONTACT.fullmatch(key.decode()):
                ids.setdefault(int(match[1]), []).append(match[2])
        adding = (("ZADD", keys.known(p), *(w for id in some for w in (0, id))) for p, some in ids.items())
        await asyncio.gather(*(wire.call(*command) for command in adding))
        if cursor == b"0":
            break
    await wire.call("HSET", keys.META, "listed", 1)


async def progress(wire: Wire, partitions: int, version: int) -> tuple[int, int, bool]:
    """Contacts brought up to a version of the active set, of how many, and whether that is all.

    Raises StoreUnavailable.
    """
    sweeps = await asyncio.gather(*(load(wire, p) for p in range(partitions)))
    known = await asyncio.gather(*(wire.call("ZCARD", keys.known(p)) for p in range(partitions)))
    done, over = 0, True
    for sweep, contacts in zip(sweeps, known, strict=True):
        reached = sweep.version >= version
        over = over and (not version or (reached and sweep.over))
        done += (contacts if sweep.over else min(sweep.done, contacts)) if reached else 0
    return done, sum(known), over
