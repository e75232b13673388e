"""Reading bodies: capped in bytes, in time, and all together."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager

from aiohttp import web

from overture.intake import refused
from overture.model import Overloaded, Refused

MADE = 8  # bytes that objects of JSON take for each byte of it, by experience
SMALL = 64 * 1024  # bytes of a body of which it is not counted what is made of it


class Bodies:
    """Counts the bytes of all bodies being read or handled, and apart from them those of what sources make of large
    ones, so that many clients at once cannot fill the memory.
    """

    def __init__(self, budget: int = 256 * 1024 * 1024, seconds: float = 30.0) -> None:
        self.held = self.made = 0
        self._budget = budget
        self._seconds = seconds

    async def read(self, request: web.Request, cap: int) -> bytes:
        """The whole body; `release` it when done. Raises Refused 413, 408 and Overloaded 503."""
        if request.content.is_eof():  # it came in one piece with the head, as most facts do
            body = request.content.read_nowait()
            if len(body) > cap:
                raise _too_large(cap)
            self._hold(len(body))
            return body
        if (request.content_length or 0) > cap:
            raise _too_large(cap)
        try:
            async with asyncio.timeout(self._seconds):
                return await self._stream(request, cap)
        except TimeoutError:
            raise Refused(
                "body.timeout", f"The body took longer than {self._seconds:g} s.", "Send smaller batches.", status=408
            ) from None

    def release(self, body: bytes) -> None:
        self.held -= len(body)

    @contextmanager
    def weighed(self, plain: bytes) -> Generator[None]:
        """Count what is made of a large body, which a small one may be when it is inflated. Raises Overloaded 503: then
        there is room for others, and for small ones.
        """
        size = min(MADE * len(plain), self._budget // 2) if len(plain) > SMALL else 0
        if self.made + size > self._budget:
            raise _busy()
        self.made += size
        try:
            yield
        finally:
            self.made -= size

    async def _stream(self, request: web.Request, cap: int) -> bytes:
        chunks: list[bytes] = []
        size = 0
        try:
            while chunk := await request.content.readany():
                self._hold(len(chunk))
                size += len(chunk)
                if size > cap:
                    raise _too_large(cap)
                chunks.append(chunk)
        except BaseException:
            self.held -= size
            raise
        return b"".join(chunks)

    def _hold(self, size: int) -> None:
        if self.held + size > self._budget:
            raise _busy()
        self.held += size


def _busy() -> Overloaded:
    return Overloaded("server.busy", "Too many large bodies are being read.", status=503)


def _too_large(cap: int) -> Refused:
    return refused("body.too_large", f"The body is larger than {cap} bytes.")
