from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest
import redis.asyncio

from overture.model.errors import StartupRefused
from overture.state.embedded import EmbeddedStore
from overture.state.probe import probe, require


async def test_the_embedded_store_keeps_the_promise(store_url: str) -> None:
    facts = await probe(store_url)
    assert (facts.durability, facts.weakness, facts.aof, facts.appendfsync) == ("always", "", True, "always")
    assert facts.role == "master"
    assert not facts.cluster
    require(facts, allow_weak=False)


@pytest.mark.parametrize(
    ("option", "value", "durability"),
    [
        ("appendfsync", "everysec", "everysec"),
        ("appendfsync", "no", "none"),
        ("appendonly", "no", "none"),
        ("no-appendfsync-on-rewrite", "yes", "none"),
        ("maxmemory-policy", "allkeys-lru", "none"),
    ],
)
async def test_a_weaker_store_is_refused_in_one_sentence_or_labelled(
    tmp_path: Path, option: str, value: str, durability: str
) -> None:
    async with EmbeddedStore(tmp_path) as store:
        async with redis.asyncio.Redis.from_url(store.url) as client:
            await client.config_set(option, value)
        facts = await probe(store.url)
        assert facts.durability == durability
        with pytest.raises(StartupRefused) as refused:
            require(facts, allow_weak=False)
        assert refused.value.code == "store.weak"
        assert "ALLOW_WEAK_DURABILITY" in refused.value.hint
        require(facts, allow_weak=True)


async def test_a_store_that_hides_its_configuration_counts_as_weaker(tmp_path: Path) -> None:
    async with EmbeddedStore(tmp_path) as store:
        async with redis.asyncio.Redis.from_url(store.url) as client:
            await client.execute_command("ACL", "SETUSER", "ada", "on", ">pw", "~*", "+@all", "-config")
        facts = await probe(store.url.replace("unix://", "unix://ada:pw@"))
        assert facts.durability == "unknown"
        with pytest.raises(StartupRefused, match="does not show its configuration"):
            require(facts, allow_weak=False)


async def test_a_replica_is_refused(tmp_path: Path) -> None:
    async with EmbeddedStore(tmp_path) as store:
        async with redis.asyncio.Redis.from_url(store.url) as client:
            await client.execute_command("REPLICAOF", "127.0.0.1", "1")
        with pytest.raises(StartupRefused) as refused:
            require(await probe(store.url), allow_weak=True)
        assert refused.value.code == "store.replica"


async def test_an_old_version_is_refused(store_url: str) -> None:
    facts = msgspec.structs.replace(await probe(store_url), speaks=(6, 2), version="6.2.14")
    with pytest.raises(StartupRefused) as refused:
        require(facts, allow_weak=True)
    assert refused.value.code == "store.too_old"


async def test_an_unreachable_store_is_refused_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(StartupRefused) as refused:
        await probe(f"unix://ada:sesame@{tmp_path}/nothing.sock")
    assert refused.value.code == "store.unreachable"
    assert "sesame" not in str(refused.value)
    assert str(tmp_path) in refused.value.message


async def test_a_peer_that_is_no_store_is_refused() -> None:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(StartupRefused) as refused:
            await probe(f"redis://127.0.0.1:{port}")
    assert refused.value.code == "store.unreachable"


async def test_a_peer_that_never_answers_is_given_up() -> None:
    done = asyncio.Event()

    async def keep_silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await done.wait()
        writer.close()

    async with await asyncio.start_server(keep_silent, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(StartupRefused, match="no answer within"):
            await probe(f"redis://127.0.0.1:{port}", limit=0.2)
        done.set()
