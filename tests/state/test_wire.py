from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import uvloop

from overture.model.errors import StoreUnavailable
from overture.state.embedded import EmbeddedStore
from overture.state.wire import ReplyError, Wire

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
async def wire(store_url: str) -> AsyncIterator[Wire]:
    wire = await Wire.connect(store_url)
    yield wire
    await wire.close()


@contextlib.asynccontextmanager
async def peer(serve: Serve, port: int = 0) -> AsyncIterator[int]:
    """A server that is no store; gives its port."""
    open_writers: list[asyncio.StreamWriter] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_writers.append(writer)
        await serve(reader, writer)

    server = await asyncio.start_server(handle, "127.0.0.1", port)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in open_writers:
            writer.transport.abort()
        await server.wait_closed()


async def pong_then_silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"PING\r\n")
    writer.write(b"+PONG\r\n")
    await writer.drain()
    await reader.read()


async def always_pong(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.readline():
        await reader.readuntil(b"PING\r\n")
        writer.write(b"+PONG\r\n")


async def test_replies_are_bytes_ints_lists_and_none(wire: Wire) -> None:
    assert await wire.call("SET", "text", "é") == b"OK"
    assert await wire.call("GET", b"text") == "é".encode()
    assert await wire.call("INCRBY", "number", 7) == 7
    assert await wire.call("GET", "nothing") is None
    assert await wire.call("MGET", "text", "nothing") == ["é".encode(), None]


async def test_calls_of_one_turn_keep_their_order_and_nothing_comes_between(wire: Wire) -> None:
    async def transaction(n: int) -> object:
        *_, last = [wire.call("MULTI"), wire.call("SET", "k", n), wire.call("GET", "k"), wire.call("EXEC")]
        return await last

    assert await asyncio.gather(*(transaction(n) for n in range(50))) == [[b"OK", str(n).encode()] for n in range(50)]
    pushed = await asyncio.gather(*(wire.call("RPUSH", "list", n) for n in range(1000)))
    assert pushed == list(range(1, 1001))
    assert await wire.call("LRANGE", "list", 0, -1) == [str(n).encode() for n in range(1000)]


async def test_an_error_reply_hits_only_its_own_call(wire: Wire) -> None:
    results = await asyncio.gather(
        wire.call("SET", "a", 1),
        wire.call("LPUSH", "a", 1),
        wire.call("NOPE"),
        wire.call("GET", "a"),
        return_exceptions=True,
    )
    assert results[0] == b"OK"
    assert isinstance(results[1], ReplyError)
    assert results[1].code == "WRONGTYPE"
    assert isinstance(results[2], ReplyError)
    assert results[2].code == "ERR"
    assert results[3] == b"1"


async def test_an_argument_of_a_wrong_type_raises_at_once_and_harms_no_one(wire: Wire) -> None:
    with pytest.raises(TypeError):
        wire.call("SET", "a", None)  # type: ignore[arg-type]
    assert await wire.call("PING") == b"PONG"


async def test_big_requests_and_replies(wire: Wire) -> None:
    big = bytes(range(256)) * 32_768
    assert await wire.call("SET", "big", big) == b"OK"
    one, two = await asyncio.gather(wire.call("GET", "big"), wire.call("GET", "big"))
    assert one == big
    assert two == big


async def test_a_cancelled_call_does_not_shift_the_replies(wire: Wire) -> None:
    first, second = wire.call("INCR", "n"), wire.call("INCR", "n")
    first.cancel()
    assert await second == 2


async def test_a_script_is_found_again_after_the_store_forgot_it(wire: Wire) -> None:
    script = wire.script("return {KEYS[1], ARGV[1], redis.call('INCR', KEYS[1])}")
    assert await script.call(["n"], ["x"]) == [b"n", b"x", 1]
    await wire.call("SCRIPT", "FLUSH")
    replies = await asyncio.gather(*(script.call(["n"], [i]) for i in range(20)))
    assert sorted(reply[2] for reply in replies) == list(range(2, 22))
    assert [reply[1] for reply in replies] == [str(i).encode() for i in range(20)]


async def test_a_script_travels_once(wire: Wire) -> None:
    script = wire.script("return 1")
    await asyncio.gather(*(script.call([]) for _ in range(10)))
    stats = (await wire.call("INFO", "commandstats")).decode()
    await wire.call("CONFIG", "RESETSTAT")
    await script.call([])
    stats = (await wire.call("INFO", "commandstats")).decode()
    assert "cmdstat_evalsha:calls=1" in stats
    assert "script" not in stats


async def test_a_script_that_does_not_compile_says_why(wire: Wire) -> None:
    with pytest.raises(ReplyError, match="compil"):
        await wire.script("retrn 1").call([])


async def test_an_error_that_a_script_returns_keeps_its_code(wire: Wire) -> None:
    with pytest.raises(ReplyError) as refused:
        await wire.script("return redis.error_reply('FENCED epoch 3')").call([])
    assert (refused.value.code, refused.value.message) == ("FENCED", "epoch 3")


async def test_not_now_is_unavailable(tmp_path: Path) -> None:
    async with EmbeddedStore(tmp_path) as store:
        wire = await Wire.connect(store.url)
        await wire.call("REPLICAOF", "127.0.0.1", "1")
        with pytest.raises(StoreUnavailable, match="READONLY"):
            await wire.call("SET", "a", 1)
        await wire.close()


async def test_a_lost_connection_fails_what_is_in_flight_and_the_next_call_connects_again(store_url: str) -> None:
    wire, other = await Wire.connect(store_url), await Wire.connect(store_url)
    await wire.call("CLIENT", "SETNAME", "victim")
    number = await wire.call("CLIENT", "ID")
    blocked = [wire.call("BLPOP", "nothing", 30, block=30), wire.call("GET", "a")]
    await asyncio.sleep(0.05)
    assert await other.call("CLIENT", "KILL", "ID", number) == 1
    results = await asyncio.gather(*blocked, return_exceptions=True)
    assert [type(result) for result in results] == [StoreUnavailable, StoreUnavailable]
    assert await wire.call("SET", "a", 1) == b"OK"
    await asyncio.gather(wire.close(), other.close())


async def test_a_peer_that_falls_silent_does_not_hang_its_callers() -> None:
    async with peer(pong_then_silence) as port:
        wire = await Wire.connect(f"redis://127.0.0.1:{port}", timeout=0.2)
        results = await asyncio.gather(*(wire.call("GET", n) for n in range(100)), return_exceptions=True)
        assert {type(result) for result in results} == {StoreUnavailable}
        await wire.close()


async def test_a_blocking_command_may_take_longer_than_the_timeout(store_url: str) -> None:
    wire = await Wire.connect(store_url, timeout=0.1)
    assert await asyncio.gather(wire.call("BLPOP", "nothing", "0.4", block=0.4), wire.call("PING")) == [None, b"PONG"]
    await wire.close()


async def test_a_peer_that_never_greets_is_unavailable() -> None:
    async def silence(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async with peer(silence) as port:
        with pytest.raises(StoreUnavailable, match="no answer"):
            await Wire.connect(f"redis://127.0.0.1:{port}", timeout=0.2)


async def test_a_peer_that_speaks_something_else_is_unavailable() -> None:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with peer(greet) as port:
        with pytest.raises(StoreUnavailable, match="protocol"):
            await Wire.connect(f"redis://127.0.0.1:{port}", timeout=1)


async def test_calls_wait_while_the_store_is_away_and_go_through_when_it_is_back() -> None:
    async with peer(always_pong) as port:
        wire = await Wire.connect(f"redis://127.0.0.1:{port}")
        assert await wire.call("PING") == b"PONG"
        doomed = wire.call("BLPOP", "nothing", 1)
    with pytest.raises(StoreUnavailable):
        await doomed
    waiting = [wire.call("PING") for _ in range(10)]
    waiting.pop().cancel()
    await asyncio.sleep(0.1)
    assert not any(call.done() for call in waiting)
    async with peer(always_pong, port):
        assert await asyncio.gather(*waiting) == [b"PONG"] * 9
        await wire.close()


async def test_calls_give_up_when_the_store_stays_away(tmp_path: Path) -> None:
    async with EmbeddedStore(tmp_path) as store:
        wire = await Wire.connect(store.url, timeout=0.2)
    await asyncio.sleep(0.05)
    results = await asyncio.gather(*(wire.call("PING") for _ in range(10)), return_exceptions=True)
    assert {type(result) for result in results} == {StoreUnavailable}
    await wire.close()


async def test_connecting_to_nothing_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="No such file"):
        await Wire.connect(f"unix://{tmp_path}/nothing.sock")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with pytest.raises(StoreUnavailable, match="cannot be reached"):
            await Wire.connect(f"redis://127.0.0.1:{closed.getsockname()[1]}")


async def test_user_password_and_database_come_from_the_url(store_url: str, wire: Wire) -> None:
    await wire.call("ACL", "SETUSER", "ada", "on", ">s3same", "~*", "+@all")
    login = store_url.replace("unix://", "unix://ada:s3same@")
    mine = await Wire.connect(login + "?db=3")
    assert await mine.call("ACL", "WHOAMI") == b"ada"
    await mine.call("SET", "here", 1)
    assert await wire.call("EXISTS", "here") == 0
    await mine.close()
    with pytest.raises(StoreUnavailable, match="invalid username-password"):
        await Wire.connect(login.replace("s3same", "wrong"))
    await wire.call("ACL", "DELUSER", "ada")


async def test_a_closed_client_refuses(wire: Wire) -> None:
    blocked = wire.call("BLPOP", "nothing", 30, block=30)
    await wire.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        await blocked
    with pytest.raises(StoreUnavailable, match="closed"):
        await wire.call("PING")


def test_it_runs_on_uvloop_as_well(store_url: str) -> None:
    async def main() -> list[object]:
        wire = await Wire.connect(store_url)
        try:
            return await asyncio.gather(*(wire.call("INCR", "n") for _ in range(100)))
        finally:
            await wire.close()

    assert uvloop.run(main()) == list(range(1, 101))
