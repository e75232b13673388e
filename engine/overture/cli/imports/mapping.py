"""What the columns of a table are in facts: read from YAML, checked, and applied to rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, cast
from zoneinfo import ZoneInfo

import msgspec
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from overture.cli.imports.values import Kind, Unfit, reader, rfc3339
from overture.model import Refused
from overture.model.fact import TYPE_NAME
from overture.model.ids import digest

EXTERNAL = "external:"
_IDENTIFIERS = ("user_id", "email", "anonymous_id")


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _texts(value: Any) -> Any:
    """YAML reads ``true`` and ``NULL`` as what they are not here: case does not matter, so these are their texts."""
    words: dict[Any, str] = {True: "true", False: "false", None: "null"}
    listed = cast("list[Any]", value if isinstance(value, list) else [value])
    return [words[each] if each is None or type(each) is bool else each for each in listed]


def _column(value: Any) -> Any:
    return {"column": value} if type(value) in (str, list) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_listed), Field(min_length=1)]
"""One column, or several names under which it may be there: the first that the table has."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)


class Column(_Part):
    column: Names
    type: Kind = "text"
    format: str = ""
    zone: str = "UTC"
    separator: str = Field(default=";", min_length=1)

    @field_validator("zone")
    @classmethod
    def _known(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (ValueError, OSError, KeyError):
            raise ValueError(f"there is no time zone {zone!r}") from None
        return zone


Cell = Annotated[Column, BeforeValidator(_column)]
Texts = Annotated[tuple[str, ...], BeforeValidator(_texts)]


class FactOf(_Part):
    """One fact of each row. ``when``: only of rows that have one of these texts there; a constant that is null is one
    that the caller must set. ``others``: whether columns that nothing names become properties, all but those in
    ``skip``.
    """

    type: str
    when: dict[str, Texts] = {}
    properties: dict[str, Cell] = {}
    constants: dict[str, Any] = {}
    others: Literal["skip", "text"] = "skip"
    skip: Texts = ()
    occurred_at: Cell | None = None

    @field_validator("type")
    @classmethod
    def _name(cls, name: str) -> str:
        if not TYPE_NAME.fullmatch(name):
            raise ValueError("it must be lower-case words joined by _ and dots, as order_completed")
        return name


class MappingOf(_Part):
    """``skip``: rows that have one of these texts there make no fact. ``empty``: texts that say as little as an empty
    cell. ``optional``: columns may be missing, as exports differ; what needs them is left out.
    """

    contact: dict[str, Names] = Field(min_length=1)
    facts: tuple[FactOf, ...] = Field(min_length=1)
    skip: dict[str, Texts] = {}
    empty: Texts = ()
    optional: bool = False

    @field_validator("contact")
    @classmethod
    def _identifiers(cls, contact: Mapping[str, Any]) -> Mapping[str, Any]:
        for name in contact:
            if name not in _IDENTIFIERS and not (name.startswith(EXTERNAL) and len(name) > len(EXTERNAL)):
                raise ValueError(f"{name!r} is none of {', '.join(_IDENTIFIERS)}, external:<system>")
        return contact


Made = dict[str, Any]
Take = Callable[[Sequence[str]], Any]


def load(text: str, what: str, constants: Mapping[str, str]) -> MappingOf:
    """The mapping in a YAML text; ``constants`` replace those in it. Raises `Refused` ``import.mapping``."""
    try:
        plain: Any = YAML(typ="safe", pure=True).load(text)  # pyright: ignore[reportUnknownMemberType]
    except YAMLError as error:
        where = getattr(error, "problem_mark", None)
        at = f", line {where.line + 1}" if where is not None else ""
        raise _wrong(what, f"it is not YAML{at}") from None
    if not isinstance(plain, dict):
        raise _wrong(what, "it is not a YAML mapping with contact and facts")
    try:
        mapping = MappingOf.model_validate({k: v for k, v in cast("dict[Any, Any]", plain).items() if k != "detect"})
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise _wrong(what, f"{place}: {str(first['msg']).removeprefix('Value error, ')}") from None
    left = dict(constants)
    facts: list[FactOf] = []
    for fact in mapping.facts:
        own = {name: left.get(name, value) for name, value in fact.constants.items()}
        facts.append(fact.model_copy(update={"constants": own}))
        for name, value in own.items():
            if value is None:
                raise Refused("import.constant", f"The mapping {what} does not know {name}.", f"Say it: --set {name}=…")
    for name in left:
        if not any(name in fact.constants for fact in mapping.facts):
            raise _wrong(what, f"it has no constant {name} to set")
    return mapping.model_copy(update={"facts": tuple(facts)})


def _wrong(what: str, told: str) -> Refused:
    return Refused("import.mapping", f"The mapping {what} is wrong: {told}.", "See docs/importing.md.")


def folded(name: str) -> str:
    """A column's name as it is compared."""
    return name.strip().casefold()


def named(header: str) -> str:
    """A column's name as that of a property: lower snake case."""
    return "_".join("".join(c if c.isalnum() else " " for c in header.casefold()).split())[:64]


class Rows:
    """A mapping applied to the rows of one table. ``missing``: columns of an optional mapping that are not there."""

    def __init__(self, mapping: MappingOf, header: Sequence[str], prefix: str) -> None:
        """``prefix``: how ids begin. Raises `Refused` ``import.columns``: a column is missing, or is there twice."""
        self.missing: list[str] = []
        self._header = header
        self._at: dict[str, list[int]] = {}
        for place, name in enumerate(header):
            self._at.setdefault(folded(name), []).append(place)
        self._optional = mapping.optional
        self._empty = frozenset(map(folded, mapping.empty)) | {""}
        self._contact = [(name, at) for name, names in mapping.contact.items() if (at := self._find(names)) is not None]
        if not self._contact:
            raise self._columns(f"none of {', '.join(n for names in mapping.contact.values() for n in names)}")
        self._skip = self._texts(mapping.skip)
        self._facts = [made for n, fact in enumerate(mapping.facts) if (made := self._fact(n, fact, prefix, mapping))]
        if not self._facts:
            raise self._columns("not what any of the mapping's facts needs")

    def make(self, line: int, cells: Sequence[str]) -> list[Made]:
        """The facts of a row, none where it is to be skipped. Raises `Unfit`."""
        texts = ["" if folded(cell) in self._empty else cell.strip() for cell in cells]
        if any(folded(texts[at]) in those for at, those in self._skip):
            return []
        contact: Made = {}
        for name, at in self._contact:
            if texts[at] and name.startswith(EXTERNAL):
                contact.setdefault("external", {})[name[len(EXTERNAL) :]] = texts[at]
            elif texts[at]:
                contact[name] = texts[at]
        return [fact for make in self._facts if (fact := make(line, texts, contact)) is not None]

    def _fact(
        self, n: int, of: FactOf, prefix: str, mapping: MappingOf
    ) -> Callable[[int, Sequence[str], Made], Made | None] | None:
        when = self._texts(of.when)
        if len(when) < len(of.when):  # it cannot be told of which rows it is one
            return None
        taken: list[tuple[str, Take]] = []
        for name, column in of.properties.items():
            if (take := self._take(column)) is not None:
                taken.append((name, take))
        if of.others == "text":
            taken += self._others(of, mapping)
        when_column = of.occurred_at.model_copy(update={"type": "datetime"}) if of.occurred_at is not None else None
        moment = self._take(when_column) if when_column is not None else None
        # What a fact is, is part of its id: the same file may be imported for several purposes.
        same = sum(each.type == of.type and each.constants == of.constants for each in mapping.facts[:n])
        said = msgspec.json.encode(of.constants, order="sorted").decode()
        key = f"{prefix}:{digest(of.type, said, str(same))[:4].hex()}"

        def make(line: int, texts: Sequence[str], contact: Made) -> Made | None:
            if not all(folded(texts[at]) in those for at, those in when):
                return None
            properties = dict(of.constants)
            for name, take in taken:
                if (value := take(texts)) is not None:
                    properties[name] = value
            fact = {"id": f"{key}:{line}", "type": of.type, "contact": contact, "properties": properties}
            at = moment(texts) if moment is not None else None
            return fact if at is None else fact | {"occurred_at": rfc3339(at)}

        return make

    def _take(self, column: Column) -> Take | None:
        at = self._find(column.column)
        if at is None:
            return None
        read = reader(column.type, column.format, column.zone, column.separator)
        title = self._header[at]

        def take(texts: Sequence[str]) -> Any:
            try:
                return read(texts[at]) if texts[at] else None
            except Unfit as unfit:
                raise Unfit(f"{title}: {unfit}") from None

        return take

    def _others(self, of: FactOf, mapping: MappingOf) -> list[tuple[str, Take]]:
        used = {folded(name) for column in of.properties.values() for name in column.column}
        used |= {folded(name) for names in mapping.contact.values() for name in names} | set(map(folded, of.skip))
        if of.occurred_at is not None:
            used |= set(map(folded, of.occurred_at.column))
        found: list[tuple[str, Take]] = []
        for title in self._header:
            name = named(title)
            if folded(title) not in used and name and name not in of.properties and name not in of.constants:
                used.add(folded(title))
                take = self._take(Column(column=(title,)))
                found += [(name, take)] if take is not None else []
        return found

    def _texts(self, asked: Mapping[str, tuple[str, ...]]) -> list[tuple[int, frozenset[str]]]:
        """Those whose columns are there."""
        found = [(self._find((name,)), frozenset(map(folded, those))) for name, those in asked.items()]
        return [(at, those) for at, those in found if at is not None]

    def _find(self, names: tuple[str, ...]) -> int | None:
        for name in names:
            places = self._at.get(folded(name), [])
            if len(places) > 1:
                raise self._columns(f"{name!r} more than once")
            if places:
                return places[0]
        if not self._optional:
            raise self._columns(f"no {' or '.join(map(repr, names))}")
        if names[0] not in self.missing:
            self.missing.append(names[0])
        return None

    def _columns(self, told: str) -> Refused:
        return Refused(
            "import.columns", f"The file has {told} among its columns.", f"It has: {', '.join(self._header)}"
        )
