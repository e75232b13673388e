"""CloudEvents 1.0 as the facts that they tell, and what is wrong with one, with its place."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overture.intake import Caps, parse
from overture.intake.cloudevents import attributes
from overture.intake.parse import Parsed

NOW = 1_774_605_600_000  # 2026-03-27T10:00:00Z
CAPS = Caps()
EVENT: dict[str, Any] = {
    "specversion": "1.0",
    "id": "e1",
    "source": "/shop",
    "type": "com.acme.OrderCompleted",
    "subject": "ada",
    "time": "2026-03-27T09:00:00.123Z",
    "data": {"total": 9.5},
    "traceparent": "00-ab",
}


def structured(body: Any) -> Parsed:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return parse(raw, NOW, CAPS, "", "application/cloudevents+json")


def binary(body: bytes, content_type: str = "application/json", **more: str) -> Parsed:
    headers = {f"ce-{name}": value for name, value in {**EVENT, **more}.items() if name != "data"}
    return parse(body, NOW, CAPS, "", content_type, attributes({**headers, "Content-Type": content_type}))


def one(**more: Any) -> Any:
    (draft,) = structured({**EVENT, **more}).drafts
    return draft


def test_an_event_is_the_same_fact_in_each_mode():
    (draft,) = structured(EVENT).drafts
    assert (draft.id, draft.type, draft.dedupe) == ("/shop e1", "com.acme.order_completed", True)
    assert (draft.ids, draft.properties) == ({"user_id": "ada"}, {"total": 9.5})
    assert draft.occurred_at == 1_774_602_000_123
    assert draft.context["event"].items() >= {"id": "e1", "source": "/shop", "traceparent": "00-ab"}.items()
    (other,) = binary(b'{"total": 9.5}').drafts
    assert (other.id, other.type, other.ids, other.properties) == (draft.id, draft.type, draft.ids, draft.properties)
    assert other.occurred_at == draft.occurred_at
    batch = structured([EVENT, {**EVENT, "id": "e2"}])
    assert ([each.id for each in batch.drafts], batch.single) == (["/shop e1", "/shop e2"], False)


@pytest.mark.parametrize(
    ("told", "type"),
    [
        ("order_completed", "order_completed"),
        ("com.github.pull_request.opened", "com.github.pull_request.opened"),
        ("order__twice", "order__twice"),
        ("com.Acme.someThing-happened", "com.acme.some_thing_happened"),
        ("Order Completed", "order_completed"),
    ],
)
def test_the_type(told: str, type: str):
    assert one(type=told).type == type


@pytest.mark.parametrize(
    ("subject", "ids"),
    [
        ("ada", {"user_id": "ada"}),
        ("email:Ada@example.org", {"email": "ada@example.org"}),
        ("anonymous_id:c1", {"anonymous_id": "c1"}),
        ("external:crm:0031", {"external": {"crm": "0031"}}),
        ("urn:user:7", {"user_id": "urn:user:7"}),
    ],
)
def test_the_subject_is_the_contact(subject: str, ids: dict[str, Any]):
    assert one(subject=subject).ids == ids


def test_source_and_id_together_are_the_id():
    ids = {one(source=source, id=id).id for source, id in (("a", "b c"), ("a b", "c"), ("a", "b\nc"), ("a" * 300, "b"))}
    assert len(ids) == 4
    assert all(len(id) <= 200 for id in ids)


@pytest.mark.parametrize(
    ("more", "properties"),
    [
        ({"data": None}, {}),
        ({"data": [1, 2]}, {"data": [1, 2]}),
        ({"data": "text", "datacontenttype": "text/plain"}, {"data": "text"}),
        ({"data": None, "data_base64": base64.b64encode(b'{"a": 1}').decode()}, {"a": 1}),
        ({"data": None, "data_base64": "AAE=", "datacontenttype": "image/png"}, {"data_base64": "AAE="}),
    ],
)
def test_the_data(more: dict[str, Any], properties: dict[str, Any]):
    assert one(**more).properties == properties


@pytest.mark.parametrize(
    ("body", "content_type", "properties"),
    [
        (b"", "", {}),
        (b"[1]", "application/json; charset=utf-8", {"data": [1]}),
        (b'{"a": 1}', "application/vnd.acme+json", {"a": 1}),
        ("Grüße".encode(), "text/plain", {"data": "Grüße"}),
        (b"\x00\x01", "image/png", {"data_base64": "AAE="}),
    ],
)
def test_the_data_in_binary_mode(body: bytes, content_type: str, properties: dict[str, Any]):
    (draft,) = binary(body, content_type).drafts
    assert draft.properties == properties


def test_attributes_in_headers_are_percent_encoded():
    (draft,) = binary(b"{}", subject="J%C3%BCrgen%20K").drafts
    assert draft.ids == {"user_id": "Jürgen K"}


@pytest.mark.parametrize(
    ("more", "code", "pointer"),
    [
        ({"specversion": "0.3"}, "fact.event_version", "/specversion"),
        ({"specversion": 1}, "fact.event_version", "/specversion"),
        ({"source": ""}, "fact.event_attribute", "/source"),
        ({"id": 7}, "fact.event_attribute", "/id"),
        ({"type": None}, "fact.event_attribute", "/type"),
        ({"type": "购买"}, "fact.type_invalid", "/type"),
        ({"type": "message.sent"}, "fact.type_reserved", "/type"),
        ({"subject": None}, "fact.contact_missing", "/subject"),
        ({"subject": 7}, "fact.contact_invalid", "/subject"),
        ({"subject": "email:nobody"}, "fact.email_invalid", "/subject/email"),
        ({"time": "2026-03-27T09:00:00"}, "fact.time_without_offset", "/time"),
        ({"time": "soon"}, "fact.time_invalid", "/time"),
        ({"data": {"n": 2**60}}, "fact.number_range", "/data/n"),
        ({"type": "consent", "data": {}}, "fact.consent_invalid", "/data"),
        ({"data_base64": "!"}, "fact.event_data", "/data_base64"),
        ({"data_base64": 7}, "fact.event_data", "/data_base64"),
        ({"data_base64": base64.b64encode(b"1,2").decode()}, "fact.malformed", ""),
        ({"data_base64": base64.b64encode(b'1,"a":2').decode()}, "fact.malformed", "/data"),
        ({"data_base64": base64.b64encode(b"[" * 40 + b"]" * 40).decode()}, "fact.too_deep", "/data" + "/0" * 31),
    ],
)
def test_what_is_wrong_has_its_place(more: dict[str, Any], code: str, pointer: str):
    (rejection,) = structured([{**EVENT, **more}]).rejected
    assert (rejection.code, rejection.pointer) == (code, pointer)


@pytest.mark.parametrize(
    ("body", "content_type", "code"),
    [
        (b"{", "application/json", "fact.malformed"),
        (b'1,"type":"x"', "application/json", "fact.malformed"),
        (b"\xff", "text/plain", "fact.not_utf8"),
        (b'{"a": 1, "a": 2}', "application/json", "fact.duplicate_key"),
        (b'{"a": ' + b"[" * 100_000, "application/json", "fact.too_large"),
        (b"[" * 60_000, "application/json", "fact.too_deep"),
    ],
)
def test_what_is_wrong_in_binary_mode(body: bytes, content_type: str, code: str):
    (rejection,) = binary(body, content_type).rejected
    assert rejection.code == code


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from([*EVENT, "data_base64", "datacontenttype"])


@settings(max_examples=300)
@given(st.dictionaries(NAMES, JSON), st.sampled_from(["application/json", "text/plain", "image/png", ""]), st.binary())
def test_whatever_an_event_holds_it_is_a_fact_or_refused(more: dict[str, Any], content_type: str, body: bytes):
    for parsed in (structured({**EVENT, **more}), binary(body, content_type)):
        assert len(parsed.drafts) + len(parsed.rejected) == 1
