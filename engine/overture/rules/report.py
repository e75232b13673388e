"""Collecting what is wrong with a document: all of it at once."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, suppress
from difflib import get_close_matches
from typing import Protocol

from overture.model.errors import Diagnostic, Refused
from overture.rules.codes import CODES
from overture.rules.tree import Place

LIMIT = 200  # a hostile document must not make an endless report
CANDIDATES = 400  # names that a hint is chosen from: comparing them is what takes time in a bad document


class Placed(Protocol):
    """Anything that knows where it was written."""

    @property
    def place(self) -> Place: ...
    @property
    def pointer(self) -> str: ...


class RulesetInvalid(Refused):
    """A document, or a set of them, that cannot be active; ``diagnostics`` has every finding, warnings included."""

    def __init__(self, diagnostics: list[Diagnostic]) -> None:
        errors = [d for d in diagnostics if d.severity == "error"]
        first = errors[0]
        more = f", and {len(errors) - 1} more" if len(errors) > 1 else ""
        super().__init__(
            "ruleset.invalid", f"{first.line}:{first.column}: {first.message}{more}.", first.hint, first.pointer, 422
        )
        self.diagnostics = diagnostics


class Full(Exception):
    """There is no room for another finding; only `Report.until_full` may catch it."""


class Report:
    """The diagnostics of one document, in the order in which they were found.

    What fills it must run under `until_full`: after 200 findings the checking ends.
    """

    def __init__(self) -> None:
        self.diagnostics: list[Diagnostic] = []

    def add(self, code: str, message: str, where: Placed, hint: str = "") -> None:
        self.at(code, message, where.place, where.pointer, hint)

    def at(self, code: str, message: str, place: Place, pointer: str = "", hint: str = "") -> None:
        """``message`` has no full stop; ``hint`` is a sentence. The severity is the code's."""
        if len(self.diagnostics) >= LIMIT:
            code, message, hint = "document.too_many_findings", "There is more, not listed here", "Mend these first."
        self.diagnostics.append(
            Diagnostic(
                code=code,
                message=message,
                pointer=pointer,
                line=place.line,
                column=place.column,
                hint=hint,
                severity=CODES[code].severity,
            )
        )
        if len(self.diagnostics) > LIMIT:
            raise Full

    @staticmethod
    def until_full() -> AbstractContextManager[None]:
        return suppress(Full)

    @property
    def failed(self) -> bool:
        return any(d.severity == "error" for d in self.diagnostics)

    def ordered(self) -> list[Diagnostic]:
        return sorted(self.diagnostics, key=lambda d: (d.line, d.column, d.code))


def did_you_mean(name: str, known: Iterable[str], otherwise: str = "") -> str:
    """A hint that names the nearest known name, or else ``otherwise``, or else what there is."""
    names = sorted(known)
    alike = [n for n in names if abs(len(n) - len(name)) <= 3][:CANDIDATES]
    close = get_close_matches(name[:64], alike, 1, 0.6)
    if close:
        return f"Did you mean {close[0]!r}?"
    if otherwise:
        return otherwise
    return f"There are: {', '.join(names[:12])}{' …' if len(names) > 12 else ''}." if names else ""
