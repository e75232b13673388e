"""The load: a raw HTTP/1.1 keep-alive client in a process of its own, the same and equally cheap for every row.

`python -m bench.throughput.client '<Load as JSON>'` prints ``done`` at the last answer and then a `Result` as JSON.
Requests are ready bytes of which only the numbers change: the client takes little of the processors that it shares.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from typing import cast

import msgspec
import uvloop

CONTACTS = 1000


class Load(msgspec.Struct, kw_only=True):
    """``batch`` > 1: NDJSON bodies of so many facts. ``rate`` > 0: requests/s on a fixed schedule, else as answered.

    ``first``: the number of the first fact, so that no two loads on one server share ids.
    """

    port: int
    seconds: float
    key: str
    first: int
    path: str = "/v1/facts"
    connections: int = 64
    batch: int = 1
    rate: float = 0.0


class Result(msgspec.Struct, kw_only=True):
    """Latencies in ms; with a schedule they count from when the request was due: lateness cannot hide."""

    requests: int
    facts: int
    began: float  # time.monotonic(), which all processes of a machine share
    seconds: float
    p50: float
    p99: float
    slowest: float
    failures: list[str]


def fact_line(n: int) -> bytes:
    """Fact number ``n``: always the same length; 1,000 contacts take turns."""
    return (
        b'{"id":"bench-%016x","type":"page_viewed","contact":{"user_id":"bench-%04d"},'
        b'"occurred_at":"2026-03-27T10:00:00Z","properties":{"path":"/pricing","referrer":"https://example.test/"}}'
        % (n, n % CONTACTS)
    )


class _Connection(asyncio.Protocol):
    """One request at a time; the next goes out when the answer is complete (and, in open loop, due)."""

    def __init__(
        self, next_request: Callable[[], bytes], due: Callable[[], float], until: float, failures: list[str]
    ) -> None:
        self.latencies: list[float] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._loop = asyncio.get_running_loop()
        self._next_request = next_request
        self._due = due
        self._until = until
        self._failures = failures
        self._answer = b""
        self._began = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._schedule()

    def _schedule(self) -> None:
        now = time.monotonic()
        due = self._due()
        if max(due, now) >= self._until:
            self._transport.close()
        elif due > now:
            self._loop.call_later(due - now, self._send, due)
        else:
            self._send(due or now)

    def _send(self, due: float) -> None:
        self._began = due
        self._transport.write(self._next_request())

    def data_received(self, data: bytes) -> None:
        answer = self._answer + data if self._answer else data
        head = answer.find(b"\r\n\r\n")
        if head < 0 or len(answer) < head + 4 + _content_length(answer, head):
            self._answer = answer
            return
        self._answer = b""
        self.latencies.append(time.monotonic() - self._began)
        if not answer.startswith(b"HTTP/1.1 200"):
            self._failures.append(answer[:300].decode(errors="replace"))
            self._transport.close()
            return
        self._schedule()

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None:
            self._failures.append(f"connection lost: {exc}")
        if not self.done.done():
            self.done.set_result(None)


def _content_length(answer: bytes, head: int) -> int:
    at = answer.lower().find(b"content-length:", 0, head)
    return int(answer[at + 15 : answer.find(b"\r", at)]) if at >= 0 else 0


def _requests(load: Load) -> Callable[[], bytes]:
    number = load.first - load.batch
    size = len(fact_line(0)) * load.batch + load.batch - 1
    kind = "application/json" if load.batch == 1 else "application/x-ndjson"
    head = (
        f"POST {load.path} HTTP/1.1\r\nHost: 127.0.0.1:{load.port}\r\nAuthorization: Bearer {load.key}\r\n"
        f"Content-Type: {kind}\r\nContent-Length: {size}\r\n\r\n"
    ).encode()

    def one() -> bytes:
        nonlocal number
        number += 1
        return head + fact_line(number)

    def many() -> bytes:
        nonlocal number
        number += load.batch
        return head + b"\n".join(map(fact_line, range(number, number + load.batch)))

    return one if load.batch == 1 else many


async def run(load: Load) -> Result:
    """Put the load on and answer what it met."""
    loop = asyncio.get_running_loop()
    began = time.monotonic()
    slot = 0

    def due() -> float:
        nonlocal slot
        if not load.rate:
            return 0.0
        slot += 1
        return began + slot / load.rate

    request = _requests(load)
    failures: list[str] = []
    connections = [
        (
            await loop.create_connection(
                lambda: _Connection(request, due, began + load.seconds, failures), "127.0.0.1", load.port
            )
        )[1]
        for _ in range(load.connections)
    ]
    await asyncio.gather(*(connection.done for connection in connections))
    seconds = time.monotonic() - began
    print("done", flush=True)
    latencies = sorted(1000 * one for connection in connections for one in connection.latencies)
    n = len(latencies)
    return Result(
        requests=n,
        facts=n * load.batch,
        began=began,
        seconds=seconds,
        p50=latencies[n // 2] if n else 0.0,
        p99=latencies[n * 99 // 100] if n else 0.0,
        slowest=latencies[-1] if n else 0.0,
        failures=failures[:5],
    )


if __name__ == "__main__":
    print(msgspec.json.encode(uvloop.run(run(msgspec.json.decode(sys.argv[1], type=Load)))).decode())
