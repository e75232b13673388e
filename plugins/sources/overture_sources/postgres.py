"""The rows of a Postgres table as facts: each new and each changed one, told by a column that says when it changed."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Self

import msgspec
from pydantic import Field, model_validator

from overture.plugin import Emit, NoFact, PullSourcePlugin, Secret, hookimpl
from overture_sources.records import UNREADABLE, RecordConfig, Unreadable, fact_of, plain, shown
from overture_sources.reports import fact_id

if TYPE_CHECKING:
    from asyncpg import Connection, Record

BATCH = 500  # rows
TIMEOUT = 30.0  # seconds for a query
# Of a transaction that is prepared there is only the time when it was: `lag` is for what it took before. Vacuuming
# changes no row, and may take hours.
_UNTIL = """
SELECT LEAST(
    now() - $1::float8 * interval '1 second',
    (SELECT min(xact_start) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
        AND backend_type IS DISTINCT FROM 'autovacuum worker'),
    (SELECT min(prepared) - $1::float8 * interval '1 second' FROM pg_prepared_xacts
        WHERE database = current_database())
)
"""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_$]{0,62}")


class PostgresConfig(RecordConfig):
    """``table``: perhaps with its schema before a dot; ``key``: a column by which a row is known, ``updated_at`` the
    one that says when it changed last (an index over both helps). ``every``: seconds between two looks; ``lag``: a row
    that changed less than so many seconds ago is left for the next look, as an earlier one may not be committed yet.
    """

    url: Secret
    table: str
    key: str = "id"
    updated_at: str = "updated_at"
    every: float = Field(default=5.0, ge=0.1, le=86_400)
    lag: float = Field(default=5.0, ge=0, le=86_400)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if not self.url.get_secret_value().startswith(("postgresql://", "postgres://")):
            raise ValueError("url begins with postgresql://")
        if not all(map(_NAME.fullmatch, (*self.table.split("."), self.key, self.updated_at))):
            raise ValueError("table, key and updated_at are names of a table and of its columns")
        if len(self.table.split(".")) > 2 or self.key == self.updated_at:
            raise ValueError("table is a name, or schema.name; key and updated_at are two columns")
        if bool(self.type) == bool(self.type_field):
            raise ValueError("one of type and type_field says what a row is")
        self.told()
        return self


class Place(msgspec.Struct, frozen=True, array_like=True):
    """The row that was read last; its key as text, as Postgres writes it."""

    updated_at: str
    key: str


class Postgres:
    """An open source for one table."""

    def __init__(self, config: PostgresConfig) -> None:
        try:
            import asyncpg  # noqa: F401  # told at the start, not at the first look
        except ImportError:
            raise RuntimeError("The source postgres needs asyncpg: pip install 'overture[postgres]'") from None
        self._config = config
        self._table = ".".join(f'"{part}"' for part in config.table.split("."))
        self._prefix = "postgres:" + sha256(config.table.encode()).hexdigest()[:8]

    async def run(self, emit: Emit) -> None:
        import asyncpg

        try:
            connection: Connection[Record] = await asyncpg.connect(
                self._config.url.get_secret_value(),
                timeout=TIMEOUT,
                command_timeout=TIMEOUT,
                statement_cache_size=0,  # a pooler between us and the database may give each query another connection
                server_settings={"timezone": "UTC", "application_name": "overture"},
            )
        except ValueError:  # it quotes what it takes for the port
            raise ConnectionError(UNREADABLE) from None
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
            # What it says may quote its URL, and with it the password.
            raise ConnectionError(f"The database cannot be reached: {type(error).__name__}.") from None
        try:
            while True:
                rows = await self._rows(connection, emit.place)
                if rows:
                    await self._emit(emit, rows)
                if len(rows) < BATCH:
                    await asyncio.sleep(self._config.every)
        except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise ConnectionError(f"The table {self._config.table} cannot be read: {error}") from None
        finally:
            await connection.close(timeout=TIMEOUT)

    async def close(self) -> None: ...

    async def _rows(self, connection: Connection[Record], place: str) -> list[Record]:
        """The next ones after the place, up to the beginning of the oldest transaction that is under way: what that one
        changes has the time of its beginning, and would come before rows that were read already. That is asked for
        before: one that ended between a look at the rows and at the transactions would be in neither.
        """
        config = self._config
        at, key = f'"{config.updated_at}"', f'"{config.key}"'
        after, given = "", list[Any]()
        if place:
            known = msgspec.json.decode(place, type=Place)
            kind = await self._kind(connection)
            after = f"AND ({at}, {key}) > (CAST($2::text AS {kind[0]}), CAST($3::text AS {kind[1]}))"
            given = [known.updated_at, known.key]
        until = await connection.fetchval(_UNTIL, config.lag)
        return await connection.fetch(
            f'SELECT *, {at}::text AS "$at", {key}::text AS "$key" FROM {self._table} '  # names, checked above
            f"WHERE {at} < $1::timestamptz {after} "
            f"ORDER BY {at}, {key} LIMIT {BATCH}",
            until,
            *given,
        )

    async def _kind(self, connection: Connection[Record]) -> list[str]:
        """The types of both columns."""
        found = await connection.fetch(
            "SELECT attname, format_type(atttypid, atttypmod) AS kind FROM pg_attribute WHERE attrelid = $1::regclass",
            self._table,
        )
        kinds = {row["attname"]: row["kind"] for row in found}
        return [kinds[self._config.updated_at], kinds[self._config.key]]

    async def _emit(self, emit: Emit, rows: list[Record]) -> None:
        facts: list[Mapping[str, Any]] = []
        refused: list[NoFact] = []
        for row in rows:
            try:
                facts.append(self.fact(dict(row), row["$key"]))
            except Unreadable as why:
                refused.append(NoFact(shown(dict(row)), "source.entry", str(why)))
        place = msgspec.json.encode(Place(rows[-1]["$at"], rows[-1]["$key"])).decode()
        await emit(facts, place, backfill=self._config.backfill, refused=refused)

    def fact(self, fields: Mapping[str, Any], key: str) -> dict[str, Any]:
        """The fact in a row; a change of it is another one. Raises `Unreadable`."""
        config = self._config
        at: Any = fields[config.updated_at]
        if not isinstance(at, datetime):
            raise Unreadable(f"The column {config.updated_at} is no timestamp.")
        when = plain(at if at.tzinfo else at.replace(tzinfo=UTC))
        made = fact_of(config, {n: v for n, v in fields.items() if n != config.updated_at or config.properties})
        return {"id": fact_id(self._prefix, f"{key}:{when}"), "occurred_at": when, **made}


@hookimpl
def overture_sources() -> Iterable[PullSourcePlugin[PostgresConfig]]:
    yield PullSourcePlugin(name="postgres", config=PostgresConfig, open=Postgres)
