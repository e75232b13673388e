"""Records with named fields (entries of a stream, messages of a queue, rows of a table): which is what in a fact."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Literal, cast

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from overture_sources.fitting import clean
from overture_sources.reports import loaded

UNREADABLE = "url cannot be read: in a user name or password, / ? # : and @ are written %2F %3F %23 %3A %40"
Type = Literal["int", "number", "bool", "json"]


class Unreadable(ValueError):
    """A record that is no fact; the text is a sentence about it."""


class RecordContact(BaseModel):
    """The fields that say who it is about; ``external``: by the name of the system."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    user_id: str = ""
    email: str = ""
    anonymous_id: str = ""
    external: dict[str, str] = Field(default_factory=dict[str, str])

    def places(self) -> Iterator[str]:
        return filter(None, (self.user_id, self.email, self.anonymous_id, *self.external.values()))


class RecordConfig(BaseModel):
    """``type``, or ``type_field``, and ``contact`` say where the parts of a fact are. ``properties``: fields by
    property, without any all that are not named; ``types`` of what is text and means something else.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    type: str = ""
    type_field: str = ""
    contact: RecordContact = RecordContact()
    id: str = ""
    occurred_at: str = ""
    properties: dict[str, str] = Field(default_factory=dict[str, str])
    types: dict[str, Type] = Field(default_factory=dict[str, Type])
    backfill: bool = False

    def told(self) -> None:
        """ValueError where it does not say whom a record is about."""
        if not any(self.contact.places()):
            raise ValueError("contact names the field that says who it is about")


def fact_of(config: RecordConfig, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fact in a record, without what it does not say. Raises `Unreadable`."""
    who = config.contact
    named = {"user_id": who.user_id, "email": who.email, "anonymous_id": who.anonymous_id}
    contact: dict[str, Any] = {n: value for n, place in named.items() if (value := _text(fields, place))}
    if external := {n: value for n, place in who.external.items() if (value := _text(fields, place))}:
        contact["external"] = external
    used = {*who.places(), config.type_field, config.id, config.occurred_at}
    places = config.properties or {name: name for name in fields if name not in used and not name.startswith("$")}
    found = ((name, place, look(fields, place)) for name, place in places.items())
    fact: dict[str, Any] = {
        "type": config.type or _text(fields, config.type_field),
        "contact": contact,
        "properties": {n: typed(v, config.types.get(n), place) for n, place, v in found if v is not None},
    }
    for name, place in (("id", config.id), ("occurred_at", config.occurred_at)):
        if value := _text(fields, place):
            fact[name] = value
    return fact


def look(fields: Mapping[str, Any], place: str) -> Any:
    """A field by its name, or by names joined by dots where it lies deeper; None where there is none."""
    if place in fields or "." not in place:
        return fields.get(place)
    found: Any = fields
    for name in place.split("."):
        found = cast("Mapping[str, Any]", found).get(name) if isinstance(found, Mapping) else None
    return found


def _text(fields: Mapping[str, Any], place: str) -> str:
    """What names something; empty where it is not there, or is nothing that names."""
    value = plain(look(fields, place)) if place else None
    return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


def plain(value: Any) -> Any:
    """A value of a table as JSON has it."""
    match value:
        case datetime():
            return (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()
        case date():
            return value.isoformat()
        case Decimal():
            whole = value.is_finite() and value == value.to_integral_value() and abs(value) < 2**53
            return int(value) if whole else float(value)
        case bytes() | memoryview():
            raise Unreadable("It has bytes that are no text.")
        case str() | int() | float() | bool() | None | dict() | list():
            return cast(Any, value)
        case _:
            return str(value)


def typed(value: Any, type: Type | None, place: str) -> Any:
    """As a property: text is read as its ``type`` says. Raises `Unreadable`."""
    value = plain(value)
    if type is None or not isinstance(value, str):
        return value
    try:
        match type:
            case "int":
                return int(value)
            case "number":
                return float(value)
            case "json":
                return msgspec.json.decode(value.encode())
            case "bool":
                return {"true": True, "1": True, "false": False, "0": False}[value.lower()]
    except (KeyError, ValueError, RecursionError):
        raise Unreadable(f"The field {place} is not of type {type}.") from None


def added(ms: int | str) -> str:
    """When a record was added, as its store says. Raises `Unreadable` where that is no time."""
    try:
        return datetime.fromtimestamp(int(ms) / 1000, UTC).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError, OSError):
        raise Unreadable("When it was added is no time, and it has none of its own.") from None


def whole(told: str | bytes, what: str) -> dict[str, Any]:
    """A JSON object that is a fact. Raises `Unreadable`."""
    value = loaded(told)
    if not isinstance(value, dict):
        raise Unreadable(f"{what} is no JSON object.")
    return cast("dict[str, Any]", value)


def shown(fields: Mapping[str, Any]) -> dict[str, str]:
    """As much of them as a person needs to know the record by."""
    return {clean(str(name))[:200]: clean(str(value))[:1000] for name, value in list(fields.items())[:50]}
