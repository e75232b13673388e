"""Fixtures for the tests of plugins, which pytest finds by itself where Overture is installed.

Nothing is imported before a test asks for one: whoever has Overture installed and tests something else pays nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from overture.testing import MailServer, OvertureServer, VirtualClock, WebhookReceiver


@pytest.fixture
def overture_server(tmp_path: Path) -> Iterator[Callable[..., OvertureServer]]:
    """Starts a real server with the plugins that are installed: ``overture_server(channels={"sms": {…}})``.

    The arguments are those of `overture.testing.OvertureServer`, but for the directory. Each server that a test starts
    is stopped at the end of it.
    """
    from overture.testing import OvertureServer

    with contextlib.ExitStack() as running:

        def start(**settings: Any) -> OvertureServer:
            directory = tmp_path / f"overture-{len(started)}"
            started.append(directory)
            return running.enter_context(OvertureServer(directory, **settings))

        started: list[Path] = []
        yield start


@pytest.fixture
def mail_server(tmp_path: Path) -> Iterator[MailServer]:
    """A running `overture.testing.MailServer`."""
    from overture.testing import MailServer

    with _loop_beside() as run:
        server = MailServer(tmp_path / "mail")
        run(server.start())
        yield server
        run(server.stop())


@pytest.fixture
def webhook_receiver() -> Iterator[WebhookReceiver]:
    """A running `overture.testing.WebhookReceiver`."""
    from overture.testing import WebhookReceiver

    with _loop_beside() as run:
        receiver = WebhookReceiver()
        run(receiver.__aenter__())
        yield receiver
        run(receiver.__aexit__())


@pytest.fixture
def virtual_clock() -> VirtualClock:
    """An `overture.testing.VirtualClock`: ``async with virtual_clock: …``."""
    from overture.testing import VirtualClock

    return VirtualClock()


@contextlib.contextmanager
def _loop_beside() -> Generator[Callable[[Coroutine[Any, Any, Any]], Any]]:
    """Runs coroutines in an event loop of a thread of its own, which a test without one, or with another, needs."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="overture-fixture", daemon=True)
    thread.start()
    try:
        yield lambda coroutine: asyncio.run_coroutine_threadsafe(coroutine, loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
