"""``docs/importing.md`` is true: options, keys, types, ready mappings are the code's, and its mapping works."""

from __future__ import annotations

import csv
import inspect
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

from dockit import PATIENCE, ROOT, blocks, code, page, part, table
from ruamel.yaml import YAML

from overture.cli.importing import import_file
from overture.cli.imports import ready
from overture.cli.imports.mapping import Column, FactOf, MappingOf
from overture.cli.imports.table import Encoding
from overture.cli.imports.values import Kind
from overture.model.environ import without_settings

PAGE = page("importing.md")
EXPORTS = ROOT / "engine/overture/cli/imports/exports"


def tables(text: str, first: str) -> list[list[str]]:
    """The first column of every table with this head."""
    parts = text.split(f"| {first} |")[1:]
    return [[code(row[0]) for row in table(f"| {first} |{each}", first)] for each in parts]


def exported(name: str) -> Any:
    return YAML(typ="safe", pure=True).load(EXPORTS / f"{name}.yaml")


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "overture.cli", "import", *arguments],
        cwd=cwd, env=without_settings(), capture_output=True, text=True, timeout=PATIENCE,
    )  # fmt: skip


def test_the_page_is_in_the_list_of_the_readme() -> None:
    assert "(docs/importing.md)" in (ROOT / "README.md").read_text("utf-8")


def test_the_options_are_the_codes() -> None:
    names = {"set_": "set", "as_json": "json"}
    own = [names.get(name, name.replace("_", "-")) for name in inspect.signature(import_file).parameters]
    assert {"--" + name for name in own if name != "file"} == {code(row[0]) for row in table(PAGE, "option")}
    (row,) = [row for row in table(PAGE, "option") if code(row[0]) == "--encoding"]
    assert all(f"`{each}`" in row[1] for each in get_args(Encoding))


def test_the_keys_and_types_are_the_codes() -> None:
    whole, fact, column = tables(part(PAGE, "## The mapping"), "key")
    assert set(whole) == set(MappingOf.model_fields)
    assert set(fact) == set(FactOf.model_fields)
    assert set(column) == set(Column.model_fields)
    assert tables(PAGE, "type")[0] == list(get_args(Kind))


def test_the_ready_mappings_are_the_codes() -> None:
    rows = table(part(PAGE, "## Ready mappings"), "mapping")
    assert [code(row[0]) for row in rows] == ready.names()
    for name, told, makes in rows:
        plain = exported(code(name))
        assert told == ("yes" if "detect" in plain else "no"), name
        assert makes == ", ".join(dict.fromkeys(f"`{fact['type']}`" for fact in plain["facts"])), name


def test_the_mapping_of_the_page_makes_facts(tmp_path: Path) -> None:
    (text,) = blocks(part(PAGE, "## The mapping"), "yaml")
    (tmp_path / "mapping.yaml").write_text(text)
    paid = {
        "Customer": "ada", "Email": "ada@example.org", "Shop ID": "7", "Status": "paid", "First name": "Ada",
        "VIP": "yes", "Born": "10.12.1815", "Interests": "a|b", "Order": "o1", "Total": "9.5", "Items": "2",
        "Ordered": "01.07.2025 12:00",
    }  # fmt: skip
    out = io.StringIO(newline="")
    rows = csv.DictWriter(out, list(paid))
    rows.writeheader()
    rows.writerows([paid, paid | {"Status": "Test"}, paid | {"Status": "open", "First name": "n/a"}])
    (tmp_path / "orders.csv").write_text(out.getvalue())
    told = json.loads(run("orders.csv", "--mapping", "mapping.yaml", "--dry-run", "--json", cwd=tmp_path).stdout)
    assert (told["rows"], told["facts"], told["skipped"], told["refused"]) == (3, 3, 1, 0)
    identify, order, last = told["first"]
    assert identify["contact"] == {"user_id": "ada", "email": "ada@example.org", "external": {"shop": "7"}}
    assert identify["properties"] == {
        "origin": "old shop", "first_name": "Ada", "vip": True, "birthday": "1815-12-10", "interests": ["a", "b"],
    }  # fmt: skip
    assert order["properties"] == {"order_id": "o1", "total": 9.5, "items": 2}
    assert order["occurred_at"] == "2025-07-01T10:00:00.000+00:00"
    assert "first_name" not in last["properties"]
