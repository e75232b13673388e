"""A server that cannot keep its promises does not start: one sentence, a hint, exit code 3, and nothing left behind."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import redis
from serverkit import SHIPPED, Server, eventually, fact, refused

from overture.model.environ import without_settings
from overture.state import keys
from overture.state.embedded import EmbeddedStore
from overture.state.registry import Activation, Registry
from overture.state.wire import Wire

OLD_REDIS = """
import socket, sys
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
info = b"# Server\\r\\nredis_version:6.2.0\\r\\nrole:master\\r\\naof_enabled:1\\r\\n"
while True:
    peer, _ = listener.accept()
    with peer, peer.makefile("rb") as lines:
        while head := lines.readline():
            words = []
            for _ in range(int(head[1:])):
                lines.readline()
                words.append(lines.readline().strip().upper())
            if words[0] == b"INFO":
                peer.sendall(b"$%d\\r\\n%s\\r\\n" % (len(info), info))
            elif words[0] == b"HELLO":
                peer.sendall(b"%1\\r\\n$5\\r\\nproto\\r\\n:3\\r\\n")
            else:
                peer.sendall(b"-ERR unknown command\\r\\n")
"""


@pytest.fixture
def everysec(tmp_path: Path) -> Iterator[str]:
    """The URL of a store that may lose the last second."""
    with asyncio.Runner() as runner:
        store = EmbeddedStore(tmp_path / "weak", durability="everysec")
        runner.run(store.start())
        try:
            yield store.url
        finally:
            runner.run(store.stop())


def test_store_unreachable(tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    said = refused(tmp_path, REDIS_URL=f"redis://:secret-word@127.0.0.1:{port}")
    assert f"The store at redis://127.0.0.1:{port} cannot be used" in said
    assert "secret-word" not in said


def test_store_that_is_none(tmp_path: Path, server: Server) -> None:
    assert "cannot be used" in refused(tmp_path, REDIS_URL=f"redis://127.0.0.1:{server.port}")


def test_store_too_old(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", OLD_REDIS], stdout=subprocess.PIPE) as old:
        try:
            assert old.stdout is not None
            port = int(old.stdout.readline())
            said = refused(tmp_path, REDIS_URL=f"redis://127.0.0.1:{port}")
        finally:
            old.kill()
    assert "The store (redis 6.2.0) is older than Redis 7.0." in said


def test_weaker_durability(tmp_path: Path, everysec: str) -> None:
    said = refused(tmp_path / "a", REDIS_URL=everysec)
    assert "may lose facts that were acknowledged: its appendfsync is everysec." in said
    assert "OVERTURE_ALLOW_WEAK_DURABILITY=true" in said


def test_weaker_durability_allowed_is_labelled(tmp_path: Path, everysec: str) -> None:
    with Server(tmp_path / "a", REDIS_URL=everysec, ALLOW_WEAK_DURABILITY="true", RULESETS=SHIPPED) as server:
        store = server.ready()["store"]
        assert (store["durability"], store["weakness"]) == ("everysec", "its appendfsync is everysec")
        (decision,) = server.facts(fact("whitepaper_downloaded", "ada"))["decisions"]
        assert decision["scores"] == {"lead": 15}


def test_port_taken(tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        said = refused(tmp_path, PORT=str(port))
    assert f"127.0.0.1:{port} cannot be listened on: address already in use." in said
    assert not (tmp_path / "data" / "store.sock").exists()


def test_data_directory_that_cannot_be_written(tmp_path: Path, server: Server) -> None:
    (tmp_path / "file").write_text("")
    said = refused(tmp_path / "a", DATA_DIR=str(tmp_path / "file" / "data"))
    assert f"The data directory {tmp_path / 'file' / 'data'} cannot be written" in said
    # With a store elsewhere the archive still goes there.
    url = f"unix://{server.data / 'store.sock'}"
    said = refused(tmp_path / "b", DATA_DIR=str(tmp_path / "file" / "data"), REDIS_URL=url)
    assert f"The data directory {tmp_path / 'file' / 'data'} cannot be written" in said


def test_data_directory_of_another_server(tmp_path: Path, server: Server) -> None:
    said = refused(tmp_path, DATA_DIR=str(server.data))
    assert server.process is not None
    assert f"Another server (pid {server.process.pid}) already uses the data directory {server.data}." in said
    assert server.ready()["ready"]


def test_data_without_its_manifest(tmp_path: Path) -> None:
    with Server(tmp_path, RULESETS=SHIPPED) as server:
        server.facts(fact("whitepaper_downloaded", "ada"))
    manifest = server.data / "appendonlydir" / "appendonly.aof.manifest"
    aside = manifest.rename(tmp_path / "manifest")
    said = refused(tmp_path)
    assert "has data (appendonly.aof.1.incr.aof) but no appendonly.aof.manifest" in said
    aside.rename(manifest)
    with server:
        assert server.contact("ada")["scores"] == {"lead": 15}


def test_another_number_of_partitions(tmp_path: Path, server: Server) -> None:
    url = f"unix://{server.data / 'store.sock'}"
    said = refused(tmp_path, REDIS_URL=url, PARTITIONS="8")
    assert "The store was made with 16 partitions, the settings say 8. Set OVERTURE_PARTITIONS=16." in said


def test_another_format(tmp_path: Path, store_url: str) -> None:
    with redis.Redis.from_url(store_url) as client:
        client.hset(keys.META, "format", 99)
    assert "The store has format 99, this Overture reads" in refused(tmp_path, REDIS_URL=store_url)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("PORT", "eighty", "OVERTURE_PORT must be a valid integer"),
        ("PORT", "70000", "OVERTURE_PORT must be less than or equal to 65535 (it is '70000')."),
        ("MATCHER", "fast", "OVERTURE_MATCHER must be 'durable' or 'reference' (it is 'fast')."),
        ("REDIS_URL", "http://localhost", "OVERTURE_REDIS_URL must begin with redis:// or rediss:// or unix://."),
        (
            "REDIS_URL",
            "redis://localhost?foo=bar",
            "OVERTURE_REDIS_URL has the unknown option foo; there are db, username",
        ),
        ("LEASE_SECONDS", "0", "OVERTURE_LEASE_SECONDS must be greater than or equal to 0.2 (it is '0')."),
        ("ROLES", "web,mail", "OVERTURE_ROLES must be 'web', 'worker' or 'delivery'"),
        ("SMTP_URL", "localhost:25", "OVERTURE_SMTP_URL must begin with smtp:// or smtps://."),
        ("EGRESS_ALLOW", "everything", "OVERTURE_EGRESS_ALLOW must be networks such as 10.0.0.0/8"),
    ],
)
def test_invalid_settings(tmp_path: Path, name: str, value: str, sentence: str) -> None:
    assert sentence in refused(tmp_path, **{name: value})


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"ADMIN_KEY": "admin"}, "OVERTURE_ADMIN_KEY must have at least 16 characters."),
        ({"WRITE_KEY": "x" * 15}, "OVERTURE_WRITE_KEY must have at least 16 characters."),
        ({"WRITE_KEY": "sesame open the door"}, "OVERTURE_WRITE_KEY must have no blanks, line breaks or control"),
        ({"ADMIN_KEY": "0123456789abcdef\n"}, "OVERTURE_ADMIN_KEY must have no blanks, line breaks or control"),
        ({"ADMIN_KEY": "x" * 16, "WRITE_KEY": "x" * 16}, "OVERTURE_WRITE_KEY must differ from the admin key."),
    ],
)
def test_keys_that_are_weak_or_cannot_be_used(tmp_path: Path, given: dict[str, str], sentence: str) -> None:
    said = refused(tmp_path, **given)
    assert sentence in said
    assert not any(key.strip() in said for key in given.values() if key != "admin")
    assert not (tmp_path / "data").exists()


def test_rulesets_to_start_with(tmp_path: Path) -> None:
    assert "/nowhere" in refused(tmp_path / "a", RULESETS="/nowhere")
    bad = tmp_path / "rulesets"
    bad.mkdir()
    (bad / "bad.yaml").write_text("apiVersion: overture/v1\nkind: Ruleset\nname: bad\nrules: 7\n")
    assert "bad.yaml" in refused(tmp_path / "b", RULESETS=str(bad))


def test_everything_wrong_leaves_nothing_running(tmp_path: Path) -> None:
    refused(tmp_path, HOST="192.0.2.1")
    assert not (tmp_path / "data" / "store.json").exists()
    found = subprocess.run(["ps", "-eo", "args"], env=without_settings(), capture_output=True, text=True, check=True)
    assert str(tmp_path) not in found.stdout


# --- a revision that an earlier version took --------------------------------------------------------------------------

TAKEN_BEFORE = """\
apiVersion: overture/v1
kind: Ruleset
name: taken
facts:
  ev: {}
scores:
  points: {}
rules:
  r:
    when: fact.type == "ev" and fact.nosuch == 1
    then:
      - score: {name: points, add: 1}
"""
GOOD = TAKEN_BEFORE.replace(" and fact.nosuch == 1", "")
OLD, NEW = "0123456789abcdef", "fedcba9876543210"
SAYS = f"This version of Overture refuses the ruleset taken, revision {OLD}: condition.unknown_field at 10:33: "


def activated(store_url: str, expected: int, revision: str, text: str) -> None:
    """What a version of Overture that takes the text would have left in the store."""

    async def leave() -> None:
        wire = await Wire.connect(store_url)
        try:
            registry = Registry(wire, 16)
            await registry.put("taken", revision, text, 1)
            await registry.activate(expected, Activation({"taken": revision}), 1)
        finally:
            await wire.close()

    asyncio.run(leave())


def test_an_active_revision_that_this_version_refuses(tmp_path: Path, store_url: str) -> None:
    activated(store_url, 0, OLD, TAKEN_BEFORE)
    said = refused(tmp_path, REDIS_URL=store_url)
    assert SAYS in said
    assert "Start the version that activated it, with the plugins that it asks; deploy a corrected revision" in said
    # A corrected revision alone is no way out: what came before it in the logs still needs the first.
    activated(store_url, 1, NEW, GOOD)
    assert SAYS in refused(tmp_path, REDIS_URL=store_url)
    with redis.Redis.from_url(store_url) as client:
        for p in range(16):
            ((newest, _),) = client.xrevrange(keys.log(p), count=1)
            client.set(keys.checkpoint(p), f"{newest.decode()}/0/2")
    with Server(tmp_path, REDIS_URL=store_url) as server:
        server.facts(fact("ev", "ada"))
        assert server.contact("ada")["scores"] == {"points": 1}


def test_two_active_rulesets_that_this_version_does_not_link(tmp_path: Path, store_url: str) -> None:
    activated(store_url, 0, OLD, GOOD.replace("name: taken", "name: taken\nrequires:\n  lists: [news]"))
    said = refused(tmp_path, REDIS_URL=store_url)
    assert f"refuses the ruleset taken, revision {OLD}: link.unmet at 5:11: 'taken' requires lists: 'news'" in said


def test_a_running_server_meets_a_revision_that_it_refuses(tmp_path: Path, store_url: str) -> None:
    with Server(tmp_path, REDIS_URL=store_url, RULESETS="") as server:
        activated(store_url, 0, OLD, TAKEN_BEFORE)
        server.facts(fact("ev", "ada"), wait=False)
        told = eventually(lambda: (now := server.ready()).get("error") and now, "it is said")
        assert (told["ready"], told["lag"]) == (False, 1)
        assert SAYS in told["error"]
        assert SAYS in server.said()
        assert server.find("ada") is None
        activated(store_url, 1, NEW, GOOD)
        assert not server.ready()["ready"]
    assert SAYS in refused(tmp_path, REDIS_URL=store_url)
