"""The decided facts of one partition, oldest first, from the archive and what the log still holds.

    recording = await Recording.open(wire, data_dir / "archive", partition)
    for r in recording.facts():                   # or .facts(contact) for one contact only
        contact = states.get(r.fact.contact) or Contact(r.fact.contact)
        states[r.fact.contact] = step(contact, r.fact, plan_of(r.version), r.fact.accepted_at).contact

That is all that a worker did: the states that come out are those in the store. ``open`` fixes the end: the partition's
checkpoint at that moment. A recording read twice gives the same facts, and so does one opened while nothing is decided.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import msgspec

from overture.model import Fact
from overture.state import archive, keys
from overture.state.archive import entry_order
from overture.state.checkpoint import Checkpoint
from overture.state.log import unpack
from overture.state.wire import ReplyError, Wire

PAGE = 256  # entries read from the log at once
_pack = msgspec.msgpack.Encoder().encode


class Recorded(NamedTuple):
    """One decided fact. ``entry`` and ``position`` (in that entry) are its place in the partition's log;
    ``version`` is the version of the active set that decided it, 0 for none yet."""

    entry: str
    position: int
    fact: Fact
    version: int


@dataclass(slots=True)
class Recording:
    """Everything decided in one partition up to a checkpoint.

    ``missing``, known once `facts` has been read to its end: log entries that neither the log nor this archive holds
    any more. Where it is not 0, replaying what is there does not lead to the states in the store.
    """

    directory: Path
    partition: int
    until: Checkpoint
    tail: list[tuple[str, bytes]]  # entries still in the log, up to the checkpoint
    trimmed: int  # entries that the log no longer held
    dead: frozenset[bytes]  # facts set aside, encoded: nothing was decided for them
    missing: int = 0

    @classmethod
    async def open(cls, wire: Wire, directory: Path, partition: int) -> Recording:
        """Fix the end of a recording. ``directory`` is the archive, as `overture.state.archive` writes it.

        Raises StoreUnavailable.
        """
        # The log before the archive: what is trimmed meanwhile is found in the archive, whose reading comes later.
        until = Checkpoint.parse((await wire.call("GET", keys.checkpoint(partition)) or b"").decode())
        log = keys.log(partition)
        trimmed = await _trimmed(wire, log)
        tail: list[tuple[str, bytes]] = []
        after, more = "-", True
        while more:
            page = await wire.call("XRANGE", log, after, "+", "COUNT", PAGE)
            tail += ((id.decode(), fields[1]) for id, fields in page)
            more = len(page) == PAGE and entry_order(tail[-1][0]) <= entry_order(until.entry)
            after = f"({tail[-1][0]}" if tail else after
        dead = frozenset(fields[1] for _, fields in await wire.call("XRANGE", keys.dead(partition), "-", "+"))
        return cls(directory, partition, until, tail, trimmed, dead)

    def facts(self, contact: str = "") -> Iterator[Recorded]:
        """Decided facts in order, Overture's own (``$erase``, ``$link``, ``$merge``, ``$program``, ``$tick``)
        among them, ``$activate`` not. Of contacts that were erased there is none up to then.

        ``contact``: only those that this contact's partition decided for it; entries without them are not unpacked.
        Blocking: reads files.
        """
        version = 0
        wanted = contact.encode()
        end = entry_order(self.until.entry)
        for id, blob in self._entries():
            if wanted and wanted not in blob and b"$activate" not in blob:
                continue
            facts = unpack([b"f", blob])
            if entry_order(id) > end:
                facts = facts[: self.until.facts]
            for position, fact in enumerate(facts):
                if fact.type == "$activate":
                    version = int(fact.properties["version"])
                elif fact.contact != (contact or fact.contact) or not fact.contact:  # another's; or of one erased
                    continue
                elif not (self.dead and _pack(fact) in self.dead):
                    yield Recorded(id, position, fact, version)

    def _entries(self) -> Iterator[tuple[str, bytes]]:
        """The entries up to the checkpoint, and the one after it, which may be decided in part."""
        end, passed, archived = entry_order(self.until.entry), False, 0
        first = entry_order(self.tail[0][0]) if self.tail else None
        for id, blob in archive.entries(self.directory, self.partition):
            place = entry_order(id)
            if first is not None and place >= first:
                break
            archived += 1
            if not passed:
                yield id, blob
                passed = place > end
        self.missing = max(0, self.trimmed - archived)
        for id, blob in self.tail:
            if passed:
                break
            yield id, blob
            passed = entry_order(id) > end


async def _trimmed(wire: Wire, log: str) -> int:
    try:
        flat = await wire.call("XINFO", "STREAM", log)
    except ReplyError:  # there is no log yet
        return 0
    told = dict(zip(flat[::2], flat[1::2], strict=True))
    return int(told[b"entries-added"]) - int(told[b"length"])
