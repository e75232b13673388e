"""`WebhookReceiver`: a real HTTP server that records what is posted to it and answers as told."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from aiohttp import web


@dataclass(frozen=True, slots=True)
class Answer:
    """One scripted answer; ``then`` is what the receiver does after taking the request.

    ``answer``; ``drop``: break the connection off; ``stall``: never answer.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes = b"ok"
    then: str = "answer"


NAMED = {
    "accept": Answer(),
    "refuse": Answer(410),
    "defer": Answer(503, {"Retry-After": "7"}),
    "drop": Answer(then="drop"),
    "stall": Answer(then="stall"),
}


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """``headers`` has the names in lower case."""

    path: str
    headers: Mapping[str, str]
    body: bytes


class WebhookReceiver:
    """Listens on a free port of 127.0.0.1, so the sender needs ``egress_allow=("127.0.0.0/8",)``.

    ::

        async with WebhookReceiver() as receiver:
            ...  # post to receiver.to
            assert receiver.requests[0].headers["webhook-id"] == "…"
    """

    def __init__(self) -> None:
        self.requests: list[ReceivedRequest] = []
        self.port = 0
        self._answers: deque[Answer] = deque()
        self._closing = asyncio.Event()
        self._runner: web.AppRunner | None = None

    @property
    def to(self) -> str:
        """The address to post to."""
        return f"http://127.0.0.1:{self.port}/hook"

    async def __aenter__(self) -> WebhookReceiver:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._take)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = int(self._runner.addresses[0][1])
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._closing.set()
        if self._runner is not None:
            await self._runner.cleanup()

    async def script(self, *answers: str | int | Answer) -> None:
        """How the next requests are answered, one each; afterwards all with 200.

        ``accept``, ``refuse`` (410), ``defer`` (503, Retry-After: 7), ``drop``, ``stall``, a status, or an `Answer`.
        """
        for each in answers:
            self._answers.append(
                NAMED[each] if isinstance(each, str) else Answer(each) if isinstance(each, int) else each
            )

    def keys(self) -> list[str]:
        """The ``webhook-id`` of each request so far."""
        return [request.headers.get("webhook-id", "") for request in self.requests]

    async def _take(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.requests.append(ReceivedRequest(request.path_qs, headers, body))
        answer = self._answers.popleft() if self._answers else Answer()
        if answer.then == "stall":
            await self._closing.wait()
        if answer.then == "drop" and request.transport is not None:
            request.transport.abort()
        return web.Response(status=answer.status, headers=answer.headers, body=answer.body)
