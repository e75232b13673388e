"""Values as they are written in a test."""

from __future__ import annotations

from datetime import datetime

import msgspec

from overture.intake.fields import milliseconds
from overture.rules.reading import Reading
from overture.rules.yamltext import Mapping, Scalar, YamlNode
from overture.trial.document import Named


def named(scalar: Scalar) -> Named:
    return Named(scalar.text, scalar.place, scalar.pointer)


def instant(reading: Reading, node: YamlNode) -> int | None:
    """Milliseconds since the epoch; None, and reported, for anything but an RFC 3339 time with an offset."""
    text = node.text if isinstance(node, Scalar) and isinstance(node.value, str) else ""
    at = milliseconds_of(text)
    if at is None:
        hint = "Write it as 2026-03-27T10:00:00+01:00, with an offset or Z."
        reading.report.add("test.instant", f"{text[:80]!r} is no instant" if text else "This is no instant", node, hint)
    return at


def milliseconds_of(text: str) -> int | None:
    try:
        moment = msgspec.convert(text, datetime)
    except msgspec.ValidationError:
        return None
    at = milliseconds(moment) if moment.tzinfo is not None else -1
    return at if at >= 0 else None


def child(node: Mapping, pointer: str) -> YamlNode:
    """What a pointer into a posted fact names, in the flat form of tests; the whole where it is not written."""
    for part in reversed(pointer.split("/")[1:3]):
        found = node.items.get(part.replace("~1", "/").replace("~0", "~"))
        if found is not None:
            return found
    return node
