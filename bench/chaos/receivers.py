"""Where the messages arrive: an SMTP server and a webhook endpoint that note every hand-off before they confirm it."""

from __future__ import annotations

import asyncio
import json
import random
import re
import time
from collections import defaultdict
from email import message_from_bytes
from pathlib import Path
from typing import Any

from aiohttp import web
from aiosmtpd.smtp import SMTP, Envelope, Session

_FACT = re.compile(rb"fact=([^;]+);")
SLOW = 0.2  # share of hand-offs that are answered late, so that kills meet hand-offs under way


class Receivers:
    """``arrivals``: idempotency key (``webhook-id``, ``Message-ID``) -> (fact id, arrival in ms UTC) each.

    ``refused``: ids of the facts whose messages are never taken; here none.
    """

    def __init__(self, folder: Path) -> None:
        self.arrivals: defaultdict[str, list[tuple[str, float]]] = defaultdict(list)
        self.refused: set[str] = set()
        self.smtp_port = 0
        self.hook_port = 0
        self._log = (folder / "arrivals.ndjson").open("a")
        self._dice = random.Random(0)
        self._servers: list[asyncio.Server] = []
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        smtp = await loop.create_server(lambda: SMTP(self, hostname="chaos.test", loop=loop), "127.0.0.1", 0)
        self._servers.append(smtp)
        self.smtp_port = smtp.sockets[0].getsockname()[1]
        app = web.Application()
        app.router.add_post("/hook", self._hook)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.hook_port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        for server in self._servers:
            server.close()
        if self._runner:
            await self._runner.cleanup()
        self._log.close()

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        await self._arrived(*opened(envelope))
        return "250 OK"

    async def _hook(self, request: web.Request) -> web.Response:
        await self._arrived(request.headers["webhook-id"], await request.read())
        return web.Response()

    async def _arrived(self, key: str, body: bytes) -> None:
        self.take(key, body)
        if self._dice.random() < SLOW:
            await asyncio.sleep(self._dice.uniform(0.02, 0.3))

    def take(self, key: str, body: bytes) -> None:
        """Note a hand-off; not confirmed yet."""
        at, fact = time.time() * 1000, fact_of(body)
        self.arrivals[key].append((fact, at))
        self._log.write(json.dumps([key, fact, at]) + "\n")
        self._log.flush()


def fact_of(body: bytes) -> str:
    """The id of the fact that a message is about."""
    found = _FACT.search(body)
    return found[1].decode() if found else f"no fact in {body[:200]!r}"


def opened(envelope: Envelope) -> tuple[str, bytes]:
    """A mail's id and its text."""
    message = message_from_bytes(envelope.content if isinstance(envelope.content, bytes) else b"")
    text: Any = message.get_payload(decode=True)
    for part in message.walk():
        if part.get_content_type() == "text/plain":
            text = part.get_payload(decode=True)
    return message["Message-ID"], text or b""
