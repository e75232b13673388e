"""Long lists, a page at a time: rankings, segment members, messages. Each is a zset per partition, read as one.

A cursor names the last item seen by its sort key and id, so a page never skips or repeats what stands still while other
things move.
"""

from __future__ import annotations

import asyncio
import base64
import heapq
from typing import Any

import msgspec

from overture.model import Refused
from overture.state import scripts
from overture.state.wire import Wire

START = (float("-inf"), "")


class Pages:
    """Reads zsets spread over the partitions in ascending order of (score, member)."""

    def __init__(self, wire: Wire, partitions: int) -> None:
        self.partitions = partitions
        self._seek = wire.script(scripts.SEEK)

    async def page(
        self, zsets: list[str], cursor: str | None, limit: int
    ) -> tuple[list[tuple[float, str]], str | None]:
        """(up to ``limit`` of (score, member), cursor of the next page or None)."""
        score, member = unpack_cursor(cursor) if cursor else START
        args = ["-inf" if score == float("-inf") else repr(score), member, limit + 1]
        replies: list[list[Any]] = await asyncio.gather(*(self._seek.call([key], args) for key in zsets))
        rows = [[(float(reply[i + 1]), reply[i].decode()) for i in range(0, len(reply), 2)] for reply in replies]
        merged = list(heapq.merge(*rows))[: limit + 1]
        more = len(merged) > limit
        items = merged[:limit]
        return items, pack_cursor(*items[-1]) if more else None


def pack_cursor(score: float, member: str) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode((score, member))).decode().rstrip("=")


def unpack_cursor(cursor: str) -> tuple[float, str]:
    """Raises Refused ``cursor.invalid`` for a text that is no cursor of ours."""
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        return msgspec.json.decode(raw, type=tuple[float, str])
    except (ValueError, msgspec.DecodeError) as error:
        raise Refused("cursor.invalid", "This cursor is none of ours.", "Pass `next` of the page before.") from error
