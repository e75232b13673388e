"""A store that outlived its server and cannot be reached: it is replaced, never doubled, and nobody else is harmed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from storekit import orphan

from overture.model.errors import StartupRefused
from overture.state.embedded import EmbeddedStore
from overture.state.embedded.process import Process
from overture.state.wire import Wire


@pytest.fixture
def stranger() -> Iterator[Process]:
    """A process that has nothing to do with any store."""
    sleeper = subprocess.Popen(["sleep", "600"])
    try:
        found = Process.find(sleeper.pid)
        assert found is not None
        yield found
    finally:
        sleeper.kill()
        sleeper.wait()


async def write(data_dir: Path) -> None:
    wire = await Wire.connect(f"unix://{data_dir / 'store.sock'}")
    assert await wire.call("SET", "a", 1) == b"OK"
    await wire.close()


async def read(store: EmbeddedStore) -> bytes:
    wire = await Wire.connect(store.url)
    try:
        return await wire.call("GET", "a")
    finally:
        await wire.close()


def record(data_dir: Path, **changes: object) -> None:
    """Change what ``store.json`` says; None takes a field away."""
    file = data_dir / "store.json"
    told = {**json.loads(file.read_text()), **changes}
    file.write_text(json.dumps({name: value for name, value in told.items() if value is not None}))


@pytest.mark.parametrize("stopped", [False, True])
async def test_one_whose_socket_was_deleted_is_ended_and_replaced(tmp_path: Path, stopped: bool) -> None:
    survivor = Process.find(await orphan(tmp_path))
    assert survivor is not None
    await write(tmp_path)
    (tmp_path / "store.sock").unlink()
    if stopped:
        os.kill(survivor.pid, signal.SIGSTOP)
    async with EmbeddedStore(tmp_path) as store:
        assert store.pid != survivor.pid
        assert not survivor.lives()
        assert await read(store) == b"1"


async def test_one_whose_socket_was_replaced_by_a_file_is_too(tmp_path: Path) -> None:
    pid = await orphan(tmp_path)
    await write(tmp_path)
    (tmp_path / "store.sock").unlink()
    (tmp_path / "store.sock").write_text("")
    async with EmbeddedStore(tmp_path) as store:
        assert store.pid != pid
        assert await read(store) == b"1"


async def test_a_running_servers_own_store_that_lost_its_socket_is_stopped_with_it(tmp_path: Path) -> None:
    async with EmbeddedStore(tmp_path) as store:
        await write(tmp_path)
        own = Process.find(store.pid)
        assert own is not None
        (tmp_path / "store.sock").unlink()
    assert not own.lives()
    async with EmbeddedStore(tmp_path) as store:
        assert await read(store) == b"1"


@pytest.mark.parametrize("deleted", [("store.lock",), ("store.lock", "lock", "store.json")])
async def test_deleted_lock_files_do_not_let_a_second_store_in(tmp_path: Path, deleted: tuple[str, ...]) -> None:
    pid = await orphan(tmp_path)
    await write(tmp_path)
    for name in deleted:
        (tmp_path / name).unlink()
    async with EmbeddedStore(tmp_path) as store:
        assert store.pid == pid
        assert await read(store) == b"1"


async def test_with_every_trace_deleted_it_is_refused_until_the_store_is_gone(tmp_path: Path) -> None:
    pid = await orphan(tmp_path)
    await write(tmp_path)
    for name in ("store.lock", "lock", "store.json", "store.sock"):
        (tmp_path / name).unlink()
    with pytest.raises(StartupRefused) as refused:
        await EmbeddedStore(tmp_path, patience=2.5).start()
    assert refused.value.code == "store.no_start"
    assert "store process" in refused.value.hint
    os.kill(pid, signal.SIGKILL)
    async with EmbeddedStore(tmp_path) as store:
        assert await read(store) == b"1"


async def test_a_process_that_has_the_pid_on_record_by_chance_is_left_alone(tmp_path: Path, stranger: Process) -> None:
    pid = await orphan(tmp_path)
    (tmp_path / "store.sock").unlink()
    record(tmp_path, pid=stranger.pid)
    with pytest.raises(StartupRefused, match="did not answer"):
        await EmbeddedStore(tmp_path, patience=2.5).start()
    assert stranger.lives()
    os.kill(pid, signal.SIGKILL)
    async with EmbeddedStore(tmp_path) as store:
        assert store.pid != pid


async def test_one_without_a_record_is_adopted_and_stopped(tmp_path: Path) -> None:
    survivor = Process.find(await orphan(tmp_path))
    assert survivor is not None
    record(tmp_path, pid=None, started=None)
    async with EmbeddedStore(tmp_path) as store:
        assert store.pid == survivor.pid
    assert not survivor.lives()


def test_a_process_is_told_from_another_with_its_pid(stranger: Process) -> None:
    assert stranger.lives()
    assert not Process(stranger.pid, "some other time").lives()
    Process(stranger.pid, "some other time").signal(signal.SIGKILL)
    assert stranger.lives()
    assert Process.find(0) is None


def test_a_process_that_ended_does_not_live_though_its_parent_has_not_looked() -> None:
    with subprocess.Popen(["sleep", "600"]) as sleeper:
        found = Process.find(sleeper.pid)
        assert found is not None
        found.signal(signal.SIGKILL)
        os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
        assert not found.lives()
        found.signal(signal.SIGKILL)
