"""What the routes of forms need of the rest, and what travels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Protocol

import msgspec
from msgspec import UNSET, Meta, UnsetType

from overture.model import Diagnostic, Refused

Plain = str | int | float | bool | None

_Anonymous = Annotated[str, Meta(max_length=256, description="The visitor's cookie. It identifies nobody.")]
_Token = Annotated[str, Meta(max_length=2000, description="`links.visitor` of a message: it identifies who got it.")]
_Contact = Annotated[
    str, Meta(max_length=300, description="Who the visitor is, as the app knows; needs a key with `contacts:read`.")
]


class FormQuery(msgspec.Struct, forbid_unknown_fields=True):
    anonymous_id: _Anonymous = ""
    visitor: _Token = ""
    contact: _Contact = ""


class Submission(msgspec.Struct, forbid_unknown_fields=True):
    """What a visitor answered: trait → answer, empty or null for none. ``about`` is what the page says itself: the
    fields of the form's fact. ``id``: of this submission; without it, the same answers sent again are the same.
    """

    answers: dict[str, Plain]
    about: dict[str, Plain] = {}
    id: Annotated[str, Meta(max_length=200)] = ""
    anonymous_id: _Anonymous = ""
    visitor: _Token = ""
    contact: _Contact = ""


class FormInvalid(Refused):
    """Answers that cannot be taken; ``diagnostics`` has one for each field, with its place in the body."""

    def __init__(self, diagnostics: list[Diagnostic]) -> None:
        first = diagnostics[0]
        more = f", and {len(diagnostics) - 1} more" if len(diagnostics) > 1 else ""
        super().__init__("form.invalid", f"{first.message}{more}.", "Nothing was taken.", first.pointer, 422)
        self.diagnostics = diagnostics


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who is asked, as presented. ``contact`` was vouched for by the caller's key."""

    anonymous_id: str
    token: str
    contact: str


class FieldView(msgspec.Struct, frozen=True):
    """One field to show; ``value`` where it is shown filled in."""

    trait: str
    label: str
    type: str
    required: bool
    options: list[Any] | UnsetType = UNSET
    value: Any | UnsetType = UNSET


class FormView(msgspec.Struct, frozen=True):
    """What to show to a visitor. Only one that is ``identified`` sees values."""

    form: str
    identified: bool
    fields: list[FieldView]


class Submitted(msgspec.Struct, frozen=True):
    """The answers are on disk. It says no more, so that nobody learns what was known before."""

    form: str
    accepted: bool = True


class Forms(Protocol):
    """Raises Refused 404 ``form.unknown``, ``link.invalid``, 410 ``link.expired``; FormInvalid; StoreUnavailable."""

    async def show(self, name: str, visitor: Visitor) -> FormView: ...

    async def submit(self, name: str, visitor: Visitor, said: Submission, source: str) -> Submitted: ...
