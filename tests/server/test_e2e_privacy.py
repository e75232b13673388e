"""Erasing contacts and handing out what is kept about them, on a running server: afterwards nothing names them in any
key of the store, in its file, or in any file of the data directory, and everything else is as it was.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis
import zstandard
from serverkit import PATIENCE, Mailbox, Server, eventually, fact, fresh, overture

from overture.state import keys
from overture.state.embedded.binary import find_server
from overture.state.refusals import Refusal

RULES = """
ruleset: letters
version: "1.0"
"""


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


def erased(server: Server, contact: str) -> Any:
    """Erase a contact and wait until that is done; the proof."""
    answer = server.call("DELETE", f"/v1/contacts/{contact}")
    assert answer.status == 202, answer.body
    where = answer.headers["Location"]
    assert where == f"/v1/erasures/{answer.json['id']}"
    return eventually(lambda: (e := server.get(where))["state"] == "done" and e, f"{contact} is erased")


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory, mailbox: Mailbox) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("privacy"), SMTP_URL=mailbox.url) as running:
        yield running


def consent(contact: Any, state: str = "granted", **more: Any) -> Any:
    return fact("consent", contact, channel="email", purpose="marketing", state=state, **more)


def test_nothing_names_an_erased_contact_any_more(live: Server, mailbox: Mailbox, tmp_path: Path) -> None:
    name, other = fresh("zorro-"), fresh("stays-")
    address, surname, visitor = f"{name}@example.org", f"Delavega{name}", fresh("visitor-of-zorro-")
    live.facts(fact("page_viewed", {"anonymous_id": visitor}, path=f"/hello/{surname}"))
    live.facts(fact("page_viewed", {"email": address}, path="/pricing"))
    live.facts(
        fact("identify", {"user_id": name, "email": address, "anonymous_id": visitor}, email=address, surname=surname),
        fact("identify", other, email=f"{other}@example.org", surname="Stays"),
        consent({"user_id": name}, text=f"I, {surname}, agree"),
        consent({"user_id": other}),
    )
    live.facts(fact("whitepaper_downloaded", name, topic="seo"), fact("whitepaper_downloaded", other, topic="seo"))
    live.settled()
    refusals = [
        Refusal(1, "segment", "fact.type", "This is no fact.", "/0", json.dumps({"userId": each, "email": f"{each}@x"}))
        for each in (name, other)
    ]
    with store_of(live) as store:
        store.lpush(keys.REFUSED, *map(msgspec.msgpack.encode, refusals))
    assert found(live, tmp_path, name, address, surname, visitor)
    before = live.find(other)
    proof = erased(live, name)
    assert proof["counts"]["contacts"] == 3
    assert proof["counts"]["facts"] >= 6
    assert proof["counts"]["consents"] == 1
    assert (proof["file"], proof["by"], proof["number"]) == ("rewritten", "admin", 1)
    assert found(live, tmp_path, name, address, surname, visitor) == []
    for way in (name, f"email:{address}", f"anonymous_id:{visitor}"):
        answer = live.call("GET", f"/v1/contacts/{way}")
        assert (answer.status, answer.json["code"]) == (404, "contact.unknown")
    assert live.find(other) == before
    assert [other in each["fact"] for each in live.get("/v1/sources/refused")] == [True]
    assert live.get("/v1/consent/verify")["ok"]
    assert live.get("/v1/erasures")["ok"]
