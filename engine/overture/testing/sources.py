"""The contract of a source that others call, as one plain coroutine, and requests to call it with."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from overture.model import clock
from overture.plugin import Answer, Incoming, Posted, PushSource, Refuse
from overture.plugin.listening import malformed
from overture.testing.checking import CANCELLED, Seen, within
from overture.testing.valid import check_facts

HOSTILE = (
    b"", b"\x00", b"\xff\xfe\x00", b"null", b"true", b"7", b"-1e999", b'"text"', b"[]", b"{}", b"[{}]", b"[[]]",
    b"[null]", b"{", b"{]", b'{"":', b"a=b&c", b"a=%", b"%ff%00", b"data=e30=", b"<a/>", b"\x1f\x8b\x08\x00",
    b"--x\r\n\r\n--x--\r\n",
    b"[" * 100_000, b'{"a":' * 50_000, b"[" * 50_000 + b"]" * 50_000, b"{" * 100_000, b"9" * 100_000, b'"\\ud800"',
    b'{"a": NaN, "b": Infinity}', b'["' + b"x" * 2**20 + b'"]', b" " * 2**20, b"&" * 2**18, b"a=b&" * 2**17,
)  # fmt: skip
"""Bodies that nobody should send, and somebody will."""


class Caller(Protocol):
    """Whoever calls the source under test: the service whose requests it reads. `SignedCaller` is one."""

    @property
    def bodies(self) -> Sequence[bytes]:
        """Bodies as the service sends them, each with other facts than the rest; at least two."""
        ...

    def request(self, body: bytes) -> Incoming:
        """A request with this body, signed as the service signs, whatever the body is."""
        ...

    def forged(self, body: bytes) -> Sequence[Incoming]:
        """Requests with this body that are not the service's: unsigned, signed with another secret, another body.
        None where callers show a write key, which the server checks.
        """
        ...


def incoming(body: bytes, *, method: str = "POST", path: str = "~", **more: Any) -> Incoming:
    """A request as a source is given it; ``more`` are fields of `Incoming`. It came now, as the clock says."""
    given: dict[str, Any] = {
        "endpoint": path, "path": path, "parts": {}, "query": {}, "headers": {}, "inflated": body, "at": clock.now(),
        "peer": "192.0.2.1", **more,
    }  # fmt: skip
    return Incoming(method=method, body=body, **given)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedCaller:
    """A `Caller` of a source that checks who calls. ``sign`` answers the headers that go with a body and a secret;
    ``headers`` are those that prove nothing.

    Its forgeries: no headers, those of another secret, those of another body, and each header with nonsense in it.
    """

    bodies: Sequence[bytes]
    secret: str
    sign: Callable[[bytes, str], Mapping[str, str]]
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    path: str = "~"
    query: Mapping[str, str] = field(default_factory=dict[str, str])

    def request(self, body: bytes) -> Incoming:
        return self._with(body, self.sign(body, self.secret))

    def forged(self, body: bytes) -> Sequence[Incoming]:
        right = self.sign(body, self.secret)
        wrong: list[Mapping[str, str]] = [
            {},
            self.sign(body, self.secret[::-1] + "x"),
            self.sign(body + b" ", self.secret),
        ]
        wrong += [{**right, name: text} for name in right for text in ("", "nonsense", "x" * 5_000, "é")]
        return [self._with(body, headers) for headers in wrong if headers != right]

    def _with(self, body: bytes, headers: Mapping[str, str]) -> Incoming:
        named = {name.lower(): value for name, value in {**self.headers, **headers}.items()}
        return incoming(body, path=self.path, headers=named, query=self.query)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyedCaller:
    """A `Caller` of a source whose callers show a write key, which the server checks."""

    bodies: Sequence[bytes]
    path: str = "~"
    query: Mapping[str, str] = field(default_factory=dict[str, str])
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    def request(self, body: bytes) -> Incoming:
        return incoming(body, path=self.path, query=self.query, headers=self.headers)

    def forged(self, body: bytes) -> Sequence[Incoming]:
        return ()


async def check_source(open_source: Callable[[], PushSource], caller: Caller, *, secret: str = "") -> None:
    """Run the whole contract of a source that others call; AssertionError with a sentence where it is broken.

    ``secret`` is a credential in the settings of what ``open_source`` opens: it must not show in any repr, error text,
    answer or log.
    """
    source = open_source()
    with Seen(source) as seen:
        try:
            await _right(source, caller, seen)
            await _forged(source, caller, seen)
            await _hostile(source, caller, seen)
            await _cancelled(source, caller)
            await _right(source, caller, seen)
        finally:
            await within(source.close(), "close()")
        await within(source.close(), "close() a second time")
        unused = open_source()
        seen.add(unused)
        await within(unused.close(), "close() of a source that was never used")
    seen.must_not_show(secret)


async def _said(source: PushSource, request: Incoming, what: str, seen: Seen) -> Posted | Answer | Refuse:
    """Any of the three that `parse` may end with, in good form."""
    try:
        said: object = await within(source.parse(request), f"parse() of {what}")
    except Refuse as refusal:
        said = refusal
    except AssertionError:
        raise
    except Exception as error:
        raise AssertionError(f"parse() of {what} must answer or raise Refuse, and raised {error!r}") from error
    seen.add(said)
    if isinstance(said, Refuse):
        assert said.status in range(400, 500), f"the status of a Refuse is from 400 to 499, not {said.status!r}"
        assert said.code, "a Refuse has a code"
        assert said.message, "a Refuse has a sentence"
        return said
    assert isinstance(said, Posted | Answer), f"parse() of {what} answers Posted or Answer, not {said!r}"
    wrong = malformed(said)
    assert not wrong, f"parse() of {what} answered a malformed {type(said).__name__}: {wrong}"
    return said


async def _right(source: PushSource, caller: Caller, seen: Seen) -> None:
    assert len(caller.bodies) >= 2, "the caller of the check has at least two bodies"
    known: dict[str, bytes] = {}
    for body in caller.bodies:
        request = caller.request(body)
        said = await _said(source, request, "a right request", seen)
        assert isinstance(said, Posted), f"parse() of a right request answers Posted, not {said!r}"
        assert said.facts, "a right request has facts"
        check_facts(said.facts, own=True)
        ids = [fact.get("id") for fact in said.facts]
        assert all(ids), "each fact has an id, so that it takes effect once when it comes again"
        assert len(ids) == len(set(ids)), f"each fact of a request has an id of its own: {ids!r}"
        for id in ids:
            assert known.setdefault(str(id), body) == body, f"two different requests have the fact id {id!r}"
        again = await _said(source, replace(request, at=request.at + 60_000, peer="192.0.2.2"), "it again", seen)
        assert isinstance(again, Posted), f"the same request again is Posted again, not {again!r}"
        same = [fact.get("id") for fact in again.facts]
        assert same == ids, f"the same request again must give the same fact ids: {ids!r}, then {same!r}"


async def _forged(source: PushSource, caller: Caller, seen: Seen) -> None:
    for body in caller.bodies[:2]:
        for request in caller.forged(body):
            said = await _said(source, request, "a forged request", seen)
            assert isinstance(said, Refuse), (
                f"a request that is not the service's must raise Refuse: {request.headers!r}"
            )


async def _hostile(source: PushSource, caller: Caller, seen: Seen) -> None:
    cut = [body[: len(body) // 2] for body in caller.bodies] + [body + b"\x00" for body in caller.bodies]
    for body in (*HOSTILE, *cut):
        await _said(source, caller.request(body), f"the body {body[:24]!r} ({len(body)} bytes)", seen)
    request = caller.request(caller.bodies[0])
    for odd in (
        replace(request, headers={}, query={}, parts={}),
        replace(request, query={"": "", "a" * 5_000: "\x00", "key": "é" * 5_000}),
        replace(
            request, headers={**request.headers, "content-type": "\x00;;=,charset=none", "user-agent": "é" * 5_000}
        ),
        replace(request, headers={**request.headers, "content-type": "multipart/form-data; boundary="}),
    ):
        await _said(source, odd, "odd headers", seen)


async def _cancelled(source: PushSource, caller: Caller) -> None:
    task = asyncio.ensure_future(source.parse(caller.request(caller.bodies[0])))
    await asyncio.sleep(0)
    task.cancel()
    done, _ = await asyncio.wait({task}, timeout=CANCELLED)
    assert done, "parse() must end when it is cancelled"
