"""The client of the hot path: many callers, one connection, one write per turn of the event loop.

Per-request clients spend more time on bookkeeping than the store spends on the command. Here every call made in one
turn of the loop goes out in a single write, and replies are handed out in order. What is not hot (pub/sub, probing,
administration) uses redis-py.
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, cast

import hiredis
from redis.asyncio.connection import parse_url

from overture.model.errors import OvertureError, StoreUnavailable

Arg = str | bytes | int | float

# The store's first words for "not now": to the caller that is a store that is unavailable, not a wrong command.
_NOT_NOW = frozenset(
    {"LOADING", "MISCONF", "OOM", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "NOREPLICAS", "BUSY", "TRYAGAIN"}
)
_NOTHING = object()
_pack = cast(Callable[[tuple[Arg, ...]], bytes], hiredis.pack_command)  # pyright: ignore[reportUnknownMemberType]
# A reply may already lie in the socket when the loop itself was late: look once more before blaming the store.
_GRACE = 0.05
_FIRST_PAUSE = 0.02
_LONGEST_PAUSE = 0.5


class ReplyError(OvertureError):
    """The store refused a command. ``code`` is the reply's first word (``WRONGTYPE``, ``NOSCRIPT``, ``ERR`` …)."""


class Wire:
    """A multiplexed connection to one store node. It belongs to the event loop in which it was connected.

    - Calls made in the same turn of the loop reach the store in that order, with no foreign command between them.
    - A lost connection fails all calls in flight with `StoreUnavailable` (whether they took effect is unknown). The
      next call connects again; calls made meanwhile wait up to ``timeout`` seconds, then fail with `StoreUnavailable`.
    - A reply that is ``timeout`` seconds late drops the connection, so a half-open peer never hangs a caller.
    - Replies are bytes, ints, lists or None. Errors nested in a list (``EXEC``) are left in it as values.
    - Give a blocking command (``XREAD BLOCK``) a `Wire` of its own: replies come in order, so others would wait.
    """

    def __init__(self, url: str, timeout: float = 5.0) -> None:
        """Use `connect`. ``url``: ``redis://``, ``rediss://`` or ``unix://`` as redis-py reads it; ``timeout``: s."""
        self.timeout = timeout
        self._url = url
        self._loop = asyncio.get_running_loop()
        self._link: _Link | None = None
        self._queued: list[_Call] = []
        self._connecting: asyncio.Task[None] | None = None
        self._reason = "The store was never connected."
        self._closed = False

    @classmethod
    async def connect(cls, url: str, timeout: float = 5.0) -> Wire:
        """Connect, trying once. Raises `StoreUnavailable` when that fails, ``ValueError`` for a URL that is none."""
        wire = cls(url, timeout)
        wire._link = await _open(url, timeout, wire._lost)
        return wire

    def call(self, *args: Arg, block: float = 0.0) -> asyncio.Future[Any]:
        """Send one command; the future holds its reply. ``block``: seconds the command itself may block (finite).

        Raises (through the future) `ReplyError` or `StoreUnavailable`.
        """
        return self._submit(_Call(self._loop.create_future(), args, block))

    def script(self, source: str) -> Script:
        """A Lua script that travels once per connection and is called by its hash."""
        return Script(self._submit, self._loop, source)

    async def close(self) -> None:
        """Drop the connection; calls in flight and later ones fail with `StoreUnavailable`."""
        self._closed = True
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.wait([self._connecting])
        self._reason = "This client of the store is closed."
        if self._link is not None:
            self._link.end(self._reason)
        for call in self._queued:
            self._expire(call)
        self._queued = []

    def _submit(self, call: _Call) -> asyncio.Future[Any]:
        if self._link is not None:
            self._link.submit(call)
        elif self._closed:
            self._expire(call)
        else:
            self._queued.append(call)
            self._loop.call_later(self.timeout, self._expire, call)
            if self._connecting is None:
                self._connecting = self._loop.create_task(self._reconnect())
        return call.future

    def _lost(self, reason: str) -> None:
        self._link, self._reason = None, reason

    def _expire(self, call: _Call) -> None:
        if not call.sent and not call.future.done():
            _fail(call.future, self._reason)

    async def _reconnect(self) -> None:
        pause = _FIRST_PAUSE
        try:
            while self._queued:
                try:
                    link = await _open(self._url, self.timeout, self._lost)
                except StoreUnavailable as error:
                    self._reason = error.message
                else:
                    if not link.dead:
                        self._link = link
                        break
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
                self._queued = [call for call in self._queued if not call.future.done()]
        finally:
            self._connecting = None
        queued, self._queued = self._queued, []
        for call in queued:
            if not call.future.done():
                self._submit(call)


class Script:
    """A Lua script bound to a `Wire`.

    When the store has forgotten the script (SCRIPT FLUSH, a failover) each call in flight falls back to EVAL by itself,
    in the order of the replies; a call made in the meantime may overtake it. A script whose order matters must check
    its own precondition, as the fenced ones do.
    """

    def __init__(
        self, submit: Callable[[_Call], asyncio.Future[Any]], loop: asyncio.AbstractEventLoop, source: str
    ) -> None:
        self.source = source
        self.sha = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()
        self._submit = submit
        self._loop = loop

    def call(self, keys: Sequence[Arg], args: Sequence[Arg] = ()) -> asyncio.Future[Any]:
        """Run the script; replies and errors as in `Wire.call`."""
        call = _Call(self._loop.create_future(), ("EVALSHA", self.sha, len(keys), *keys, *args), 0.0)
        call.script = self
        return self._submit(call)


def _fail(future: asyncio.Future[Any], message: str) -> None:
    future.set_exception(StoreUnavailable(message))
    # Of many calls in flight one caller may look at the first failure only: the others are no news for the log.
    future.exception()


class _Call:
    """One command on its way. Packed when made, so that an argument of a wrong type raises at the caller's line."""

    __slots__ = ("args", "block", "deadline", "future", "packed", "script", "sent")

    def __init__(self, future: asyncio.Future[Any], args: tuple[Arg, ...], block: float) -> None:
        self.future = future
        self.args = args
        self.packed = _pack(args)
        self.block = block
        self.deadline = 0.0
        self.script: Script | None = None
        self.sent = False


class _Link(asyncio.Protocol):
    """One connection from its opening to its loss; never used again after that."""

    def __init__(self, timeout: float, lost: Callable[[str], None]) -> None:
        self.dead = False
        self._timeout = timeout
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._reader = hiredis.Reader(replyError=_reply_error, notEnoughData=_NOTHING)
        self._waiting: deque[_Call] = deque()
        self._loaded: set[str] = set()
        self._buffer: list[bytes] = []
        self._last_deadline = 0.0
        self._watch: asyncio.TimerHandle | None = None

    def submit(self, call: _Call) -> None:
        script = call.script
        if script is not None and script.sha not in self._loaded:
            self._loaded.add(script.sha)
            load = _Call(self._loop.create_future(), ("SCRIPT", "LOAD", script.source), 0.0)
            load.future.cancel()  # nobody waits: if it fails, EVALSHA answers NOSCRIPT and the fallback tells why
            self._write(load)
        self._write(call)

    def _write(self, call: _Call) -> None:
        # Deadlines never decrease along the queue (a blocking command holds up what follows): watch the head only.
        call.deadline = max(self._last_deadline, self._loop.time() + self._timeout + call.block)
        self._last_deadline = call.deadline
        call.sent = True
        self._waiting.append(call)
        if not self._buffer:
            self._loop.call_soon(self._flush)
        self._buffer.append(call.packed)
        if self._watch is None:
            self._watch = self._loop.call_at(call.deadline, self._late)

    def _flush(self) -> None:
        if self._transport is not None and not self.dead:
            self._transport.write(b"".join(self._buffer))
        self._buffer.clear()

    def _late(self, suspect: _Call | None = None) -> None:
        self._watch = None
        if not self._waiting:
            return
        head = self._waiting[0]
        if head is suspect:
            self.end(f"The store did not answer within {self._timeout:g} s.")
        elif head.deadline > self._loop.time():
            self._watch = self._loop.call_at(head.deadline, self._late)
        else:
            self._watch = self._loop.call_later(_GRACE, self._late, head)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        reader = self._reader
        reader.feed(data)
        try:
            while not self.dead and (reply := reader.gets()) is not _NOTHING:
                self._deliver(reply)
        except (hiredis.ProtocolError, IndexError):
            self.end("The store's address does not speak the Redis protocol.")

    def _deliver(self, reply: Any) -> None:
        call = self._waiting.popleft()
        future = call.future
        if not isinstance(reply, OvertureError):
            if not future.done():
                future.set_result(reply)
            return
        script = call.script
        if reply.code == "NOSCRIPT" and script is not None:
            self._loaded.discard(script.sha)
            self._write(_Call(future, ("EVAL", script.source, *call.args[2:]), 0.0))
        elif not future.done():
            future.set_exception(reply)

    def connection_lost(self, exc: Exception | None) -> None:
        self.end(f"The connection to the store was lost: {exc or 'it was closed by the store'}.")

    def end(self, reason: str) -> None:
        """Drop the connection and fail every call in flight; ``reason`` is the sentence they get."""
        if self.dead:
            return
        self.dead = True
        self._lost(reason)
        if self._transport is not None:
            self._transport.abort()
        if self._watch is not None:
            self._watch.cancel()
        while self._waiting:
            future = self._waiting.popleft().future
            if not future.done():
                _fail(future, reason)


async def _open(url: str, timeout: float, lost: Callable[[str], None]) -> _Link:
    """Connect, authenticate, select and see that the store serves (while it loads its data it does not)."""
    options = cast(dict[str, Any], parse_url(url))
    loop = asyncio.get_running_loop()
    link = _Link(timeout, lost)
    try:
        async with asyncio.timeout(timeout):
            if "path" in options:
                await loop.create_unix_connection(lambda: link, options["path"])
            else:
                tls = _tls(options) if url.startswith("rediss:") else None
                host, port = options.get("host", "localhost"), options.get("port", 6379)
                await loop.create_connection(lambda: link, host, port, ssl=tls)
            greeting: list[tuple[Arg, ...]] = [("PING",)]
            if db := int(options.get("db", 0)):
                greeting.insert(0, ("SELECT", db))
            if password := options.get("password"):
                greeting.insert(0, ("AUTH", options.get("username", "default"), password))
            calls = [_Call(loop.create_future(), args, 0.0) for args in greeting]
            for call in calls:
                link.submit(call)
            await asyncio.gather(*(call.future for call in calls))
    except (OSError, OvertureError) as error:
        why = f"no answer within {timeout:g} s" if isinstance(error, TimeoutError) else _why(error)
        reason = f"The store cannot be reached: {why}."
        link.end(reason)
        raise StoreUnavailable(reason) from error
    except BaseException:
        link.end("The attempt to connect was given up.")
        raise
    return link


def _why(error: OSError | OvertureError) -> str:
    text = error.message if isinstance(error, OvertureError) else error.strerror or str(error)
    return text.rstrip(".")


def _tls(options: dict[str, Any]) -> ssl.SSLContext:
    """Verified against the system's authorities unless the URL says otherwise (``ssl_cert_reqs``, ``ssl_ca_certs``)."""
    context = ssl.create_default_context(cafile=options.get("ssl_ca_certs"))
    if options.get("ssl_cert_reqs") == "none":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif not options.get("ssl_check_hostname", True):
        context.check_hostname = False
    if certificate := options.get("ssl_certfile"):
        context.load_cert_chain(certificate, options.get("ssl_keyfile"))
    return context


def _reply_error(text: str) -> OvertureError:
    code, _, rest = text.partition(" ")
    if code in _NOT_NOW:
        return StoreUnavailable(f"The store does not serve this now: {text}")
    return ReplyError(code, rest or text)
