"""The record without those who were erased: their facts are gone, and every other fact is where it was."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overture.model import Fact
from overture.state import archive
from overture.state.archive import ArchiveWriter, entries
from overture.state.log import pack_entry, unpack
from overture.state.scrubbing import GONE, Scrub, Scrubbing

NAMES = ["ada", "bob", "eve"]
TYPES = ["order", "order", "order", "$tick", "$program", "$merge", "message.sent", "$activate"]
FACTS = st.tuples(st.sampled_from(NAMES), st.sampled_from(TYPES))
LOGS = st.lists(st.lists(FACTS, min_size=1, max_size=5), min_size=1, max_size=8)


def made(n: int, name: str, type: str) -> Fact:
    return Fact(f"f{n}", type, "" if type == "$activate" else name, n, n, {"version": 1, "who": name})


def log_of(shape: Sequence[Sequence[tuple[str, str]]]) -> list[tuple[str, bytes]]:
    numbers = iter(range(1000))
    return [
        (f"{n}-0", pack_entry([made(next(numbers), name, type) for name, type in entry]))
        for n, entry in enumerate(shape, 1)
    ]


def read(log: Sequence[tuple[str, bytes]]) -> list[Fact]:
    return [fact for _, blob in log for fact in unpack([b"f", blob])]


def scrubbed(log: list[tuple[str, bytes]], orders: dict[str, Scrub]) -> tuple[list[tuple[str, bytes]], Scrubbing]:
    scrubbing = Scrubbing(orders)
    scrubbing.look(log)
    return [(id, scrubbing.change(id, blob)) for id, blob in log], scrubbing


@settings(max_examples=200)
@given(LOGS, st.data())
def test_only_what_is_to_go_goes_and_the_rest_stays_in_its_place(shape: Any, data: st.DataObject) -> None:
    log = log_of(shape)
    entry = data.draw(st.integers(0, len(shape) - 1))
    position = data.draw(st.integers(0, len(shape[entry]) - 1))
    order = Scrub("er", log[entry][0], position, log[-1][0])
    after, scrubbing = scrubbed(log, {"ada": order})
    until = sum(len(each) for each in shape[:entry]) + position
    begins = False
    gone = 0
    for n, (was, now) in enumerate(zip(read(log), read(after), strict=True)):
        ours = was.type in ("$tick", "$program")
        begins = begins or (was.contact == "ada" and n > until and not ours)
        if was.contact == "ada" and (n <= until or (ours and not begins)):
            assert now == GONE
            gone += 1
        else:
            assert now == was
    assert scrubbing.facts["ada"] == gone == len(scrubbing.gone["ada"])
    assert scrubbed(after, {"ada": order})[0] == after
    assert all(new is old for (_, old), (_, new) in zip(log, after, strict=True) if b"ada" not in old)


def test_files_are_replaced_whole_and_those_without_them_are_not_touched(tmp_path: Path) -> None:
    log = log_of([[("ada", "order"), ("bob", "order")], [("bob", "order")], [("eve", "order"), ("ada", "order")]])
    for n, part in enumerate((log[:1], log[1:2], log[2:])):
        ArchiveWriter(tmp_path, 0, n + 1).append(part)
    files = sorted((tmp_path / "p000").glob("*.ovz"))
    inodes = [file.stat().st_ino for file in files]
    (tmp_path / "p000" / "x.part").write_bytes(b"left by a kill")
    with files[0].open("rb") as reader:
        scrubbing = Scrubbing({"ada": Scrub("er", "9-0", 0, "9-0")})
        scrubbing.look(entries(tmp_path, 0))
        assert archive.rewrite(tmp_path, 0, scrubbing.change) == 2
        assert reader.read(), "who reads the old file reads on"
    assert [file.stat().st_ino == inode for file, inode in zip(files, inodes, strict=True)] == [False, True, False]
    assert sorted(path.suffix for path in (tmp_path / "p000").iterdir()) == [".ovz"] * 3
    left = read(list(entries(tmp_path, 0)))
    assert [fact.contact for fact in left] == ["", "bob", "bob", "eve", ""]
    assert [id for id, _ in entries(tmp_path, 0)] == [id for id, _ in log]


def test_a_torn_end_is_not_carried_over(tmp_path: Path) -> None:
    log = log_of([[("ada", "order"), ("bob", "order")], [("bob", "order")]])
    ArchiveWriter(tmp_path, 0, 1).append(log[:1])
    (file,) = (tmp_path / "p000").glob("*.ovz")
    with file.open("ab") as torn:
        torn.write(b"\0\0\1\0 half a frame")
    scrubbing = Scrubbing({"ada": Scrub("er", "1-0", 5, "9-0")})
    scrubbing.look(entries(tmp_path, 0))
    archive.rewrite(tmp_path, 0, scrubbing.change)
    assert [fact.contact for fact in read(list(entries(tmp_path, 0)))] == ["", "bob"]
    assert b"half a frame" not in file.read_bytes()


def test_who_writes_holds_the_files_alone(tmp_path: Path) -> None:
    with archive.held(tmp_path, 3), pytest.raises(BlockingIOError), archive.held(tmp_path, 3):
        pytest.fail("held twice")
    file = os.open(tmp_path / "p003" / "lock", os.O_RDWR)
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(file)
    with archive.held(tmp_path, 3), archive.held(tmp_path, 4):
        assert (tmp_path / "p004").is_dir()
