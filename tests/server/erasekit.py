"""Looking for somebody who was erased: in every key of the store, in its file, in every file of the data directory."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import redis
import zstandard
from serverkit import Server, eventually, fresh

from overture.state.embedded.binary import find_server


def store_of(server: Server) -> redis.Redis:
    return redis.Redis.from_url(json.loads((server.data / "store.json").read_text())["url"])


def contents(store: redis.Redis) -> Iterator[tuple[bytes, bytes]]:
    """Every key of a store, with all that is in it."""
    for key in store.scan_iter(count=1000):
        kind = store.type(key)
        read: dict[bytes, Any] = {
            b"string": lambda key: store.get(key),
            b"list": lambda key: store.lrange(key, 0, -1),
            b"set": lambda key: store.smembers(key),
            b"hash": lambda key: store.hgetall(key),
            b"zset": lambda key: store.zrange(key, 0, -1),
            b"stream": lambda key: store.xrange(key),
        }
        yield key, repr(read[kind](key)).encode() + (store.get(key) or b"" if kind == b"string" else b"")


def expanded(path: Path) -> bytes:
    """A file's bytes, and where it is of the archive also what its frames hold."""
    raw = path.read_bytes()
    if path.suffix != ".ovz":
        return raw
    found, rest = raw, raw
    while len(rest) > 4:
        size = int.from_bytes(rest[:4], "big")
        found += zstandard.ZstdDecompressor().decompress(rest[4 : 4 + size])
        rest = rest[4 + size :]
    return found


def plain_copy(server: Server, scratch: Path) -> bytes:
    """The append-only file as another store reads it from the disk, written without compression."""
    shutil.copytree(server.data / "appendonlydir", scratch / "appendonlydir")
    socket = scratch / "s"
    options = ["--port", "0", "--unixsocket", str(socket), "--dir", str(scratch), "--appendonly", "yes", "--save", ""]
    plain = ["--aof-use-rdb-preamble", "no", "--rdbcompression", "no"]
    process = subprocess.Popen([find_server(), *options, *plain], stdout=subprocess.DEVNULL)
    try:
        eventually(socket.exists, "the copy listens")
        with redis.Redis(unix_socket_path=str(socket)) as store:

            def told() -> dict[str, Any]:
                try:
                    return store.info("persistence")  # type: ignore[return-value]
                except redis.BusyLoadingError:
                    return {}

            eventually(lambda: told().get("loading") == 0, "the copy is loaded")
            store.execute_command("BGREWRITEAOF")
            eventually(lambda: told().get("aof_rewrite_in_progress") == 0, "the copy is written")
        return b"".join(path.read_bytes() for path in (scratch / "appendonlydir").iterdir())
    finally:
        process.kill()
        process.wait()


def found(server: Server, scratch: Path, *words: str) -> list[str]:
    """Where one of the words still stands, in whatever case."""
    wanted = [word.lower().encode() for word in words]
    places: list[str] = []
    with store_of(server) as store:
        for key, value in contents(store):
            places += [f"{word.decode()} in key {key!r}" for word in wanted if word in (key + value).lower()]
    for path in server.data.rglob("*"):
        if path.is_file():
            text = expanded(path).lower()
            places += [f"{word.decode()} in file {path.name}" for word in wanted if word in text]
    copy = plain_copy(server, scratch / fresh("copy")).lower()
    return places + [f"{word.decode()} in the store's file" for word in wanted if word in copy]


def begun(server: Server, contact: str) -> str:
    """Ask for an erasure; its id."""
    answer = server.call("DELETE", f"/v1/contacts/{contact}")
    assert answer.status == 202, answer.body
    assert answer.headers["Location"] == f"/v1/erasures/{answer.json['id']}"
    return answer.json["id"]


def ended(server: Server, id: str) -> Any:
    """The proof of an erasure, when it is done."""
    return eventually(lambda: (e := server.get(f"/v1/erasures/{id}"))["state"] == "done" and e, f"{id} is done")


def erased(server: Server, contact: str) -> Any:
    """Erase a contact and wait until that is done; the proof."""
    return ended(server, begun(server, contact))
