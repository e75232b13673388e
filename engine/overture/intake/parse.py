"""Bytes in, drafts out: the whole of intake in one pure call."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from overture.intake import careful, quick
from overture.intake.caps import Caps
from overture.intake.codes import refused
from overture.intake.inflate import inflate
from overture.intake.shape import says_lines, shape
from overture.model import Draft, Refused


class Rejection(msgspec.Struct, frozen=True):
    """One fact that was refused: its place in the batch, a stable code, a sentence, a JSON pointer into the fact."""

    index: int
    code: str
    message: str
    pointer: str


class Parsed(msgspec.Struct, frozen=True):
    """``indexes[i]`` is the place of ``drafts[i]`` in the batch; a body of one fact is ``single``."""

    drafts: list[Draft]
    indexes: list[int]
    rejected: list[Rejection]
    single: bool


def parse(
    body: bytes,
    now: int,
    caps: Caps,
    encoding: str = "",
    content_type: str = "",
    event: Mapping[str, str] | None = None,
) -> Parsed:
    """Read the facts in a body; a bad one is in ``rejected`` and does not touch the others.

    ``event``: the attributes of a CloudEvent whose data the body is (`cloudevents.attributes`).

    ``encoding`` and ``content_type`` are the HTTP headers; both are hints, the bytes decide. ``now`` in milliseconds
    is what no fact may lie far ahead of. Raises `Refused` (``body.*``) only where nothing of the body can be used.
    """
    if len(body) > caps.body:
        raise refused("body.too_large")
    if event:
        try:
            return Parsed([careful.read_event(event, inflate(body, encoding, caps), now, caps)], [0], [], True)
        except Refused as e:
            return Parsed([], [], [_rejection(0, e)], True)
    # Most bodies are one plain JSON fact; the quick reader recognises it as fast as anything could sniff it.
    if body[:1] == b"{" and not encoding and not says_lines(content_type):
        draft = quick.read(body, now, caps)
        if draft is not None:
            return Parsed([draft], [0], [], True)
    single, packed, pieces = shape(inflate(body, encoding, caps), content_type, caps)
    read = careful.read_msgpack if packed else careful.read_json
    drafts: list[Draft] = []
    indexes: list[int] = []
    rejected: list[Rejection] = []
    for index, piece in enumerate(pieces):
        draft = None if packed else quick.read(piece, now, caps)
        if draft is None:
            try:
                draft = read(piece, now, caps)
            except Refused as e:
                rejected.append(_rejection(index, e))
                continue
        drafts.append(draft)
        indexes.append(index)
    return Parsed(drafts, indexes, rejected, single)


def _rejection(index: int, e: Refused) -> Rejection:
    return Rejection(index, e.code, e.message, e.pointer)
