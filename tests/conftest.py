"""Shared fixtures: one real store for the whole run, emptied for each test that asks for it."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
import redis
from hypothesis import settings

from overture.state.embedded import EmbeddedStore

settings.register_profile("overture", deadline=None)  # how long an example takes, the machine says as much as the code
settings.load_profile("overture")

collect_ignore = ["peers"]  # other people's packages, with tests of their own


@pytest.fixture(scope="session")
def embedded_store() -> Iterator[EmbeddedStore]:
    """The store of this run, in a loop of its own so that no test's loop matters to it."""
    with (
        tempfile.TemporaryDirectory(prefix="ov-test-") as directory,
        asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner,
    ):
        store = EmbeddedStore(Path(directory))
        runner.run(store.start())
        try:
            yield store
        finally:
            runner.run(store.stop())


@pytest.fixture
def store_url(embedded_store: EmbeddedStore) -> str:
    """The URL of an empty store."""
    with redis.Redis.from_url(embedded_store.url) as client:
        client.flushall()
    return embedded_store.url


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What was logged may hold half a character, which the process that runs a test cannot tell the one that asked."""
    report = yield
    report.sections = [(name, text.encode("utf-8", "replace").decode()) for name, text in report.sections]
    return report


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes are named by their number: what a compressor writes holds the second it was written in,
    and processes that share a run must collect tests of the same names."""
    return f"{argname}-{len(val)}B" if isinstance(val, bytes) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The year of purchases first, then what starts servers: with the longest files last, one process would be at them
    while others idle.
    """
    items.sort(key=lambda item: {"sources": 0, "server": 1}.get(item.path.parent.name, 2))
