"""What comes out of a session: JSON text that is trusted in nothing, and errors that are told briefly."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pydantic_monty as monty

from overture.model.numbers import NUMBER_LIMIT
from overture.model.script import Said, Script
from overture.sandbox.manner import ANSWER

CUT_OFF = ("script.timeout", "script.memory", "script.crashed")
"""Of what a script did not end by itself."""

MEMORY = 16 << 20  # bytes of a session's heap
DEPTH = 32  # of what is answered
_TOLD = 200  # characters of an exception's own text

# In JSON text, where all but printable ASCII is escaped: control characters, halves of a pair.
_UNFIT = re.compile(r"\\[bf]|\\u(00[01][0-9a-f]|007f|00[89][0-9a-f]|d[89ab][0-9a-f]{2}(?!\\ud[c-f]))")
_BACKSLASHES = re.compile(r"\\\\")
_ADDRESS = re.compile(r" at 0x[0-9a-f]+>")

_decode = msgspec.json.Decoder(strict=True).decode


def read(script: Script, text: object) -> Said:
    """The value of a JSON text, or why it is none that can be used (``script.answer``)."""
    if not isinstance(text, str):
        return _refused(script, "nothing that can be read")
    if "\\" in text and _UNFIT.search(_BACKSLASHES.sub("", text)):
        return _refused(script, "text with control characters")
    if " at 0x" in text and _ADDRESS.search(text):
        return _refused(script, "the address of an object, which is not the same from call to call")
    try:
        value: Any = _decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError, ValueError):
        return _refused(script, "what is not JSON")
    if isinstance(value, str | bool | None):
        return Said(value)
    why = _unfit(value, DEPTH)
    return _refused(script, why) if why else Said(value)


def _unfit(value: Any, depth: int) -> str:
    if isinstance(value, int | float):
        return "" if abs(value) <= NUMBER_LIMIT or isinstance(value, float) else "a whole number beyond 2**53"
    if not isinstance(value, dict | list):
        return ""
    if not depth:
        return f"more than {DEPTH} levels"
    parts: Any = value.values() if isinstance(value, dict) else value  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
    for part in parts:
        if why := _unfit(part, depth - 1):
            return why
    return ""


def _refused(script: Script, what: str) -> Said:
    return Said(code="script.answer", message=f"{script.path} answers {what}.")


def too_long(script: Script, timeout_ms: int) -> Said:
    return Said(code="script.timeout", message=f"{script.path} was cut off after {timeout_ms} ms.")


def quarantined(script: Script) -> Said:
    message = f"{script.path} was cut off again and again, and is left alone for a while."
    return Said(code="script.quarantined", message=message)


def invalid(script: Script, sentence: str) -> Said:
    return Said(code="script.failed", message=f"{script.path}: {sentence}")


def failure(script: Script, error: monty.MontyError, moved: int, timeout_ms: int) -> Said:
    """What an error of a session means. ``moved``: by how much the source was, in it."""
    if isinstance(error, monty.MontyCrashedError):
        if error.timed_out:
            return too_long(script, timeout_ms)
        return Said(code="script.crashed", message=f"{script.path} ended the process that ran it.")
    sentence = told(error)
    if sentence.startswith("TimeoutError: feed time limit"):
        return too_long(script, timeout_ms)
    if sentence.startswith("MemoryError"):
        return Said(code="script.memory", message=f"{script.path} needs more than {MEMORY >> 20} MB.")
    if sentence.startswith("ValueError: it answers more than it may"):
        return _refused(script, f"more than {ANSWER >> 10} KB")
    line = _line(error, sentence, moved)
    sentence = re.sub(r" ?\(<string>, line \d+\)", "", sentence)
    return Said(code="script.failed", message=f"{script.path}{f', line {line}' if line else ''}: {sentence}")


def told(error: monty.MontyError) -> str:
    """Type and text of an exception, briefly, in one line."""
    text = (
        error.display("type-msg") if isinstance(error, monty.MontyRuntimeError | monty.MontySyntaxError) else str(error)
    )
    text = "".join(ch if ch.isprintable() else " " for ch in text[: 2 * _TOLD])
    return text if len(text) <= _TOLD else f"{text[: _TOLD - 1]}…"


def _line(error: monty.MontyError, sentence: str, moved: int) -> int:
    """Where in the author's source; 0 where it is not known. Text of a script's own is read as ``<string>``."""
    if isinstance(error, monty.MontyRuntimeError | monty.MontySyntaxError):
        for frame in reversed(error.traceback()):
            if frame.filename == "<string>":
                return max(frame.line - moved, 0)
    found = re.search(r"\(<string>, line (\d{1,6})\)", sentence)
    return max(int(found[1]) - moved, 0) if found else 0
