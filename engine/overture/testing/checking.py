"""What all contract checks do: hold calls to a time, and look for a secret in whatever can be seen of a plugin."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from typing import Any, Self

from overture.plugin.cutoff import Blocked
from overture.plugin.steps import watched

PATIENCE = 10.0  # seconds after which something that ought to end counts as hung
CANCELLED = 5.0  # seconds that it may take after a cancellation


async def within(call: Awaitable[Any], what: str) -> Any:
    """What an awaitable of the plugin answers or raises; AssertionError where it hangs, or blocks the process."""

    async def awaited() -> Any:
        return await call

    patience = asyncio.timeout(PATIENCE)
    try:
        async with patience:
            return await watched(awaited)
    except Blocked as error:
        raise AssertionError(f"{what} must not block: {error.message} Use await, or a thread.") from None
    except TimeoutError:
        if not patience.expired():
            raise
        raise AssertionError(f"{what} did not end within {PATIENCE:g} s") from None


class Seen(logging.Handler):
    """All that can be seen of a plugin while it is open: what it answers and raises (`add`), and what is logged."""

    def __init__(self, *things: object) -> None:
        super().__init__(logging.DEBUG)
        self._things: list[object] = list(things)
        self._lines: list[str] = []
        self._level = logging.NOTSET

    def add(self, thing: object) -> None:
        self._things.append(thing)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._lines.append(self.format(record))
        except Exception:  # a line that cannot be formatted is the plugin's to mend, not to fail by
            self.handleError(record)

    def __enter__(self) -> Self:
        root = logging.getLogger()
        self._level = root.level
        root.addHandler(self)
        root.setLevel(logging.DEBUG)
        return self

    def __exit__(self, *_: object) -> None:
        root = logging.getLogger()
        root.removeHandler(self)
        root.setLevel(self._level)

    def must_not_show(self, secret: str) -> None:
        """AssertionError where the secret is in a repr, a text or a line of the log. An empty one is none."""
        if not secret:
            return
        for thing in self._things:
            cause, context = getattr(thing, "__cause__", ""), getattr(thing, "__context__", "")
            assert secret not in f"{thing!r} {thing} {cause!r} {context!r}", (
                f"the secret shows in {type(thing).__name__}"
            )
        assert not any(secret in line for line in self._lines), "the secret shows in the log"
