"""The archive and the log together hold every accepted fact once, in order, whatever happens between sync and trim."""

from __future__ import annotations

import asyncio
import random
import resource
import threading
from pathlib import Path

import pytest
from workerkit import PARTITIONS, Bed

from overture.model import Fact
from overture.state import keys
from overture.state.archive import ArchiveWriter, entries
from overture.state.log import pack_entry

PAD = "x" * 9000


def entry(n: int, pad: int = 0) -> tuple[str, bytes]:
    noise = random.Random(n).randbytes(pad).hex()  # does not compress away
    return f"{n}-0", pack_entry([Fact(f"f{n}", "t", "ada", 0, 0, {"noise": noise})])


def numbers(directory: Path, partition: int = 0) -> list[str]:
    return [id for id, _ in entries(directory, partition)]


async def test_the_log_is_archived_and_trimmed(store_url: str, tmp_path: Path) -> None:
    async with Bed(store_url, tmp_path) as bed:
        member = await bed.join()
        for _ in range(40):
            await bed.feed(*(f"u{n}" for n in range(40)), n=1, pad=PAD)

        def trimmed() -> bool:
            return sum(bed.store.xlen(keys.log(p)) for p in range(PARTITIONS)) < 40

        for _ in range(300):
            if trimmed():
                break
            await asyncio.sleep(0.05)
        assert trimmed()
        assert sum(1 for p in range(PARTITIONS) for _ in entries(bed.archive, p)) > 0
        await bed.leave(member, "kill")
        await bed.feed(*(f"u{n}" for n in range(40)))
        await bed.join()
        await bed.check()


async def test_killed_between_sync_and_trim(store_url: str, tmp_path: Path) -> None:
    async with Bed(store_url, tmp_path) as bed:
        member = await bed.join()
        await bed.feed(*(f"u{n}" for n in range(40)))
        await bed.drained()
        await bed.leave(member, "kill")
        # As a worker left it that had written and synced what it had decided, and did not come to trim it.
        for p in range(PARTITIONS):
            frame = [(id.decode(), row[b"f"]) for id, row in bed.store.xrange(keys.log(p))]
            ArchiveWriter(bed.archive, p, 1).append(frame)
        await bed.join()
        for _ in range(40):
            await bed.feed(*(f"u{n}" for n in range(40)), n=1, pad=PAD)
        await asyncio.sleep(2.5)
        await bed.check()


def test_each_entry_is_read_once_and_in_order(tmp_path: Path) -> None:
    first, second = ArchiveWriter(tmp_path, 0, 9), ArchiveWriter(tmp_path, 0, 10)
    first.append([entry(n) for n in range(1, 4)])
    first.append([entry(n) for n in range(4, 6)])
    second.append([entry(n) for n in range(3, 8)])  # taken over before the trim
    first.append([entry(n) for n in range(6, 7)])  # and the one before woke up once more
    second.append([entry(n) for n in range(8, 12)])
    first.close()
    second.close()
    assert numbers(tmp_path) == [f"{n}-0" for n in range(1, 12)]


@pytest.mark.parametrize("cut", [1, 3, 4, 5, 60])
def test_a_torn_frame_is_left_to_the_log(tmp_path: Path, cut: int) -> None:
    writer = ArchiveWriter(tmp_path, 0, 1)
    writer.append([entry(1), entry(2)])
    size = next(tmp_path.rglob("*.ovz")).stat().st_size
    writer.append([entry(3, 100), entry(4)])
    writer.close()
    (path,) = tmp_path.rglob("*.ovz")
    with path.open("r+b") as file:
        file.truncate(size + cut)
    assert numbers(tmp_path) == ["1-0", "2-0"]
    after = ArchiveWriter(tmp_path, 0, 2)
    after.append([entry(3, 100), entry(4)])
    after.close()
    assert numbers(tmp_path) == ["1-0", "2-0", "3-0", "4-0"]


def test_no_space_left_in_the_middle_of_a_frame(tmp_path: Path) -> None:
    writer = ArchiveWriter(tmp_path, 0, 1)
    writer.append([entry(1)])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (next(tmp_path.rglob("*.ovz")).stat().st_size + 1000, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            writer.append([entry(2, 4000)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    writer.append([entry(2, 4000)])
    writer.append([entry(3)])
    writer.close()
    assert numbers(tmp_path) == ["1-0", "2-0", "3-0"]


def test_closing_waits_for_the_frame_being_written(tmp_path: Path) -> None:
    writer = ArchiveWriter(tmp_path, 0, 1)
    frames = [[entry(n, 200_000)] for n in range(1, 20)]
    errors: list[Exception] = []

    def write() -> None:
        try:
            for frame in frames:
                writer.append(frame)
        except OSError as error:
            errors.append(error)

    thread = threading.Thread(target=write)
    thread.start()
    for _ in range(200):
        writer.close()
    thread.join()
    assert errors == []
    assert numbers(tmp_path) == [f"{n}-0" for n in range(1, 20)]
