"""The entries of a Redis stream as facts: at least once, under ids that follow from those of the entries."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any, Self

from pydantic import Field, model_validator
from redis.asyncio import Redis
from redis.asyncio.connection import parse_url
from redis.exceptions import RedisError

from overture.plugin import Emit, NoFact, PullSourcePlugin, Secret, hookimpl
from overture_sources.records import UNREADABLE, RecordConfig, Unreadable, added, fact_of, shown, whole

BLOCK = 5.0  # seconds that the store is asked to wait for an entry
PATIENCE = 10.0  # seconds without an answer, beyond that
BATCH = 500  # entries
SCHEMES = ("redis://", "rediss://", "unix://")
BEGINNING = "0-0"

Entry = tuple[bytes, dict[bytes, bytes]]


class StreamConfig(RecordConfig):
    """``json_field``: the field with a whole fact; otherwise as `RecordConfig` says."""

    url: Secret
    key: str = Field(min_length=1)
    json_field: str = ""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if not self.url.get_secret_value().startswith(SCHEMES):
            raise ValueError(f"url begins with {', '.join(SCHEMES)}")
        try:
            parse_url(self.url.get_secret_value())
        except ValueError:  # which quotes what it takes for the port
            raise ValueError(UNREADABLE) from None
        if sum(map(bool, (self.json_field, self.type, self.type_field))) != 1:
            raise ValueError("one of json_field, type and type_field says what an entry is")
        if not self.json_field:
            self.told()
        return self


class RedisStream:
    """An open source for one stream."""

    def __init__(self, config: StreamConfig) -> None:
        self._config = config
        self._store: Redis = Redis.from_url(  # pyright: ignore[reportUnknownMemberType]
            config.url.get_secret_value(), socket_timeout=None, socket_connect_timeout=PATIENCE
        )
        self._prefix = "redis:" + sha256(config.key.encode()).hexdigest()[:8]

    async def run(self, emit: Emit) -> None:
        key = self._config.key
        while True:
            place = emit.place or BEGINNING
            try:
                # Not by the client's own timeout: under Python 3.11 that may swallow a cancellation.
                async with asyncio.timeout(BLOCK + PATIENCE):
                    found: Any = await self._store.xread({key: place}, count=BATCH, block=int(BLOCK * 1000))
            except (RedisError, TimeoutError) as error:
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
                    refused.append(
                        NoFact({"entry": id.decode(), "fields": shown(_texts(fields))}, "source.entry", str(why))
                    )
            await emit(facts, entries[-1][0].decode(), backfill=self._config.backfill, refused=refused)

    async def close(self) -> None:
        await self._store.aclose()

    def fact(self, id: str, fields: Mapping[bytes, bytes]) -> dict[str, Any]:
        """The fact in an entry. Raises `Unreadable`."""
        config = self._config
        made = self._whole(fields) if config.json_field else self._from_fields(fields)
        if "occurred_at" not in made:
            made["occurred_at"] = added(id.partition("-")[0])
        return {"id": f"{self._prefix}:{id}", **made}

    def _whole(self, fields: Mapping[bytes, bytes]) -> dict[str, Any]:
        name = self._config.json_field
        if name.encode() not in fields:
            raise Unreadable(f"There is no field {name}.")
        return whole(fields[name.encode()], f"The field {name}")

    def _from_fields(self, fields: Mapping[bytes, bytes]) -> dict[str, Any]:
        try:
            return fact_of(self._config, {name.decode(): value.decode() for name, value in fields.items()})
        except UnicodeDecodeError:
            raise Unreadable("The entry is not UTF-8.") from None


def _entries(found: Any) -> list[Entry]:
    """Of the one stream that was asked for; an entry that was deleted meanwhile may have no fields."""
    return [(id, fields or {}) for _, entries in found for id, fields in entries]


def _texts(fields: Mapping[bytes, bytes]) -> dict[str, str]:
    return {name.decode("utf-8", "replace"): value.decode("utf-8", "replace") for name, value in fields.items()}


@hookimpl
def overture_sources() -> Iterable[PullSourcePlugin[StreamConfig]]:
    yield PullSourcePlugin(name="redis_stream", config=StreamConfig, open=RedisStream)
