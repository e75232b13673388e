"""What goes between who asks and the renderer: frames of MessagePack behind their length (4 bytes, big-endian)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

import msgspec

from overture.model.errors import Overloaded
from overture.model.pages import Fault, Page, Piece, Rendered, RenderRefused

LENGTH = 4
LARGEST_ANSWER = 8 * 1024 * 1024  # bytes; the fields of a message are bounded by themselves
RECYCLED, BROKEN = 3, 4  # exit codes: has done its share; cannot begin


class Render(msgspec.Struct, frozen=True, tag=True):
    """``locale``: for who has none."""

    page: Page
    context: Any
    locale: str


class Check(msgspec.Struct, frozen=True, tag=True):
    pieces: list[Piece]


class Done(msgspec.Struct, frozen=True, tag=True):
    rendered: Rendered


class Refusal(msgspec.Struct, frozen=True, tag=True):
    code: str
    message: str
    hint: str


class Checked(msgspec.Struct, frozen=True, tag=True):
    faults: list[Fault | None]


class Died(msgspec.Struct, frozen=True, tag=True):
    """What was asked first of all that is open ended the process, by this signal (0: by none)."""

    signal: int


Ask = Render | Check
Answer = Done | Refusal | Checked | Died

_encode = msgspec.msgpack.Encoder().encode
_answer = msgspec.msgpack.Decoder(Answer).decode
_ask = msgspec.msgpack.Decoder(Ask).decode


class Garbled(Exception):
    """What came is no answer: whoever sent it is not to be asked again."""


def frame(message: Ask | Answer) -> bytes:
    try:
        body = _encode(message)
    except (UnicodeEncodeError, OverflowError, TypeError, NotImplementedError):
        if not isinstance(message, Render):
            raise
        body = _encode(Render(message.page, _sendable(message.context), message.locale))
    return len(body).to_bytes(LENGTH, "big") + body


def asked(body: bytes) -> Ask:
    return _ask(body)


class Answers:
    """Bytes as they come → answers."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Answer]:
        """Raises Garbled."""
        buffer = self._buffer
        buffer += data
        while len(buffer) >= LENGTH:
            size = int.from_bytes(buffer[:LENGTH], "big")
            if size > LARGEST_ANSWER:
                raise Garbled(f"{size} bytes")
            if len(buffer) < LENGTH + size:
                return
            body = bytes(buffer[LENGTH : LENGTH + size])
            del buffer[: LENGTH + size]
            try:
                yield _answer(body)
            except (msgspec.DecodeError, RecursionError) as error:
                raise Garbled(str(error)[:200]) from None


def rendered(answer: Answer) -> Rendered:
    """Raises RenderRefused."""
    match answer:
        case Done(rendered):
            return rendered
        case Refusal(code, message, hint):
            raise RenderRefused(code, message, hint)
        case _:
            raise gone("it answered something else")


def faults(answer: Answer, pieces: int) -> list[Fault | None]:
    """Of a check. One that ended the process is told at its first piece; it is asked piece by piece then."""
    match answer:
        case Checked(faults) if len(faults) == pieces:
            return faults
        case Refusal(_, message, hint):
            return [Fault(message.rstrip("."), 0, hint), *[None] * (pieces - 1)]
        case _:
            raise gone("it answered something else")


def gone(why: str) -> Overloaded:
    text = f"The process that renders templates cannot be asked: {why}."
    return Overloaded("template.no_renderer", text, retry_after=5, status=503)


def was_too_slow(answer: Answer) -> bool:
    """Then it is asked once more: a machine that stood still may be charged to what was computing."""
    return isinstance(answer, Refusal) and answer.code == "template.too_slow"


def crashed(ask: Ask, signal: int) -> Refusal:
    """What is said of the one that was being worked on."""
    what = f"The template {ask.page.name}" if isinstance(ask, Render) else "The template"
    if signal == TOO_SLOW:
        return Refusal("template.too_slow", f"{what} takes longer than {MOMENT * 1000:.0f} ms.", "Make it simpler.")
    hint = "Most often it takes more memory than there is: look for texts that are doubled, and numbers without bound."
    return Refusal("template.crashed", f"{what} ended the process that renders it.", hint)


TOO_SLOW = 27  # SIGPROF
MOMENT = 0.25  # seconds of computing that one message may take
MEMORY = 192 * 1024**2  # bytes of address space that it may have beyond what is there already


def _sendable(value: Any) -> Any:
    """What MessagePack can carry of anything."""
    if isinstance(value, Mapping):
        return {_sendable(str(k)): _sendable(v) for k, v in cast(Mapping[Any, Any], value).items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_sendable(each) for each in cast(list[Any], value)]
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int) and abs(value) < 2**63:
        return value
    return str(value).encode("utf-8", "replace").decode()
