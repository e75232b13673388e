from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
from storekit import is_served, log_file, orphan, start_server, until

from overture.model.errors import StartupRefused, StoreUnavailable
from overture.state.embedded import EmbeddedStore
from overture.state.wire import Wire


async def test_it_is_durable_and_private(tmp_path: Path) -> None:
    async with EmbeddedStore(tmp_path / "new" / "data") as store:
        wire = await Wire.connect(store.url)
        for name, value in [(b"appendonly", b"yes"), (b"appendfsync", b"always"), (b"port", b"0"), (b"save", b"")]:
            assert await wire.call("CONFIG", "GET", name) == [name, value]
        assert await wire.call("CONFIG", "GET", "maxmemory-policy") == [b"maxmemory-policy", b"noeviction"]
        await wire.close()
        assert (store.data_dir.stat().st_mode & 0o777) == 0o700
        assert ((store.data_dir / "store.sock").stat().st_mode & 0o777) == 0o700
        told = json.loads((store.data_dir / "store.json").read_text())
        assert (told["url"], told["pid"]) == (store.url, store.pid)
    assert not await is_served(store.url)


async def test_what_it_holds_is_there_after_a_restart(tmp_path: Path) -> None:
    async with EmbeddedStore(tmp_path) as store:
        wire = await Wire.connect(store.url)
        await wire.call("SET", "a", 1)
        await wire.close()
    async with EmbeddedStore(tmp_path) as store:
        wire = await Wire.connect(store.url)
        assert await wire.call("GET", "a") == b"1"
        await wire.close()


async def test_killed_under_load_it_comes_back_with_every_acknowledged_write(tmp_path: Path) -> None:
    acknowledged: set[bytes] = set()

    async def write(wire: Wire, writer: int, stop: asyncio.Event) -> None:
        n = 0
        while not stop.is_set():
            n += 1
            try:
                await wire.call("SADD", "acknowledged", f"{writer}:{n}")
            except StoreUnavailable:
                continue
            acknowledged.add(f"{writer}:{n}".encode())

    async with EmbeddedStore(tmp_path) as store:
        wire, stop = await Wire.connect(store.url), asyncio.Event()
        writers = [asyncio.create_task(write(wire, writer, stop)) for writer in range(16)]
        pids = {store.pid}
        for _ in range(3):
            await asyncio.sleep(0.2)
            os.kill(store.pid, signal.SIGKILL)
            await until(lambda: store.pid not in pids)
            pids.add(store.pid)
        stop.set()
        await asyncio.gather(*writers)
        assert acknowledged
        assert acknowledged <= set(await wire.call("SMEMBERS", "acknowledged"))
        assert len(pids) == 4
        await wire.close()


async def test_a_store_that_outlives_a_killed_server_is_adopted_and_supervised(tmp_path: Path) -> None:
    pid = await orphan(tmp_path)
    async with EmbeddedStore(tmp_path) as store:
        assert store.pid == pid
        wire = await Wire.connect(store.url)
        assert await wire.call("SET", "a", 1) == b"OK"
        os.kill(pid, signal.SIGKILL)
        await until(lambda: store.pid != pid)
        with contextlib.suppress(StoreUnavailable):  # the first call may be the one that finds the connection dead
            await wire.call("PING")
        assert await wire.call("GET", "a") == b"1"
        await wire.close()


async def test_a_survivor_that_does_not_answer_yet_is_waited_for_not_doubled(tmp_path: Path) -> None:
    pid = await orphan(tmp_path)
    os.kill(pid, signal.SIGSTOP)
    store = EmbeddedStore(tmp_path)
    starting = asyncio.create_task(store.start())
    await asyncio.sleep(0.3)
    assert not starting.done()
    os.kill(pid, signal.SIGCONT)
    await starting
    assert store.pid == pid
    await store.stop()
    assert not await is_served(store.url)


async def test_a_survivor_that_never_answers_is_refused_not_doubled(tmp_path: Path) -> None:
    pid = await orphan(tmp_path)
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(StartupRefused) as refused:
        await EmbeddedStore(tmp_path, patience=0.1).start()
    assert refused.value.code == "store.no_start"
    os.kill(pid, signal.SIGKILL)
    async with EmbeddedStore(tmp_path) as store:
        assert store.pid != pid


async def test_an_adopted_store_takes_the_durability_that_is_asked_for(tmp_path: Path) -> None:
    pid = await orphan(tmp_path)
    async with EmbeddedStore(tmp_path, durability="everysec") as store:
        wire = await Wire.connect(store.url)
        assert store.pid == pid
        assert await wire.call("CONFIG", "GET", "appendfsync") == [b"appendfsync", b"everysec"]
        await wire.close()


async def test_a_directory_in_use_is_refused_in_one_sentence(tmp_path: Path) -> None:
    async with EmbeddedStore(tmp_path) as store:
        with pytest.raises(StartupRefused) as refused:
            await EmbeddedStore(tmp_path).start()
        assert refused.value.code == "data.locked"
        assert str(os.getpid()) in refused.value.message
        assert store.url in refused.value.hint
        wire = await Wire.connect(store.url)
        assert await wire.call("PING") == b"PONG"
        await wire.close()


@pytest.mark.parametrize("path", ["/proc/overture", "/etc/hosts", "/etc/hosts/data"])
async def test_a_directory_that_cannot_be_written_is_refused(path: str) -> None:
    with pytest.raises(StartupRefused) as refused:
        await EmbeddedStore(Path(path)).start()
    assert refused.value.code == "data.unwritable"
    assert path in refused.value.message


async def test_a_damaged_file_is_refused_with_the_reason_and_the_directory_is_free_again(tmp_path: Path) -> None:
    async with EmbeddedStore(tmp_path) as store:
        wire = await Wire.connect(store.url)
        await wire.call("SET", "a", 1)
        await wire.close()
    file = log_file(tmp_path)
    good = file.read_bytes()
    file.write_bytes(b"no command\r\n" + good)
    with pytest.raises(StartupRefused) as refused:
        await EmbeddedStore(tmp_path).start()
    assert refused.value.code == "store.no_start"
    assert "Bad file format" in refused.value.message
    assert "valkey-check-aof" in refused.value.hint
    file.write_bytes(good)
    async with EmbeddedStore(tmp_path) as store:
        wire = await Wire.connect(store.url)
        assert await wire.call("GET", "a") == b"1"
        await wire.close()


async def test_a_torn_last_write_is_dropped_and_the_rest_is_there(tmp_path: Path) -> None:
    async with EmbeddedStore(tmp_path) as store:
        wire = await Wire.connect(store.url)
        await wire.call("SET", "a", 1)
        await wire.close()
    file = log_file(tmp_path)
    file.write_bytes(file.read_bytes() + b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1")
    async with EmbeddedStore(tmp_path) as store:
        wire = await Wire.connect(store.url)
        assert await wire.call("GET", "a") == b"1"
        await wire.close()


async def test_a_path_too_long_for_a_socket_works(tmp_path: Path) -> None:
    data_dir = tmp_path / ("x" * 120)
    async with EmbeddedStore(data_dir) as store:
        assert len(store.url) < 110
        wire = await Wire.connect(store.url)
        assert await wire.call("PING") == b"PONG"
        await wire.close()
    pid = await orphan(data_dir)
    async with EmbeddedStore(data_dir) as store:
        assert store.pid == pid


async def test_ctrl_c_on_the_terminal_does_not_reach_the_store(tmp_path: Path) -> None:
    async with EmbeddedStore(tmp_path) as store:
        assert os.getpgid(store.pid) != os.getpgid(os.getpid())
        assert os.getsid(store.pid) == store.pid


def test_no_secret_is_handed_to_the_store_process_and_ctrl_c_ends_it_well(tmp_path: Path) -> None:
    server, pid = start_server(tmp_path, {**os.environ, "OVERTURE_ADMIN_KEY": "sesame"})
    environ = subprocess.run(["ps", "eww", "-p", str(pid)], capture_output=True, check=True).stdout
    server.send_signal(signal.SIGINT)
    server.communicate()
    assert b"valkey" in environ or b"redis" in environ
    assert b"sesame" not in environ
    assert not (tmp_path / "store.sock").exists()
