"""Leases on partitions: one owner per partition and role, proved by an epoch at every write."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import blake2b

from overture.model import Fenced, OvertureError
from overture.state import keys, scripts
from overture.state.wire import Arg, Wire

log = logging.getLogger("overture.lease")

Command = tuple[Arg, ...]
LONGEST = 300_000  # ms: no lease is longer; what is further ahead was written before the store's clock was put back


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to write for one partition. ``taken_over``: the previous owner vanished without giving it back."""

    partition: int
    epoch: int
    taken_over: bool = False


class Leases:
    """Holds the leases of one process for one role (``worker`` or ``delivery``).

    Partitions are shared among the live processes by rendezvous hashing over their heartbeats: each takes those for
    which it ranks first, gives back the others, and takes over what a vanished one held when its lease expires.
    """

    def __init__(
        self, wire: Wire, role: str, name: str, partitions: int, seconds: float, *, fenced: bool = True
    ) -> None:
        self.name = name
        self.role = role
        self.held: dict[int, Lease] = {}
        self.healthy = False  # whether the last refresh went well
        self._renewed = 0.0
        self._wire = wire
        self._partitions = partitions
        self._ttl = int(seconds * 1000)
        self._lease = wire.script(scripts.LEASE)
        self._release = wire.script(scripts.RELEASE)
        commit, hand = scripts.COMMIT, scripts.HAND
        self._commit = wire.script(commit if fenced else scripts.unfenced(commit))
        self._hand = wire.script(hand if fenced else scripts.unfenced(hand))

    async def keep(self, changed: Callable[[list[int]], Awaitable[None]] | None = None) -> None:
        """Hold leases for ever: `refresh` at a third of their life. ``changed`` is told each time what was lost."""
        while True:
            try:
                _, lost = await self.refresh()
                if changed is not None:
                    await changed(lost)
                self.healthy = True
            except OvertureError as error:
                self.healthy = False
                log.warning("Leases could not be renewed: %s", error)
            await asyncio.sleep(self._ttl / 3000)

    async def refresh(self) -> tuple[list[Lease], list[int]]:
        """Beat, renew, take and give back; call it at a third of the lease's life. Answers (newly held, lost)."""
        began = asyncio.get_running_loop().time()
        names = await self._beat()
        mine = {p for p in range(self._partitions) if max(names, key=lambda n: _rank(n, p)) == self.name}
        given = [p for p in self.held if p not in mine]
        await asyncio.gather(*(self._release.call([keys.owner(p, self.role)], [self.name]) for p in given))
        wanted = sorted(mine)
        replies = await asyncio.gather(
            *(self._lease.call([keys.owner(p, self.role)], [self.name, self._ttl, LONGEST]) for p in wanted)
        )
        new: list[Lease] = []
        lost = [p for p in given if self.held.pop(p, None)]
        for p, (epoch, vanished) in zip(wanted, replies, strict=True):
            held = self.held.get(p)
            if epoch == 0:
                if self.held.pop(p, None):
                    lost.append(p)
            elif held is None or held.epoch != epoch:
                self.held[p] = Lease(p, epoch, bool(vanished))
                new.append(self.held[p])
        self._renewed = began
        return new, lost

    def stands(self, lease: Lease) -> bool:
        """Whether the lease cannot have expired yet, by this process's own clock: for what no fence can stop."""
        fresh = asyncio.get_running_loop().time() - self._renewed < self._ttl / 1000
        return fresh and self.held.get(lease.partition) == lease

    async def _beat(self) -> list[str]:
        """Say that this process is alive; answer the names of all that are, by the store's clock."""
        key = keys.heartbeats(self.role)
        seconds, micros = await self._wire.call("TIME")
        now = int(seconds) * 1000 + int(micros) // 1000
        _, _, alive = await asyncio.gather(
            self._wire.call("ZADD", key, now, self.name),
            self._wire.call("ZREMRANGEBYSCORE", key, "-inf", now - 10 * self._ttl),
            self._wire.call("ZRANGEBYSCORE", key, now - self._ttl, now + LONGEST),
        )
        return sorted({name.decode() for name in alive} | {self.name})

    def send(self, lease: Lease, commands: list[Command], before: str = "", after: str = "") -> asyncio.Future[bytes]:
        """Ask the store to run the commands atomically, if the lease stands and the checkpoint is still ``before``.

        Hand the future's answer to `confirm`. It raises StoreUnavailable when the outcome is unknown.
        """
        args: list[Arg] = [lease.epoch, before, after]
        for command in commands:
            args += (len(command), *command)
        p = lease.partition
        return self._commit.call([keys.owner(p, self.role), keys.checkpoint(p)], args)

    def confirm(self, lease: Lease, answer: bytes) -> None:
        """Raises `Fenced` if nothing was written because another process owns the partition by now."""
        if answer != b"ok":
            self.held.pop(lease.partition, None)
            raise Fenced(f"Partition {lease.partition}: the {answer.decode()} is no longer this process's.")

    async def commit(self, lease: Lease, commands: list[Command], before: str = "", after: str = "") -> None:
        """`send` and `confirm`."""
        self.confirm(lease, await self.send(lease, commands, before, after))

    async def move(self, lease: Lease, message: str, contact: str, commands: list[Command]) -> bool:
        """Run the commands about a message, as `commit`; False, and nothing is written, where it was withdrawn, or its
        contact is about to be erased. ``contact`` is empty where its hand-off has just been made: that is told.
        """
        p = lease.partition
        args: list[Arg] = [lease.epoch, contact]
        for command in commands:
            args += (len(command), *command)
        where = [keys.owner(p, self.role), keys.message(p, message), keys.leaving(p)]
        answer = await self._hand.call(where, args)
        if answer == b"withdrawn":
            return False
        self.confirm(lease, answer)
        return True

    async def give_back(self) -> None:
        """Release all: another process can go on at once."""
        held, self.held = list(self.held), {}
        await self._wire.call("ZREM", keys.heartbeats(self.role), self.name)
        await asyncio.gather(*(self._release.call([keys.owner(p, self.role)], [self.name]) for p in held))


def _rank(name: str, p: int) -> bytes:
    return blake2b(f"{p}:{name}".encode(), digest_size=8).digest()
