"""A server with an embedded store in a process of its own, which can be killed and leaves its store behind."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path

from overture.model.errors import StoreUnavailable
from overture.state.wire import Wire

SERVER = textwrap.dedent("""
    import asyncio, sys
    from pathlib import Path
    from overture.state.embedded import EmbeddedStore

    async def main():
        async with EmbeddedStore(Path(sys.argv[1])) as store:
            print(store.pid, flush=True)
            await asyncio.Event().wait()

    asyncio.run(main())
""")


def start_server(data_dir: Path, environ: Mapping[str, str] = os.environ) -> tuple[subprocess.Popen[str], int]:
    """A server in a process of its own; gives it and the pid of its store."""
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(data_dir)], stdout=subprocess.PIPE, text=True, env=environ
    )
    assert server.stdout is not None
    return server, int(server.stdout.readline())


async def orphan(data_dir: Path) -> int:
    """A store whose server was killed; gives its pid."""
    server, pid = await asyncio.to_thread(start_server, data_dir)
    server.kill()
    await asyncio.to_thread(server.communicate)
    return pid


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not happen within ten seconds")


async def is_served(url: str) -> bool:
    try:
        wire = await Wire.connect(url)
    except StoreUnavailable:
        return False
    await wire.close()
    return True


def log_file(data_dir: Path) -> Path:
    """The append-only file that takes the writes."""
    return next(data_dir.glob("appendonlydir/*.incr.aof"))
