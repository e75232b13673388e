"""For any input: intake answers or refuses, never breaks; what is valid comes through; the two readers agree."""

from __future__ import annotations

import gzip
import json
import re
from typing import Any

import msgpack
from hypothesis import example, given, settings
from hypothesis import strategies as st

from overture.intake import CODES, Caps, careful, parse, quick
from overture.model import Draft, Refused
from overture.model.clock import to_text
from overture.model.ids import RESERVED

NOW = 1774605600000  # 2026-03-27T10:00:00Z
CAPS = Caps()

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
names = st.text(min_size=1, max_size=40).filter(lambda s: s.isprintable() and not s.isspace())
user_ids = names.filter(lambda s: not s.startswith((*RESERVED, "$")))
numbers = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
objects = st.dictionaries(texts, values, max_size=5)
contacts = user_ids | st.fixed_dictionaries(
    {},
    optional={
        "user_id": user_ids,
        "anonymous_id": names,
        "email": st.emails(),
        "external": st.dictionaries(
            st.from_regex(r"[A-Za-z0-9_-]{1,20}", fullmatch=True), names, min_size=1, max_size=3
        ),
    },
).filter(bool)
facts = st.fixed_dictionaries(
    {"type": st.from_regex(r"[a-z][a-z0-9_]{0,20}(\.[a-z0-9_]{1,9}){0,2}", fullmatch=True), "contact": contacts},
    optional={
        "id": names,
        "occurred_at": st.integers(0, NOW + 86_400_000).map(to_text),
        "properties": objects,
        "context": objects,
    },
).filter(lambda f: f["type"] != "consent")
styles = st.sampled_from(
    [{}, {"indent": 1}, {"separators": (",", ":")}, {"ensure_ascii": False}, {"separators": (" , ", " : ")}]
)

# Text that is nearly a fact: where the quick reader could be led astray.
SCRAPS = r"""
{"type":"a"   ,"contact":"b"   ,"properties":{   "x":   "x" :   "\":"   "a":1,"a":2   }   [   ]   ,   {   {}   "   \
9007199254740993   NaN   1e999   1.0   -0   null   "\ud800"   "\u0000"   "é"   "contact":{"email":"A@b"}   "id":"i"
"occurred_at":"2026-03-27T10:00:00"   "occurred_at":"2016-12-31T23:59:60Z"
"""
scraps = st.sampled_from([*re.split(r"\n|   ", SCRAPS.strip()), " ", "\n", "\t"])


def outcome(reader: Any, raw: bytes) -> Draft | str:
    try:
        return reader(raw, NOW, CAPS)
    except Refused as e:
        return e.code if e.code in CODES else f"unknown: {e.code}"


def same(a: Draft, b: Draft) -> bool:
    """Equal, types included (1 is not 1.0 nor True); an id made here is random."""
    pair = [(d.id if d.dedupe else "", d.type, d.ids, d.occurred_at, d.properties, d.context, d.dedupe) for d in (a, b)]
    return repr(pair[0]) == repr(pair[1])


def agree(raw: bytes) -> None:
    draft = quick.read(raw, NOW, CAPS)
    if draft is not None:
        slow = outcome(careful.read_json, raw)
        assert isinstance(slow, Draft)
        assert same(draft, slow)


def expected(fact: dict[str, Any]) -> dict[str, Any]:
    who = fact["contact"]
    ids = {"user_id": who} if isinstance(who, str) else dict(who)
    return ids | ({"email": ids["email"].lower()} if "email" in ids else {})


@settings(max_examples=150)
@given(facts, styles)
def test_a_valid_fact_comes_through(fact: dict[str, Any], style: dict[str, Any]):
    for raw in (json.dumps(fact, **style).encode(), msgpack.packb(fact)):
        parsed = parse(raw, now=NOW, caps=CAPS)
        assert parsed.rejected == []
        (draft,) = parsed.drafts
        assert draft.type == fact["type"]
        assert draft.ids == expected(fact)
        assert draft.properties == fact.get("properties", {})
        assert draft.context == fact.get("context", {})
        assert (None if draft.occurred_at is None else to_text(draft.occurred_at)) == fact.get("occurred_at")
        assert draft.dedupe == ("id" in fact)
        assert not draft.dedupe or draft.id == fact["id"]


@settings(max_examples=150)
@given(facts, styles)
def test_the_quick_reader_takes_the_usual_and_agrees_with_the_careful_one(fact: dict[str, Any], style: dict[str, Any]):
    agree(json.dumps(fact, **style).encode())


@settings(max_examples=400)
@given(st.lists(scraps, max_size=14).map("".join))
@example('{"type" :"a","type" :"b","contact":"ada","id":"\\":\\":"}')
def test_the_readers_agree_on_scraps(text: str):
    agree(text.encode())
    agree(('{"type":"a","contact":"b","properties":{' + text + "}}").encode())


@settings(max_examples=300)
@given(
    st.binary(max_size=200) | st.lists(scraps, max_size=20).map(lambda s: "".join(s).encode()),
    st.sampled_from(["", "gzip", "deflate", "br"]),
)
def test_any_bytes_are_answered_or_refused(body: bytes, encoding: str):
    for raw in (body, gzip.compress(body), b"\x92" + body, b"[" + body + b"]", b"{\n" + body):
        try:
            parsed = parse(raw, now=NOW, caps=CAPS, encoding=encoding)
        except Refused as e:
            assert e.code in CODES  # noqa: PT017
        else:
            assert sorted(parsed.indexes + [r.index for r in parsed.rejected]) == list(
                range(len(parsed.drafts) + len(parsed.rejected))
            )
            assert all(r.code in CODES for r in parsed.rejected)
