"""Revisions of rulesets and the active set: immutable texts, and one version number that moves.

The active set is versioned. Activation puts ``$activate`` into every partition's log in the same script that moves the
version, so each fact is decided by the set that was current at its place in the log, now and in any replay.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping
from types import MappingProxyType

import msgspec

from overture.model import Fact, Refused
from overture.model.artefact import Artefact, digest_of, pack, unpack
from overture.state import keys, scripts
from overture.state.checkpoint import Checkpoint
from overture.state.log import pack_entry
from overture.state.positions import Stand, standing
from overture.state.wire import Wire

ActiveSet = dict[str, str]
"""{name: revision} of rulesets."""
SeriesRows = Mapping[str, tuple[int, int, int]]
"""`overture.rules.series.Since` of each series, by id."""
NamedRevision = tuple[str, str]
"""Name and revision of a ruleset."""
Winners = dict[str, tuple[str, str]]
"""Edition and way by split, as `overture.rules.program.Winners`."""
Learned = dict[str, str]
"""Digest of an artefact by the name of what it was learned for: see `overture.rules.program.Program.learned`."""


class Activation(msgspec.Struct, frozen=True, array_like=True):
    """All that facts are decided by from one version of the active set on.

    ``series``: since when contacts keep what is counted. ``older``: revisions that decide beside the active ones, for
    contacts that are to finish their journeys on them, oldest first. ``winners``: of splits that look for one.
    ``learned``: what was learned from outcomes, and decides. ``base``: the version from which this one differs in that
    alone, so that contacts need not be brought up to date again; 0: none. ``pinned``: names for which ``learned`` stays
    as it is, whatever is learned.
    """

    rulesets: ActiveSet = {}
    series: SeriesRows = {}
    older: list[NamedRevision] = []
    winners: Winners = {}
    learned: Learned = {}
    base: int = 0
    pinned: list[str] = []


_activation = msgspec.msgpack.Decoder(Activation)


class Registry:
    """Reads and writes revisions and active sets."""

    def __init__(self, wire: Wire, partitions: int) -> None:
        self._wire = wire
        self._partitions = partitions
        self._activate = wire.script(scripts.ACTIVATE)

    async def put(self, name: str, revision: str, text: str, now: int) -> bool:
        """Keep a revision; False if it was there already."""
        new, _, _ = await asyncio.gather(
            self._wire.call("SET", keys.revision(name, revision), text, "NX"),
            self._wire.call("ZADD", keys.revisions(name), "NX", now, revision),
            self._wire.call("SADD", keys.RULESETS, name),
        )
        return new is not None

    async def text(self, name: str, revision: str) -> str | None:
        blob = await self._wire.call("GET", keys.revision(name, revision))
        return blob.decode() if blob else None

    async def activated(self, name: str, revision: str) -> str:
        """The text of a revision that is or was active. Raises Refused ``ruleset.lost`` (409) where it is gone all the
        same.
        """
        text = await self.text(name, revision)
        if text is None:
            message = f"The store has no text of {name} revision {revision}, though it was active."
            raise Refused("ruleset.lost", message, "Put back a backup of the store.", status=409)
        return text

    async def revisions(self, name: str) -> list[tuple[str, int]]:
        """(revision, when put), oldest first."""
        flat = await self._wire.call("ZRANGE", keys.revisions(name), 0, -1, "WITHSCORES")
        return [(flat[i].decode(), int(float(flat[i + 1]))) for i in range(0, len(flat), 2)]

    async def names(self) -> list[str]:
        return sorted(name.decode() for name in await self._wire.call("SMEMBERS", keys.RULESETS))

    async def version(self) -> int:
        """The version of the active set; 0 before the first activation."""
        return int(await self._wire.call("GET", keys.ACTIVE) or 0)

    async def activation(self, version: int) -> Activation:
        """What one version decides by; version 0 by nothing."""
        blob = await self._wire.call("GET", keys.active_set(version)) if version else None
        return _activation.decode(blob) if blob else Activation()

    async def active(self, version: int) -> ActiveSet:
        """The rulesets of one version."""
        return (await self.activation(version)).rulesets

    async def positions(self) -> Counter[Stand]:
        """How many positions in journeys stand at which step."""
        return await standing(self._wire, self._partitions)

    async def decided_by(self) -> int:
        """The version of the active set that every partition has come to at least."""
        places = (self._wire.call("GET", keys.checkpoint(p)) for p in range(self._partitions))
        return min(Checkpoint.parse((blob or b"").decode()).version for blob in await asyncio.gather(*places))

    async def artefacts(self, digests: Iterable[str]) -> dict[str, Artefact]:
        """What was learned, by digest. Raises Refused ``artefact.lost`` (409) where it is gone."""
        wanted = sorted(set(digests))
        blobs: list[bytes | None] = await self._wire.call("HMGET", keys.ARTEFACTS, *wanted) if wanted else []
        if None in blobs:
            message = f"The store has no artefact {wanted[blobs.index(None)]}, though it was active."
            raise Refused("artefact.lost", message, "Put back a backup of the store.", status=409)
        return {digest: unpack(blob) for digest, blob in zip(wanted, blobs, strict=True) if blob}

    async def artefact(self, digest: str) -> Artefact | None:
        """One of those that decide or decided; None where there is none of that version."""
        blob: bytes | None = await self._wire.call("HGET", keys.ARTEFACTS, digest)
        return None if blob is None else unpack(blob)

    async def base(self, version: int) -> int:
        """The version from which this one differs in what was learned alone, or this one."""
        return (await self.activation(version)).base or version

    async def learn(
        self,
        found: Mapping[str, Artefact | None],
        now: int,
        pins: Mapping[str, bool] = MappingProxyType({}),
        expected: int | None = None,
    ) -> int:
        """Decide by these from now on, by name, and by all else as before: one atomic move. None: as if nothing had
        been learned for it. ``pins``: which of them stay as they are from now on, and which do no longer. Answers the
        new version, or the present one where all that is so already.

        Raises Refused ``ruleset.changed`` (409) where something else became active meanwhile, or since ``expected``;
        ``artefact.wrong`` where one of them could not be read again.
        """
        version = await self.version() if expected is None else expected
        by = await self.activation(version)
        packed = {name: pack(artefact) for name, artefact in found.items() if artefact is not None}
        for blob in packed.values():
            unpack(blob)  # what nobody could read would keep every process from deciding by this version
        learned = {name: digest for name, digest in by.learned.items() if name not in found}
        learned |= {name: digest_of(blob) for name, blob in packed.items()}
        pinned = sorted(
            {*by.pinned, *(name for name, on in pins.items() if on)} - {n for n, on in pins.items() if not on}
        )
        if (learned, pinned) == (by.learned, by.pinned):
            return version
        new = msgspec.structs.replace(by, learned=learned, base=by.base or version, pinned=pinned)
        return await self.activate(version, new, now, packed.values())

    async def activate(self, expected: int, new: Activation, now: int, artefacts: Iterable[bytes] = ()) -> int:
        """Decide by ``new`` if the version is still ``expected``; answers the new version. ``artefacts``: those of
        ``new.learned`` that may not be kept yet, packed.

        Raises Refused ``ruleset.changed`` (409) if someone else was faster.
        """
        version = expected + 1
        order = Fact(f"$activate:{version}", "$activate", "", now, now, {"version": version})
        logs = [keys.log(p) for p in range(self._partitions)]
        pairs = [word for blob in artefacts for word in (digest_of(blob), blob)]
        done = await self._activate.call(
            [keys.ACTIVE, keys.active_set(version), keys.ARTEFACTS, *logs],
            [expected, version, msgspec.msgpack.encode(new), pack_entry([order]), *pairs],
        )
        if not done:
            raise Refused(
                "ruleset.changed",
                "Another activation came first.",
                "Look at the active revisions and try again.",
                status=409,
            )
        return version
