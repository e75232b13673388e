"""Everything that leads to one contact: all that became part of it, which have facts and keys of their own."""

from __future__ import annotations

from overture.state.wire import Wire

_LOOKED_AT = 1_000  # keys of the store at once


async def linked(wire: Wire, contact: str) -> list[str]:
    """The contact and those that lead to it, each before the one that it leads to. Looks at every key of the store,
    once for each step on the way: links stand where they lead from. Raises StoreUnavailable.
    """
    found, known = [contact], 0
    while known < len(found):
        known = len(found)
        cursor = b"0"
        while True:
            cursor, pointers = await wire.call("SCAN", cursor, "MATCH", "ov:{*}:id:*", "COUNT", _LOOKED_AT)
            targets: list[bytes | None] = await wire.call("MGET", *pointers) if pointers else []
            for pointer, target in zip(pointers, targets, strict=True):
                name = pointer.decode().partition("}:id:")[2]
                if target is not None and target.decode() in found and name not in found:
                    found.append(name)
            if cursor == b"0":
                break
    return found[::-1]
