"""CloudEvents 1.0 as facts: what a JSON object that says ``specversion`` means, and one whose attributes are headers.

By the JSON event format and the HTTP protocol binding of version 1.0.2.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, cast
from urllib.parse import unquote

import msgspec

from overture.intake import fields
from overture.intake.caps import Caps
from overture.intake.codes import clip, refused
from overture.intake.plain import from_json
from overture.model import Refused
from overture.model.fact import TYPE_NAME
from overture.model.ids import IDENTIFIERS
from overture.model.names import snake

VERSION = "specversion"
HEADER = "ce-"
IS_EVENT = HEADER + VERSION
"""The header by which a request is an event in binary mode."""

_NEEDED = ("id", "source", "type")
_APART = ("data", "data_base64", VERSION)
_SAID = {"/type": "/type", "/contact": "/subject", "/occurred_at": "/time", "/properties": "/data", "/id": "/id"}


def attributes(headers: Mapping[str, str]) -> dict[str, str]:
    """The attributes of an event in binary mode by name, ``datacontenttype`` included."""
    found = {name.lower(): value for name, value in headers.items()}
    event = {name.removeprefix(HEADER): unquote(value) for name, value in found.items() if name.startswith(HEADER)}
    return {"datacontenttype": found["content-type"], **event} if "content-type" in found else event


def unpacked(event: Mapping[str, str], body: bytes, caps: Caps) -> dict[str, Any]:
    """An event in binary mode as in structured mode: ``event`` as `attributes` answers it, the body its data, plain."""
    media = event.get("datacontenttype", "").lower()
    told: dict[str, Any] = dict(event)
    if body and not _is_json(media):
        try:
            told |= (
                {"data": body.decode()}
                if media.startswith("text/")
                else {"data_base64": base64.b64encode(body).decode()}
            )
        except UnicodeDecodeError as e:
            raise refused("fact.not_utf8", f"Byte {e.start} of the data is not UTF-8.", "/data") from None
    try:
        checked = from_json(msgspec.json.encode(told), caps)
    except UnicodeEncodeError:
        raise refused("fact.surrogate") from None
    return {**checked, "data": _data(body, caps)} if body and _is_json(media) else checked


def fact_of(event: dict[str, Any], caps: Caps) -> dict[str, Any]:
    """The fact that an event tells, itself plain. Raises `Refused` with a place in the event."""
    if event[VERSION] != "1.0":
        raise refused("fact.event_version", f"This is CloudEvents {clip(event[VERSION])}, not 1.0.", f"/{VERSION}")
    for name in _NEEDED:
        if not (isinstance(event.get(name), str) and event[name]):
            raise refused("fact.event_attribute", f"The event has no {name} that is text.", f"/{name}")
    fact: dict[str, Any] = {
        "id": _id(event["source"], event["id"]),
        "type": _type(event["type"]),
        "properties": _properties(event, caps),
        "context": {"event": {name: value for name, value in event.items() if name not in _APART}},
    }
    if (subject := event.get("subject")) is not None:
        fact["contact"] = _contact(subject)
    if (time := event.get("time")) is not None:
        fact["occurred_at"] = time
    return fact


def placed(error: Refused) -> Refused:
    """The error of a fact as one of the event that it was made of."""
    if error.code == "fact.contact_missing":
        error.pointer = "/subject"
    for ours, theirs in _SAID.items():
        if error.pointer.startswith(ours):
            error.pointer = theirs + error.pointer[len(ours) :]
            break
    return error


def _type(told: str) -> str:
    """``com.acme.OrderCompleted`` → ``com.acme.order_completed``; what is a type already stays as it is."""
    if TYPE_NAME.fullmatch(told):
        return told
    return ".".join(name for part in told.split(".") if (name := snake(part))) or told


def _contact(subject: object) -> object:
    """A user's id, or another identifier in the form of a contact's id: ``email:…``, ``anonymous_id:…``,
    ``external:<name>:…``.
    """
    if not isinstance(subject, str):
        return subject
    kind, colon, value = subject.partition(":")
    if not colon or kind not in IDENTIFIERS[1:]:
        return subject
    if kind != "external":
        return {kind: value}
    name, _, value = value.partition(":")
    return {"external": {name: value}}


def _id(source: str, id: str) -> str:
    """Both together name an event; a source, being a URI, has no space."""
    told = f"{source} {id}"
    if " " not in source and fields.is_name(told, 200):
        return told
    return f"event {sha256(msgspec.json.encode([source, id])).hexdigest()}"


def _properties(event: dict[str, Any], caps: Caps) -> dict[str, Any]:
    data = event.get("data")
    if (packed := event.get("data_base64")) is not None:
        try:
            raw = base64.b64decode(packed, validate=True)
        except (TypeError, ValueError, binascii.Error):
            raise refused("fact.event_data", pointer="/data_base64") from None
        if not _is_json(str(event.get("datacontenttype", "")).lower()):
            return {"data_base64": packed}
        data = _data(raw, caps)
    if data is None:
        return {}
    return cast("dict[str, Any]", data) if isinstance(data, dict) else {"data": data}


def _data(raw: bytes, caps: Caps) -> Any:
    """A JSON value, held to what a fact may hold."""
    read = from_json(b'{"data":' + raw + b"}", caps)
    if len(read) != 1:
        raise refused("fact.malformed", pointer="/data")
    return read["data"]


def _is_json(media: str) -> bool:
    """Whether data of this media type is JSON; what has none is."""
    media = media.partition(";")[0].strip()
    return not media or media.endswith(("/json", "+json"))
