"""Everything that leads to one contact: all that became part of it, which have facts and keys of their own."""

from __future__ import annotations

import re

from overture.state.wire import Wire

_LOOKED_AT = 1_000  # keys of the store at once
_POINTER = re.compile(r"ov:\{\d+\}:id:(.*)", re.DOTALL)  # a contact's id may hold what the store's pattern looks for


async def linked(wire: Wire, contact: str) -> list[str]:
    """The contact and those that lead to it, each before the one that it leads to. Looks at every key of the store,
    once for each step on the way: links stand where they lead from. Raises StoreUnavailable.
    """
    found, known = [contact], 0
    while known < len(found):
        known = len(found)
        cursor = b"0"
        while True:
            cursor, keys = await wire.call("SCAN", cursor, "MATCH", "ov:{*}:id:*", "COUNT", _LOOKED_AT)
            pointers = {key: match[1] for key in keys if (match := _POINTER.fullmatch(key.decode()))}
            targets: list[bytes | None] = await wire.call("MGET", *pointers) if pointers else []
            for name, target in zip(pointers.values(), targets, strict=True):
                if target is not None and target.decode() in found and name not in found:
                    found.append(name)
            if cursor == b"0":
                break
    return found[::-1]
