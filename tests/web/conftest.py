from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientSession, web
from webkit import Memory

from overture.web import make_app, make_runner


@pytest.fixture
def memory() -> Memory:
    return Memory()


@pytest.fixture
async def site(memory: Memory) -> AsyncIterator[str]:
    """The address of the application, listening on a real socket as in production."""
    runner = make_runner(make_app(memory.services()), 1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.fixture
async def http(site: str) -> AsyncIterator[ClientSession]:
    """A client with the write key."""
    async with ClientSession(site, headers={"Authorization": "Bearer writer-key"}) as session:
        yield session


@pytest.fixture
async def admin(site: str) -> AsyncIterator[ClientSession]:
    """A client with the admin key."""
    async with ClientSession(site, headers={"Authorization": "Bearer admin-key"}) as session:
        yield session
