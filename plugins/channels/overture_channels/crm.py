"""Contacts that a CRM has too: which of its properties is which trait, and whose word counts for each."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from overture.plugin import snake

Owner = Literal["crm", "overture", "latest"]
NAME = r"^([A-Za-z_][A-Za-z0-9_]{0,55})?$"
TAKEN = {"type", "id", "occurred_at", "context"}  # what every fact has by these names is no property of it


class CrmField(BaseModel):
    """A property of the CRM. ``trait`` is what it is here, called alike unless set; ``type`` what its text means.

    ``owner``: ``crm``, it is only read; ``overture``, only written; ``latest``, both, and the later change counts.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    owner: Owner
    trait: str = Field(default="", pattern=NAME)
    type: Literal["string", "int", "number", "bool"] = "string"


def theirs(trait: str) -> tuple[str, str]:
    """What the CRM says of a trait that both may change, and when it was changed there (ms)."""
    return f"crm_{trait}", f"crm_{trait}_at"


def _loaded(value: object) -> object:
    """``file:PATH`` names a file of TOML that has them, so that both directions go by the same."""
    if not isinstance(value, str):
        return value
    path = value.removeprefix("file:")
    if path == value:
        raise ValueError("it must be a table, or file:PATH")
    try:
        return tomllib.loads(Path(path).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"the file {path} cannot be read: {type(error).__name__}") from None


def _named(value: dict[str, CrmField]) -> dict[str, CrmField]:
    """Each with its trait."""
    fields = {
        name: each if each.trait else each.model_copy(update={"trait": snake(name)}) for name, each in value.items()
    }
    if not fields:
        raise ValueError("at least one property is needed")
    given: list[str] = []
    for each in fields.values():
        if not each.trait or each.trait in TAKEN:
            raise ValueError(f"no trait can be called {each.trait or 'nothing'}")
        given += [each.trait, *(theirs(each.trait) if each.owner == "latest" else ())]
    if doubled := sorted({name for name in given if given.count(name) > 1}):
        raise ValueError(f"several properties would be the trait {doubled[0]}")
    return fields


Fields = Annotated[dict[str, CrmField], BeforeValidator(_loaded), AfterValidator(_named)]
"""By the name of the property at the CRM."""


def said(value: Any) -> str:
    """A value as CRMs take it: text. Empty for none, which clears it."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case float() if value.is_integer():
            return str(int(value))
        case str() | int() | float():
            return str(value)
        case _:
            raise ValueError("a list or an object is no value of a property")


def read(field: CrmField, text: Any) -> Any:
    """The value that a property's text means; None for an empty one. ValueError where it is of another type."""
    if text is None or text == "":
        return None
    told = str(text)
    match field.type:
        case "string":
            return told
        case "int":
            return int(told)
        case "number":
            return float(told)
        case "bool":
            known: Mapping[str, bool] = {"true": True, "1": True, "false": False, "0": False}
            if told.lower() not in known:
                raise ValueError("it is neither true nor false")
            return known[told.lower()]
