"""A corpus of bad facts: each is refused with its code and place, alone and in the middle of a batch of good ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgpack
import pytest

from overture.intake import CODES, Caps, Parsed, parse
from overture.model import Refused

NOW = 1774605600000  # 2026-03-27T10:00:00Z
CAPS = Caps()
GOOD = b'{"id":"good","type":"page_viewed","contact":"ada","properties":{"topic":"seo"}}'
PACKED_GOOD = msgpack.packb({"type": "page_viewed", "contact": "ada"})


def fact(**more: Any) -> dict[str, Any]:
    return {"type": "a", "contact": "ada"} | more


def nested(levels: int) -> dict[str, Any]:
    value: Any = 1
    for _ in range(levels - 2):
        value = [value]
    return fact(properties={"x": value})


def corpus() -> list[Any]:
    cases: list[Any] = []
    for number, line in enumerate((Path(__file__).parent / "bad" / "facts.txt").read_text().splitlines(), 1):
        if not line.startswith("#"):
            code, pointer, text = line.split(" ", 2)
            cases.append(pytest.param(code, pointer.replace("-", ""), text.encode(), id=f"line{number}-{code}"))
    made = {
        "fact.not_object": [b"42", b'"ada"', b"null", b"true"],
        "fact.not_utf8": [b'{"type":"a","contact":"ad\xff"}', b'{"type":"a","contact":"\xed\xa0\x80"}'],
        "fact.malformed": [b'{"type":"a","contact":"a\x00b"}', b'{"type":"a","contact":"a\x1fb"}'],
        "fact.too_large": [json.dumps(fact(properties={"x": "y" * 65536})).encode()],
        "fact.too_deep": [
            json.dumps(nested(33)).encode(),
            b'{"type":"a","contact":"ada","properties":{"x":' + b"[" * 1000 + b"]" * 1000 + b"}}",
            b'{"type":"a","contact":"ada","properties":' + b'{"x":' * 5000 + b"1" + b"}" * 5001,
        ],
        "fact.too_many_keys": [
            json.dumps(fact(properties={f"k{i}": i for i in range(254)})).encode(),
            json.dumps(fact(properties={"x": [{"y": 1} for _ in range(256)]})).encode(),
        ],
        "fact.number_range": [b'{"type":"a","contact":"ada","properties":{"n":' + b"9" * 60_000 + b"}}"],
        "fact.type_invalid": [json.dumps(fact(type="a" * 129)).encode()],
        "fact.id_invalid": [json.dumps(fact(id="x" * 201)).encode()],
        "fact.identifier_invalid": [json.dumps(fact(contact="x" * 257)).encode()],
        "fact.email_invalid": [json.dumps(fact(contact={"email": "x" * 250 + "@a.io"})).encode()],
    }
    return cases + [
        pytest.param(code, None, body, id=f"{code}-{i}")
        for code, bodies in made.items()
        for i, body in enumerate(bodies)
    ]


def only(parsed: Parsed, index: int, code: str, pointer: str | None) -> None:
    assert [(r.index, r.code) for r in parsed.rejected] == [(index, code)]
    assert pointer is None or parsed.rejected[0].pointer == pointer
    assert parsed.rejected[0].message
    assert code in CODES


def test_the_corpus_is_large_enough():
    assert len(corpus()) >= 80


@pytest.mark.parametrize(("code", "pointer", "body"), corpus())
def test_refused_alone(code: str, pointer: str | None, body: bytes):
    parsed = parse(body, now=NOW, caps=CAPS)
    assert parsed.single
    assert not parsed.drafts
    only(parsed, 0, code, pointer)


@pytest.mark.parametrize(("code", "pointer", "body"), corpus())
def test_refused_in_lines_while_the_others_go_on(code: str, pointer: str | None, body: bytes):
    parsed = parse(b"\n".join([GOOD, body, GOOD, b"", GOOD]), now=NOW, caps=CAPS)
    assert parsed.indexes == [0, 2, 3]
    only(parsed, 1, code, pointer)


@pytest.mark.parametrize(("code", "pointer", "body"), corpus())
def test_refused_in_an_array_while_the_others_go_on(code: str, pointer: str | None, body: bytes):
    batch = b"[" + b" , ".join([GOOD, body, GOOD]) + b"]"
    if body == b'{"type":"a","contact":"ada"':  # what does not close its bracket swallows the array's
        with pytest.raises(Refused, match=r"body\.malformed"):
            parse(batch, now=NOW, caps=CAPS)
        return
    parsed = parse(batch, now=NOW, caps=CAPS)
    assert parsed.indexes == [0, 2]
    only(parsed, 1, code, pointer)


PACKED = [
    ("fact.binary", "/properties/x", msgpack.packb(fact(properties={"x": b"raw"}))),
    ("fact.binary", "/contact", msgpack.packb(fact(contact=b"ada"))),
    ("fact.extension", "/properties/x", msgpack.packb(fact(properties={"x": msgpack.ExtType(5, b"!")}))),
    ("fact.extension", "/properties/x/0", msgpack.packb(fact(properties={"x": [msgpack.Timestamp(1)]}))),
    ("fact.extension", "/occurred_at", msgpack.packb(fact(occurred_at=msgpack.Timestamp(1774605600)))),
    ("fact.key_not_text", "/properties", msgpack.packb(fact(properties={1: 2}))),
    ("fact.key_not_text", "/properties", msgpack.packb(fact(properties={b"a": 2}))),
    ("fact.key_not_text", "", b"\x81\x91\x01\x02"),
    ("fact.duplicate_key", "/type", b"\x83\xa4type\xa1a\xa4type\xa1b\xa7contact\xa3ada"),
    ("fact.not_utf8", "", b"\x82\xa4type\xa1a\xa7contact\xa1\xff"),
    ("fact.surrogate", None, b"\x82\xa4type\xa1a\xa7contact\xa3\xed\xa0\x80"),
    ("fact.nul", "/contact", msgpack.packb(fact(contact="a\0"))),
    ("fact.number_range", "/properties/n", msgpack.packb(fact(properties={"n": 2**63}))),
    ("fact.number_not_finite", "/properties/n", msgpack.packb(fact(properties={"n": float("nan")}))),
    ("fact.number_not_finite", "/properties/n", msgpack.packb(fact(properties={"n": float("-inf")}))),
    ("fact.too_deep", None, msgpack.packb(nested(33))),
    ("fact.too_deep", None, b"\x83\xa4type\xa1a\xa7contact\xa3ada\xaaproperties\x81\xa1x" + b"\x91" * 5000 + b"\x01"),
    ("fact.too_large", "", msgpack.packb(fact(properties={"x": "y" * 65536}))),
    ("fact.unknown_key", "/event", msgpack.packb(fact(event="b"))),
    ("fact.extension", "/properties/x", msgpack.packb(fact(properties={"x": msgpack.ExtType(5, b"!" * 3)}))),
]


@pytest.mark.parametrize(("code", "pointer", "body"), PACKED, ids=[f"{i}-{c[0]}" for i, c in enumerate(PACKED)])
def test_packed_facts_are_refused_alone_and_in_a_batch(code: str, pointer: str | None, body: bytes):
    code = "fact.not_utf8" if code == "fact.surrogate" else code  # UTF-8 has no way to write half a pair
    only(parse(body, now=NOW, caps=CAPS), 0, code, pointer)
    batch = parse(b"\x93" + PACKED_GOOD + body + PACKED_GOOD, now=NOW, caps=CAPS)
    assert batch.indexes == [0, 2]
    only(batch, 1, code, pointer)


def test_messages_name_what_was_probably_meant():
    def message(**more: Any) -> str:
        return parse(json.dumps(fact(**more)).encode(), now=NOW, caps=CAPS).rejected[0].message

    assert "Did you mean properties?" in message(propertes={})
    assert "Did you mean contact?" in message(userId="ada")
    assert "Did you mean occurred_at?" in message(timestamp="2026-03-27T10:00:00Z")
    assert "Did you mean" not in message(zzz=1)


def test_a_message_never_repeats_a_long_input():
    parsed = parse(json.dumps(fact(type="B" * 60_000)).encode(), now=NOW, caps=CAPS)
    assert len(parsed.rejected[0].message) < 200


def test_the_page_of_codes_is_the_table():
    from overture.intake.codes import to_markdown

    page = Path(__file__).parents[2] / "docs" / "fact-errors.md"
    assert page.read_text() == to_markdown()
