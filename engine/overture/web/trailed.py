"""What the routes need to know of who opens messages and follows their links."""

from __future__ import annotations

from typing import Protocol


class Trails(Protocol):
    def opened(self, token: str, user_agent: str) -> bool:
        """Take note; False for a token that is none of ours. Returns at once."""
        ...

    async def clicked(self, token: str, user_agent: str) -> str:
        """Take note, and answer where the link leads. Returns when that is on disk, or after a moment all the same.

        Raises Refused 404 ``link.invalid``.
        """
        ...

    def target(self, token: str) -> str:
        """Where the link leads. Raises as `clicked`."""
        ...

    async def close(self) -> None: ...
