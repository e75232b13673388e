"""The entries of a Redis stream as facts: at least once, under ids that follow from those of the entries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Literal, Self, cast

import msgspec
from pydantic import BaseModel, ConfigDict, Field, model_validator
from redis.asyncio import Redis
from redis.exceptions import RedisError

from overture.plugin import Emit, NoFact, PullSourcePlugin, Secret, hookimpl
from overture_sources.fitting import clean

BLOCK = 5.0  # seconds that the store is asked to wait for an entry
PATIENCE = 10.0  # seconds without an answer, beyond that
BATCH = 500  # entries
SCHEMES = ("redis://", "rediss://", "unix://")
BEGINNING = "0-0"

Entry = tuple[bytes, dict[bytes, bytes]]


class StreamContact(BaseModel):
    """The fields that say who it is about; ``external``: by the name of the system."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    user_id: str = ""
    email: str = ""
    anonymous_id: str = ""
    external: dict[str, str] = Field(default_factory=dict[str, str])


class StreamConfig(BaseModel):
    """``json_field``: the field with a whole fact; otherwise ``type``, or ``type_field``, and ``contact`` say where its
    parts are. ``properties``: fields by property, without any all that are not named; ``types`` of what is not text.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    url: Secret
    key: str = Field(min_length=1)
    json_field: str = ""
    type: str = ""
    type_field: str = ""
    contact: StreamContact = StreamContact()
    id: str = ""
    occurred_at: str = ""
    properties: dict[str, str] = Field(default_factory=dict[str, str])
    types: dict[str, Literal["int", "number", "bool", "json"]] = Field(
        default_factory=dict[str, Literal["int", "number", "bool", "json"]]
    )
    backfill: bool = False

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if not self.url.get_secret_value().startswith(SCHEMES):
            raise ValueError(f"url begins with {', '.join(SCHEMES)}")
        if sum(map(bool, (self.json_field, self.type, self.type_field))) != 1:
            raise ValueError("one of json_field, type and type_field says what an entry is")
        if not self.json_field and self.contact == StreamContact():
            raise ValueError("contact names the field that says who an entry is about")
        return self


class Unreadable(ValueError):
    """An entry that is no fact; the text is a sentence about it."""


class RedisStream:
    """An open source for one stream."""

    def __init__(self, config: StreamConfig) -> None:
        self._config = config
        self._store: Redis = Redis.from_url(  # pyright: ignore[reportUnknownMemberType]
            config.url.get_secret_value(), socket_timeout=BLOCK + PATIENCE, socket_connect_timeout=PATIENCE
        )
        self._prefix = "redis:" + sha256(config.key.encode()).hexdigest()[:8]

    async def run(self, emit: Emit) -> None:
        key = self._config.key
        while True:
            place = emit.place or BEGINNING
            try:
                found: Any = await self._store.xread({key: place}, count=BATCH, block=int(BLOCK * 1000))
            except RedisError as error:
                # What a store says may quote the command that it was sent, and with it what it was given to log in.
                raise ConnectionError(f"The stream cannot be read: {type(error).__name__}.") from None
            entries = _entries(found)
            if not entries:
                continue
            facts: list[Mapping[str, Any]] = []
            refused: list[NoFact] = []
            for id, fields in entries:
                try:
                    facts.append(self.fact(id.decode(), fields))
                except Unreadable as why:
                    refused.append(NoFact({"entry": id.decode(), "fields": _shown(fields)}, "source.entry", str(why)))
            await emit(facts, entries[-1][0].decode(), backfill=self._config.backfill, refused=refused)

    async def close(self) -> None:
        await self._store.aclose()

    def fact(self, id: str, fields: Mapping[bytes, bytes]) -> dict[str, Any]:
        """The fact in an entry. Raises `Unreadable`."""
        config = self._config
        made = self._whole(fields) if config.json_field else self._from_fields(fields)
        if "occurred_at" not in made:
            made["occurred_at"] = _added(id)
        return {"id": f"{self._prefix}:{id}", **made}

    def _whole(self, fields: Mapping[bytes, bytes]) -> dict[str, Any]:
        name = self._config.json_field
        if name.encode() not in fields:
            raise Unreadable(f"There is no field {name}.")
        try:
            fact: Any = msgspec.json.decode(fields[name.encode()])
        except (msgspec.DecodeError, ValueError, RecursionError):
            raise Unreadable(f"The field {name} is no JSON.") from None
        if not isinstance(fact, dict):
            raise Unreadable(f"The field {name} is no JSON object.")
        return cast("dict[str, Any]", fact)

    def _from_fields(self, fields: Mapping[bytes, bytes]) -> dict[str, Any]:
        config = self._config
        try:
            texts = {name.decode(): value.decode() for name, value in fields.items()}
        except UnicodeDecodeError:
            raise Unreadable("The entry is not UTF-8.") from None
        who = config.contact
        named = {"user_id": who.user_id, "email": who.email, "anonymous_id": who.anonymous_id}
        contact: dict[str, Any] = {n: texts[field] for n, field in named.items() if texts.get(field)}
        if external := {n: texts[field] for n, field in who.external.items() if texts.get(field)}:
            contact["external"] = external
        used = {*named.values(), *who.external.values(), config.type_field, config.id, config.occurred_at}
        places = config.properties or {name: name for name in texts if name not in used}
        fact: dict[str, Any] = {
            "type": config.type or texts.get(config.type_field, ""),
            "contact": contact,
            "properties": {
                name: _typed(texts[field], config.types.get(name, "text"), field)
                for name, field in places.items()
                if field in texts
            },
        }
        for name, field in (("id", config.id), ("occurred_at", config.occurred_at)):
            if texts.get(field):
                fact[name] = texts[field]
        return fact


def _entries(found: Any) -> list[Entry]:
    """Of the one stream that was asked for; an entry that was deleted meanwhile may have no fields."""
    return [(id, fields or {}) for _, entries in found for id, fields in entries]


def _added(id: str) -> str:
    """When an entry was added, as its id says."""
    try:
        return datetime.fromtimestamp(int(id.partition("-")[0]) / 1000, UTC).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError, OSError):
        raise Unreadable("The id of the entry is no time, and it has none of its own.") from None


def _typed(text: str, type: str, field: str) -> Any:
    try:
        match type:
            case "int":
                return int(text)
            case "number":
                return float(text)
            case "json":
                return msgspec.json.decode(text.encode())
            case "bool":
                return {"true": True, "1": True, "false": False, "0": False}[text.lower()]
            case _:
                return text
    except (KeyError, ValueError, msgspec.DecodeError, RecursionError):
        raise Unreadable(f"The field {field} is not of type {type}.") from None


def _shown(fields: Mapping[bytes, bytes]) -> dict[str, str]:
    """As much of them as a person needs to know the entry by."""
    pairs = [(name.decode("utf-8", "replace"), value.decode("utf-8", "replace")) for name, value in fields.items()]
    return {clean(name)[:200]: clean(value)[:1000] for name, value in pairs[:50]}


@hookimpl
def overture_sources() -> Iterable[PullSourcePlugin[StreamConfig]]:
    yield PullSourcePlugin(name="redis_stream", config=StreamConfig, open=RedisStream)
