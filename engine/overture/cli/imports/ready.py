"""Ready mappings for what other services export (``exports/<service>-<what>.yaml``), and a mapping to start from."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, cast

from ruamel.yaml import YAML

from overture.cli.imports.mapping import folded, named
from overture.cli.imports.table import Row
from overture.cli.imports.values import Kind, Unfit, reader

_FOLDER = Path(__file__).parent / "exports"
_LOOKED_AT = 1000  # rows from which types are guessed
_NOT_A_NUMBER = re.compile(r"[-+]?0[0-9]|\+|[0-9]{16}")  # codes, telephone numbers


def names() -> list[str]:
    return sorted(file.stem for file in _FOLDER.glob("*.yaml"))


def text(name: str) -> str:
    """The mapping as it stands in the package, without what it is told by."""
    lines = (_FOLDER / f"{name}.yaml").read_text("utf-8").splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith("detect:"))


def detect(header: Sequence[str]) -> list[str]:
    """The ready mappings that a header fits; more than one where it does not say which."""
    there = set(map(folded, header))
    found: list[str] = []
    for name in names():
        plain: Any = YAML(typ="safe", pure=True).load(_FOLDER / f"{name}.yaml")  # pyright: ignore[reportUnknownMemberType]
        told = cast("dict[str, Any]", plain).get("detect")
        if not told or any(folded(column) in there for column in told.get("without", ())):
            continue
        if all(any(folded(column) in there for column in either) for either in told["columns"]):
            found.append(name)
    return found


def suggest(header: Sequence[str], rows: Iterable[Row]) -> str:
    """A mapping to start from: an ``identify`` with every column, of the types that the first rows have."""
    seen = [row.cells for row in islice(rows, _LOOKED_AT) if row.wrong is None]
    columns = [[row[at].strip() for row in seen if row[at].strip()] for at in range(len(header))]
    email = _email(header, columns)
    own = next((n for n, title in enumerate(header) if folded(title) in ("user_id", "user id", "userid")), None)
    id = next((n for n, title in enumerate(header) if named(title) in ("id", "customer_id", "contact_id")), None)
    lines = ["# Which column says who it is: user_id, email, anonymous_id, external:<system>.", "contact:"]
    found = {"user_id": own, "email": email, "external:crm": id if own is None else None}
    who = {name: at for name, at in found.items() if at is not None} or {"user_id": 0}
    lines += [f"  {name}: {_quoted(header[at])}" for name, at in who.items()]
    lines += ["facts:", "  - type: identify", "    properties:"]
    for at, title in enumerate(header):
        name = named(title)
        if at in who.values() or not name:
            continue
        kind = _kind(columns[at])
        value = _quoted(title) if kind == "text" else f"{{column: {_quoted(title)}, type: {kind}}}"
        lines.append(f"      {name if name[0].isalpha() else 'c_' + name}: {value}")
    if lines[-1] == "    properties:":
        lines[-1] = "    properties: {}"
    return "\n".join(lines) + "\n"


def _email(header: Sequence[str], columns: Sequence[Sequence[str]]) -> int | None:
    def likely(at: int) -> bool:
        return bool(columns[at]) and sum("@" in cell for cell in columns[at]) > len(columns[at]) / 2

    by_name = [at for at, title in enumerate(header) if re.search(r"e-?mail", title, re.IGNORECASE)]
    return next((at for at in [*by_name, *range(len(header))] if likely(at)), by_name[0] if by_name else None)


def _kind(cells: Sequence[str]) -> Kind:
    if not cells or any(_NOT_A_NUMBER.match(cell) for cell in cells):
        return "text"
    kinds: tuple[Kind, ...] = ("int", "number", "bool", "date", "datetime")
    for kind in kinds:
        if all(_fits(kind, cell) for cell in cells):
            return kind
    return "text"


def _fits(kind: Kind, cell: str) -> bool:
    try:
        reader(kind)(cell)
    except Unfit:
        return False
    return True


def _quoted(title: str) -> str:
    plain = re.fullmatch(r"[A-Za-z][A-Za-z0-9_ ]*[A-Za-z0-9_]", title)
    if plain and title.casefold() not in ("true", "false", "null", "yes", "no", "on", "off"):
        return title
    return '"' + title.replace("\\", "\\\\").replace('"', '\\"') + '"'
