"""Requests as a source is given them, and bodies that nobody should send."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from hypothesis import strategies as st

from overture.intake import Caps, parse
from overture.plugin import Incoming, Posted, Refuse

NOW = 1_774_605_600_000  # 2026-03-27T10:00:00Z

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


HOSTILE = (
    b"", b"7", b"[]", b"{}", b"{", b"null", b"\xff\xfe", b"data=", b"data=%", b"data=e30", b"?", b"&=&",
    b'{"batch":' + b"[" * 100_000, b"[" * 200_000,
    b'{"batch": 7, "data": 7, "requests": 7}', b'{"batch": [7, null, [], "x", {}], "data": [7, null, [], "x", {}]}',
    b'{"requests": [7, null, [], "x", {}, "?rec=1", "?' + b"a=b&" * 2000 + b'"]}',
    b'{"batch": [{"event": "\\ud800", "distinct_id": "\\ud800", "uuid": "\\ud800", "timestamp": "\\ud800"}]}',
    b'{"batch": [{"event": "a", "distinct_id": "b", "properties": {"n": ' + b"9" * 5000 + b', "x": NaN, "y": 1e999}}]}',
    b'{"data": [{"e": "pv", "eid": "\\ud800", "uid": "\\udfff", "dtm": "' + b"9" * 5000 + b'"}]}',
    b'{"data": [{"e": "ue", "ue_px": "e30==========", "cx": "\\u0000", "uid": {"a": [1]}, "dtm": -1}]}',
    b'{"api_key": "\\ud800", "batch": [{"event": "a", "distinct_id": "b"}]}',
    b'{"batch": [{"event": "a", "distinct_id": "b", "properties": ' + b'{"a":' * 400 + b"1" + b"}" * 400 + b"}]}",
)  # fmt: skip
"""No JSON, other types than are meant, text that is none, numbers without end, nesting."""


def asked(body: Any, path: str, at: int = NOW, **more: Any) -> Incoming:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    given: dict[str, Any] = {"parts": {}, "query": {}, "headers": {}, "method": "POST", "path": path, **more}
    return Incoming(endpoint=path, body=raw, inflated=raw, at=at, peer="192.0.2.1", **given)


def posted(source: Any, body: Any, path: str, **more: Any) -> Posted:
    """What a source makes of a request."""
    answer = asyncio.run(source.parse(asked(body, path, **more)))
    assert isinstance(answer, Posted)
    return answer


def taken(posted: Posted) -> None:
    """Intake finds nothing wrong with how the facts are written."""
    for fact in posted.facts:
        for refusal in parse(json.dumps(fact).encode(), NOW, Caps()).rejected:
            assert refusal.code.startswith(_SAID) or refusal.pointer.startswith("/occurred_at"), (refusal, fact)


def usable(source: Any, body: bytes, path: str, **more: Any) -> None:
    """Whatever the body is, it is facts or refused, and the source goes on."""
    try:
        taken(posted(source, body, path, **more))
    except Refuse as refusal:
        if (refusal.code, refusal.status) != ("source.body", 400):
            raise


_SAID = (
    "fact.contact", "fact.user_id", "fact.identifier", "fact.id_", "fact.time", "fact.past", "fact.future",
    "fact.type_reserved", "fact.consent", "fact.surrogate", "fact.nul",
)  # fmt: skip
"""What a sender says that only it can know: who, when, which."""
