"""What a start makes of the append-only file as it finds it: nothing that was kept is lost without a word."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from storekit import log_file

from overture.model.errors import StartupRefused
from overture.state.embedded import EmbeddedStore
from overture.state.wire import Wire

MANIFEST = "appendonlydir/appendonly.aof.manifest"


async def fill(data_dir: Path, *, rewritten: bool = False) -> None:
    """A store that held one value, and was stopped."""
    async with EmbeddedStore(data_dir) as store:
        wire = await Wire.connect(store.url)
        await wire.call("SET", "a", "x" * 1000)
        if rewritten:
            await wire.call("CONFIG", "SET", "rdbcompression", "no")
            await wire.call("BGREWRITEAOF")
            while b"aof_rewrite_in_progress:1" in (told := await wire.call("INFO", "persistence")):
                pass
            assert b"aof_last_bgrewrite_status:ok" in told
        await wire.close()


async def value(data_dir: Path) -> bytes | None:
    async with EmbeddedStore(data_dir) as store:
        wire = await Wire.connect(store.url)
        try:
            return await wire.call("GET", "a")
        finally:
            await wire.close()


async def refusal(data_dir: Path) -> StartupRefused:
    with pytest.raises(StartupRefused) as refused:
        await EmbeddedStore(data_dir).start()
    return refused.value


@pytest.mark.parametrize("rewritten", [False, True])
async def test_data_without_its_manifest_is_refused_and_left_as_it_was(tmp_path: Path, rewritten: bool) -> None:
    await fill(tmp_path, rewritten=rewritten)
    manifest = tmp_path / MANIFEST
    said = manifest.read_text()
    manifest.unlink()
    files = {path: path.read_bytes() for path in (tmp_path / "appendonlydir").iterdir()}
    for _ in range(2):
        refused = await refusal(tmp_path)
        assert refused.code == "data.no_manifest"
        assert "appendonly.aof." + ("2.base.rdb" if rewritten else "1.incr.aof") in refused.message
        assert str(tmp_path / "appendonlydir") in refused.message
        assert "backup" in refused.hint
    assert {path: path.read_bytes() for path in (tmp_path / "appendonlydir").iterdir()} == files
    manifest.write_text(said)
    assert await value(tmp_path) == b"x" * 1000


async def test_a_backup_put_one_level_too_deep_is_refused(tmp_path: Path) -> None:
    await fill(tmp_path / "old")
    (tmp_path / "new" / "appendonlydir").mkdir(parents=True)
    shutil.copytree(tmp_path / "old" / "appendonlydir", tmp_path / "new" / "appendonlydir" / "appendonlydir")
    assert (await refusal(tmp_path / "new")).code == "data.no_manifest"


async def test_moved_away_as_the_hint_says_it_begins_empty(tmp_path: Path) -> None:
    await fill(tmp_path)
    (tmp_path / MANIFEST).unlink()
    (tmp_path / "appendonlydir").rename(tmp_path / "set-aside")
    assert await value(tmp_path) is None


async def test_a_first_start_that_was_killed_before_its_manifest_does_not_stand_in_the_way(tmp_path: Path) -> None:
    async with EmbeddedStore(tmp_path):
        pass
    (tmp_path / MANIFEST).unlink()
    assert log_file(tmp_path).read_bytes() == b""
    assert await value(tmp_path) is None


@pytest.mark.parametrize("missing", ["appendonly.aof.1.incr.aof", "appendonly.aof.1.base.rdb"])
async def test_a_file_that_the_manifest_names_and_that_is_gone_is_refused(tmp_path: Path, missing: str) -> None:
    await fill(tmp_path)
    (tmp_path / "appendonlydir" / missing).unlink()
    refused = await refusal(tmp_path)
    assert refused.code == "store.no_start"
    assert missing in refused.message
