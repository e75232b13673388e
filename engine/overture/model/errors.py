"""The error tree: one root, a stable ``code``, a sentence, a hint.

OvertureError
├── Refused             input that a person or an app must change (HTTP 4xx, exit code 2)
│   └── Overloaded      the same input may be sent again after a while (HTTP 429 or 503 with Retry-After)
├── StartupRefused      the server will not start like this (exit code 3)
├── StoreUnavailable    the store cannot be reached or does not answer in time (HTTP 503)
├── Fenced              this process lost its lease: drop what is held and read again
├── ChainTooDeep        derived facts did not come to rest; the step is rolled back
└── PluginFailed        a plugin raised, hung or returned the wrong thing

`Diagnostic` is not raised: it is one line of a report about a document.
"""

from __future__ import annotations

import msgspec


class OvertureError(Exception):
    """Root of all errors that Overture raises on purpose.

    ``code`` is stable and documented (``docs/errors.md``); ``message`` is one sentence for a person;
    ``hint`` says what to do and may be empty.
    """

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} [{self.code}]" + (f" {self.hint}" if self.hint else "")


class Refused(OvertureError):
    """Input that must be changed; ``pointer`` is the place as a JSON pointer (RFC 6901)."""

    def __init__(self, code: str, message: str, hint: str = "", pointer: str = "", status: int = 400) -> None:
        super().__init__(code, message, hint)
        self.pointer = pointer
        self.status = status


class Overloaded(Refused):
    """There is too much to do already; ``retry_after`` in seconds. Nothing was taken."""

    def __init__(self, code: str, message: str, retry_after: int = 1, status: int = 429) -> None:
        super().__init__(code, message, "Wait, then send it again.", status=status)
        self.retry_after = retry_after


class StartupRefused(OvertureError):
    """The server will not start like this."""


class StoreUnavailable(OvertureError):
    """The store cannot be reached, or did not answer in time; nothing is known about the call's effect."""

    def __init__(self, message: str) -> None:
        super().__init__("store.unavailable", message, "Try again; a fact with an id is never taken twice.")


class Fenced(OvertureError):
    """Another process holds the lease, or the checkpoint has moved: nothing was written."""

    def __init__(self, message: str) -> None:
        super().__init__("store.fenced", message)


class ChainTooDeep(OvertureError):
    """Derived facts did not come to rest within the depth limit."""

    def __init__(self, message: str) -> None:
        super().__init__("chain.too_deep", message, "Break the cycle of derived facts that the message names.")


class PluginFailed(OvertureError):
    """A plugin raised, ran out of time or returned the wrong type."""


class Diagnostic(msgspec.Struct, frozen=True, kw_only=True):
    """One finding about a document: what (``code``, ``message``), where, and what to do (``hint``).

    ``line`` and ``column`` count from 1 (0 where the document has no text); ``pointer`` is RFC 6901.
    """

    code: str
    message: str
    pointer: str = ""
    line: int = 0
    column: int = 0
    hint: str = ""
    severity: str = "error"


def describe(error: BaseException) -> str:
    """Type and text of any exception: one line, bounded, and safe when its ``__str__`` raises."""
    name = type(error).__name__
    try:
        text = " ".join(f"{name}: {str(error)[:300]}".split())
    except BaseException:
        text = f"{name}: (its text cannot be read)"
    return clean(text)


def clean(text: str) -> str:
    """The text with a question mark for each half of a character (lone surrogate), which nobody could keep or send."""
    return str.encode(text, "utf-8", "replace").decode()
