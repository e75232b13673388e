"""Takes the facts of erased contacts out of the record of a partition: what is left in the log is archived first, then
the files that have any are written anew.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from overture.state import archive, keys
from overture.state.archive import entry_order
from overture.state.lease import Command, Lease, Leases
from overture.state.scrubbing import Scrub, Scrubbing
from overture.state.wire import Wire

_scrub = msgspec.msgpack.Decoder(Scrub).decode
_PAGE = 500


async def ordered(wire: Wire, p: int) -> dict[str, Scrub]:
    """By contact: what is to be taken out of a partition's record, and has not been."""
    flat = await wire.call("HGETALL", keys.scrubs(p))
    orders = {flat[i].decode(): _scrub(flat[i + 1]) for i in range(0, len(flat), 2)}
    return {name: order for name, order in orders.items() if not order.done}


def decided(orders: dict[str, Scrub], entry: str) -> bool:
    """Whether all that is to go has been decided, ``entry`` being the last one that was."""
    return all(entry_order(order.until) <= entry_order(entry) for order in orders.values())


def look(directory: Path, p: int, orders: dict[str, Scrub]) -> Scrubbing:
    """Find the facts of these contacts. Blocking; raises OSError."""
    scrubbing = Scrubbing(orders)
    scrubbing.look(archive.entries(directory, p))
    return scrubbing


async def begin(
    wire: Wire, leases: Leases, lease: Lease, orders: dict[str, Scrub], scrubbing: Scrubbing
) -> dict[str, Scrub]:
    """Before the files, which tell them: facts of these contacts that were set aside go. Answers the orders, with how
    many facts there are: a second try, where some files have been written anew, finds fewer.
    """
    p = lease.partition
    gone = set[bytes]().union(*scrubbing.gone.values())
    commands: list[Command] = []
    after, more = "-", True
    while more:
        page = await wire.call("XRANGE", keys.dead(p), after, "+", "COUNT", _PAGE)
        commands += (("XDEL", keys.dead(p), id) for id, fields in page if fields[1] in gone)
        more = len(page) == _PAGE
        after = f"({page[-1][0].decode()}" if page else after
    counted = {
        name: msgspec.structs.replace(order, facts=max(order.facts, scrubbing.facts[name]))
        for name, order in orders.items()
    }
    await leases.commit(lease, [*commands, *_kept(p, counted)])
    return counted


async def done(leases: Leases, lease: Lease, orders: dict[str, Scrub]) -> None:
    """After the files: the orders are carried out."""
    told = {name: msgspec.structs.replace(order, done=True) for name, order in orders.items()}
    await leases.commit(lease, _kept(lease.partition, told))


def _kept(p: int, orders: dict[str, Scrub]) -> list[Command]:
    return [("HSET", keys.scrubs(p), name, msgspec.msgpack.encode(order)) for name, order in orders.items()]
