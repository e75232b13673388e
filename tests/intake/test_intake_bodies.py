"""What a body may look like: shapes, encodings, caps; and that a hostile one costs no memory."""

from __future__ import annotations

import gzip
import json
import tracemalloc
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgpack
import pytest

from overture.intake import CODES, Caps, Parsed, parse
from overture.model import Draft, Refused

NOW = 1774605600000  # 2026-03-27T10:00:00Z
CAPS = Caps()
FACT: dict[str, Any] = {
    "id": "f1",
    "type": "page_viewed",
    "contact": {"user_id": "ada", "email": "Ada@Example.org", "external": {"crm": "0031"}},
    "occurred_at": "2026-03-27T10:30:00.250+01:00",
    "properties": {"topic": "seo", "nested": {"list": [1, 2.5, None, True, "é😀"]}},
    "context": {"ip": "192.0.2.1"},
}
DRAFT = Draft(
    "f1",
    "page_viewed",
    {"user_id": "ada", "email": "ada@example.org", "external": {"crm": "0031"}},
    1774603800250,
    FACT["properties"],
    FACT["context"],
)
ONE = json.dumps(FACT).encode()
TINY = b'{"type":"a","contact":"b"}'


def read(body: bytes, **hints: str) -> Parsed:
    return parse(body, now=NOW, caps=CAPS, **hints)


def refused(body: bytes, **hints: str) -> str:
    with pytest.raises(Refused) as caught:
        read(body, **hints)
    assert caught.value.code in CODES
    return caught.value.code


@contextmanager
def at_most(mib: int) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < mib * 2**20


ALONE = {
    "compact": json.dumps(FACT, separators=(",", ":")).encode(),
    "pretty": json.dumps(FACT, indent=2).encode(),
    "pretty, CRLF": json.dumps(FACT, indent="\t").replace("\n", "\r\n").encode(),
    "odd spaces": json.dumps(FACT, separators=(" ,\n", "\t: ")).encode(),
    "byte order mark": b"\xef\xbb\xbf" + ONE,
    "not ASCII-escaped": json.dumps(FACT, ensure_ascii=False).encode(),
    "trailing newline": ONE + b"\n\n",
    "gzip": gzip.compress(ONE),
    "gzip in two members": gzip.compress(ONE[:50]) + gzip.compress(ONE[50:]) + b"\0" * 512,
    "msgpack": msgpack.packb(FACT),
    "msgpack, gzip": gzip.compress(msgpack.packb(FACT)),
}


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "application/x-www-form-urlencoded", ""])
@pytest.mark.parametrize("name", ALONE)
def test_one_fact_in_many_guises(name: str, content_type: str):
    assert read(ALONE[name], content_type=content_type) == Parsed([DRAFT], [0], [], True)


BATCHES = {
    "lines": b"\n".join([ONE] * 3),
    "lines, CRLF, blank ones": b"\r\n" + b"\r\n\r\n".join([ONE] * 3) + b"\r\n",
    "array": b"[" + b",".join([ONE] * 3) + b"]",
    "pretty array": json.dumps([FACT] * 3, indent=2).encode(),
    "msgpack array": msgpack.packb([FACT] * 3),
    "msgpack array16": b"\xdc\x00\x03" + msgpack.packb(FACT) * 3,
    "msgpack array32": b"\xdd\x00\x00\x00\x03" + msgpack.packb(FACT) * 3,
}


@pytest.mark.parametrize("squeeze", [bytes, gzip.compress])
@pytest.mark.parametrize("name", BATCHES)
def test_a_batch_in_many_guises(name: str, squeeze: Any):
    assert read(squeeze(BATCHES[name])) == Parsed([DRAFT] * 3, [0, 1, 2], [], False)


def test_an_empty_array_is_an_empty_batch():
    assert read(b"[]") == read(b" [ ] ") == read(b"\x90") == Parsed([], [], [], False)


def test_one_line_labelled_ndjson_is_a_batch_of_one():
    assert not read(ONE, content_type="application/x-ndjson").single
    assert not read(ONE, content_type="application/jsonl").single
    assert read(ONE, content_type="application/json").single


@pytest.mark.parametrize("first", [b"[1, 2]", b"[]", b"[", b"[oops", b"[" + ONE, b"[" + ONE + b"],"])
def test_lines_labelled_ndjson_may_begin_with_a_bracket(first: bytes):
    parsed = read(b" \n" + first + b"\n" + ONE + b"\r\n[3]\n" + ONE, content_type="application/x-ndjson")
    assert parsed.indexes == [1, 3]
    assert [r.index for r in parsed.rejected] == [0, 2]
    assert {r.code for r in parsed.rejected} <= {"fact.not_object", "fact.malformed"}


def test_an_array_stays_one_whatever_its_label():
    for body in (BATCHES["array"], BATCHES["pretty array"]):
        assert read(body, content_type="application/x-ndjson").drafts == [DRAFT] * 3


def test_a_malformed_pretty_object_is_one_bad_fact_and_not_many_lines():
    parsed = read(b'{\n  "type": "a",\n  "contact": {"user_id": "ada"},\n}')
    assert parsed.single
    assert [r.code for r in parsed.rejected] == ["fact.malformed"]


def test_lines_may_begin_with_a_bad_one():
    parsed = read(b"oops\n" + ONE + b"\n{\n" + ONE)
    assert parsed.indexes == [1, 3]
    assert [(r.index, r.code) for r in parsed.rejected] == [(0, "fact.malformed"), (2, "fact.malformed")]


def test_what_is_missing_gets_its_default():
    (draft,) = read(TINY).drafts
    assert draft.occurred_at is None
    assert draft.properties == draft.context == {}
    assert not draft.dedupe
    (other,) = read(TINY).drafts
    assert draft.id != other.id


def test_a_fact_at_its_caps_is_taken():
    deep: Any = 1
    for _ in range(30):
        deep = [deep]
    wide = {f"k{i}": i for i in range(253)}
    heavy = TINY[:-1] + b',"id":"' + b"x" * 200 + b'","properties":{"x":"'
    heavy += b"y" * (64 * 1024 - len(heavy) - 3) + b'"}}'
    assert len(heavy) == 64 * 1024
    for body in (
        json.dumps({"type": "a", "contact": "b", "properties": {"x": deep}}).encode(),
        json.dumps({"type": "a", "contact": "b", "properties": wide}).encode(),
        heavy,
        b'{"type":"a","contact":"b","properties":{"n":[9007199254740992,-9007199254740992,1e300]}}',
        b'{"type":"' + b"a" * 128 + b'","contact":"' + b"b" * 256 + b'","occurred_at":"2026-03-28T10:00:00Z"}',
        b'{"type":"a","contact":"b","occurred_at":"1970-01-01T00:00:00Z"}',
        b"\n".join([TINY] * CAPS.facts),
    ):
        assert not read(body).rejected


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("2016-12-31T23:59:60Z", 1483228799999),
        ("2016-12-31T23:59:60.000Z", 1483228799999),
        ("2016-12-31T23:59:60.75Z", 1483228799999),
        ("2016-12-31T15:59:60-08:00", 1483228799999),
        ("2017-01-01T05:29:60+05:30", 1483228799999),
        ("1972-06-30T23:59:60+00:00", 78796799999),
    ],
)
def test_a_leap_second_is_the_last_millisecond_before_it(text: str, ms: int):
    fact = {"type": "a", "contact": "b", "occurred_at": text}
    for body in (json.dumps(fact).encode(), msgpack.packb(fact), json.dumps([fact]).encode()):
        (draft,) = read(body).drafts
        assert draft.occurred_at == ms


def test_consent_with_all_it_needs_is_taken():
    body = (
        b'{"type":"consent","contact":"b","properties":{"channel":"email","purpose":"news","state":"denied","form":7}}'
    )
    assert read(body).drafts[0].properties["state"] == "denied"


def test_headers_are_hints_and_the_bytes_decide():
    assert read(zlib.compress(ONE), encoding="deflate").drafts == [DRAFT]
    assert read(zlib.compress(ONE)[2:-4], encoding=" Deflate").drafts == [DRAFT]
    assert read(ONE, encoding="gzip").drafts == [DRAFT]
    assert read(ONE, encoding="deflate").drafts == [DRAFT]
    assert read(gzip.compress(ONE), encoding="identity", content_type="text/plain").drafts == [DRAFT]
    assert read(ONE, content_type="application/msgpack").drafts == [DRAFT]
    assert read(msgpack.packb(FACT), content_type="application/json").drafts == [DRAFT]


@pytest.mark.parametrize(
    ("code", "body", "encoding"),
    [
        ("body.empty", b"", ""),
        ("body.empty", b" \r\n\t", ""),
        ("body.empty", b"\xef\xbb\xbf", ""),
        ("body.empty", gzip.compress(b""), "gzip"),
        ("body.malformed", b"[" + ONE, ""),
        ("body.malformed", b"[" + ONE + b"] x", ""),
        ("body.malformed", b'["' + b'\\"' * 100_000, ""),
        ("body.malformed", msgpack.packb(FACT)[:-1], ""),
        ("body.malformed", msgpack.packb(FACT) + b"\x01", ""),
        ("body.malformed", b"\x91\xc1", ""),
        ("body.malformed", b"\xdc\x00", ""),
        ("body.malformed", b"\xdf\xff\xff\xff\xff", ""),
        ("body.malformed", b"\x91" + b"\xdd\xff\xff\xff\xff" * 1000, ""),
        ("body.encoding", ONE, "br"),
        ("body.encoding", ONE, "gzip, gzip"),
        ("body.corrupt", gzip.compress(ONE)[:-9], "gzip"),
        ("body.corrupt", b"\x1f\x8b" + ONE, ""),
        ("body.corrupt", gzip.compress(ONE) + b"junk", ""),
        ("body.corrupt", gzip.compress(b"") * 2000, ""),
        ("body.corrupt", zlib.compress(ONE)[:-1] + b"\0", "deflate"),
        ("body.corrupt", zlib.compress(ONE) + b"junk", "deflate"),
        ("body.too_large", b" " * (CAPS.body + 1), ""),
        ("body.too_many_facts", b"\n".join([TINY] * (CAPS.facts + 1)), ""),
        ("body.too_many_facts", b"[" + b",".join([TINY] * (CAPS.facts + 1)) + b"]", ""),
        ("body.too_many_facts", msgpack.packb([1] * (CAPS.facts + 1)), ""),
    ],
)
def test_a_body_of_which_nothing_can_be_used(code: str, body: bytes, encoding: str):
    assert refused(body, encoding=encoding) == code


def bomb(mib: int, squeeze: Any) -> bytes:
    return b"".join([squeeze.compress(b" " * 2**20) for _ in range(mib)]) + squeeze.flush()


@pytest.mark.parametrize(("wbits", "encoding"), [(31, "gzip"), (15, "deflate"), (-15, "deflate")])
def test_a_bomb_of_a_gibibyte_costs_no_more_than_the_cap(wbits: int, encoding: str):
    body = bomb(1024, zlib.compressobj(9, zlib.DEFLATED, wbits))
    assert len(body) < 2**21
    with at_most(48):
        assert refused(body, encoding=encoding) == "body.inflated_too_large"


def test_members_of_a_bomb_are_counted_together():
    member = gzip.compress(b" " * 2**20)
    with at_most(48):
        assert refused(member * 17) == "body.inflated_too_large"


@pytest.mark.parametrize(
    "body",
    [
        b"[" * CAPS.body,
        b"{" * CAPS.body,
        b"\x91" * CAPS.body,
        b"\n" * CAPS.body,
        b"[" + b"1," * (CAPS.body // 2 - 2) + b"1]",
        b"[" + b"{}," * 2_000_000 + b"{}]",
        b'["' + b'\\"' * (CAPS.body // 2 - 1),
        b"\xdd\xff\xff\xff\xff" * 1000,
        b"\x91" + b"\x01" * (CAPS.body - 1),
    ],
    ids=["brackets", "braces", "packed", "newlines", "ones", "objects", "quotes", "promises", "trailing"],
)
def test_sixteen_mebibytes_of_nothing_cost_little(body: bytes):
    with at_most(128):
        try:
            parsed = read(body)
        except Refused as e:
            assert e.code in ("body.empty", "body.malformed", "body.too_many_facts", "body.too_many_values")  # noqa: PT017
        else:
            assert parsed.drafts == []
            assert len(parsed.rejected) == 1


@pytest.mark.parametrize("levels", [1000, 100_000])
def test_deep_nesting_spoils_only_its_own_fact(levels: int):
    deep = b'{"type":"a","contact":"b","properties":{"x":' + b"[" * levels + b"]" * levels + b"}}"
    expected = "fact.too_deep" if levels == 1000 else "fact.too_large"
    for body in (b"\n".join([TINY, deep, TINY]), b"[" + b",".join([TINY, deep, TINY]) + b"]"):
        with at_most(32):
            parsed = read(body)
        assert parsed.indexes == [0, 2]
        assert [(r.index, r.code) for r in parsed.rejected] == [(1, expected)]
