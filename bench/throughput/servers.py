"""Starting and stopping what is measured, each time on a fresh store in a folder of its own."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import msgspec

from bench.chaos.store import Store
from bench.throughput.client import Load, Result
from overture.model.environ import without_settings

KEY = "bench-write-key-0123456789abcdef"
ADMIN_KEY = "bench-admin-key-0123456789abcdef"
ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Target:
    """A server under load. ``facts`` counts what was posted to it, so that ids never repeat."""

    port: int
    store_url: str
    facts: int = 0

    async def load(self, **options: object) -> tuple[Result, float]:
        """Put a `Load` on it from a process of its own; answers its result and the seconds until all was decided."""
        load = msgspec.convert({"port": self.port, "key": KEY, "first": self.facts, **options}, Load)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "bench.throughput.client",
            msgspec.json.encode(load).decode(),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        await process.stdout.readline()
        await self.until_decided()
        decided = time.monotonic()
        result = msgspec.json.decode(await process.stdout.read(), type=Result)
        await process.wait()
        self.facts += result.facts + load.batch * load.connections
        if result.failures:
            raise SystemExit(f"Not every request was answered 200: {result.failures[0]}")
        return result, decided - result.began

    async def until_decided(self, seconds: float = 60) -> None:
        """Wait until ``/readyz`` answers 200 with ``lag`` 0, at most so long."""
        deadline = time.monotonic() + seconds
        said = "nothing"
        async with aiohttp.ClientSession() as http:
            while time.monotonic() < deadline:
                try:
                    async with http.get(f"http://127.0.0.1:{self.port}/readyz") as response:
                        said = await response.text()
                        if response.status == 200 and msgspec.json.decode(said)["lag"] == 0:
                            return
                except aiohttp.ClientError as error:
                    said = str(error)
                await asyncio.sleep(0.01)
        raise SystemExit(f"The server is not ready, or does not decide what it accepted. /readyz said {said}")


@asynccontextmanager
async def overture(store: Store | None = None, **settings: str) -> AsyncIterator[Target]:
    """`overture serve` with the shipped rulesets, on ``store`` or a fresh one; ``settings`` by lower-case name."""
    async with nullcontext(store) if store else fresh_store() as store:
        port = free_port()
        env = {
            **without_settings(),
            "OVERTURE_REDIS_URL": store.url,
            "OVERTURE_DATA_DIR": str(store.folder / "data"),
            "OVERTURE_PORT": str(port),
            "OVERTURE_ADMIN_KEY": ADMIN_KEY,
            "OVERTURE_WRITE_KEY": KEY,
            "OVERTURE_LOG_LEVEL": "warning",
            "OVERTURE_MAX_LAG": "100000000",  # or accepting would be held back to the rate of deciding
            **{f"OVERTURE_{name.upper()}": value for name, value in settings.items()},
        }
        command = [sys.executable, "-m", "overture.cli", "serve"]
        async with _running(command, env, store.folder, Target(port, store.url)) as target:
            yield target


@asynccontextmanager
async def floor(*, append: bool) -> AsyncIterator[Target]:
    """aiohttp alone, or with one durable append a request."""
    async with fresh_store() as store:
        port = free_port()
        command = [sys.executable, "-m", "bench.throughput.floor", str(port), *([store.url] if append else [])]
        async with _running(command, dict(os.environ), ROOT, Target(port, store.url)) as target:
            yield target


@asynccontextmanager
async def fresh_store() -> AsyncIterator[Store]:
    """A store of its own in a folder of its own; both are gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="overture-bench-"))
    store = Store(folder)
    try:
        await store.start()
        yield store
    finally:
        store.kill()
        shutil.rmtree(folder)


@asynccontextmanager
async def _running(command: list[str], env: dict[str, str], folder: Path, target: Target) -> AsyncIterator[Target]:
    process = await asyncio.create_subprocess_exec(*command, env=env, cwd=folder, stdout=asyncio.subprocess.DEVNULL)
    try:
        await target.until_decided()
        yield target
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), 20)
        except TimeoutError:
            process.kill()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
