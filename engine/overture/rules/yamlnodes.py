"""What reading YAML gives: values, lists, mappings, and where in the text each of them stands."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from overture.rules.tree import Place

_INT = re.compile(r"[-+]?[0-9]{1,400}|0o[0-7]{1,400}|0x[0-9a-fA-F]{1,400}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_BLANK = frozenset(" \t\n")
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)", re.DOTALL)
_ESCAPED_BLANK = re.compile(r"\\(?:[ nt\t]|x(?:20|0[9aA])|u00(?:20|0[9aA])|U000000(?:20|0[9aA]))")

Locate = Callable[[int], Place]
"""Offset into a scalar's value → place in the document."""


@dataclass(frozen=True, slots=True)
class Scalar:
    """``value`` is resolved; ``text`` is what is written, without quotes and folds."""

    value: str | int | float | bool | None
    text: str
    place: Place
    pointer: str
    source: Source
    start: int
    end: int
    style: str

    def locator(self) -> Locate:
        """Finds the place of each character of ``text``; exact for everything but blanks."""
        if not self.text:
            return lambda _: self.place
        offsets = self.source.offsets(self.text, self.start, self.end, self.style)
        return lambda i: self.source.place(offsets[i] if i < len(offsets) else self.end)


@dataclass(frozen=True, slots=True)
class Sequence:
    items: list[Any]  # of YamlNode
    place: Place
    pointer: str


@dataclass(frozen=True, slots=True)
class Mapping:
    """``keys`` has the place of each key."""

    items: dict[str, Any]  # of YamlNode
    keys: dict[str, Scalar]
    place: Place
    pointer: str


YamlNode = Scalar | Sequence | Mapping


class Source:
    """The text of a document, and where its lines begin."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.lines = [0, *(i + 1 for i, ch in enumerate(text) if ch == "\n")]

    def place(self, offset: int) -> Place:
        line = bisect_right(self.lines, offset)
        return Place(line, offset - self.lines[line - 1] + 1)

    def offsets(self, value: str, start: int, end: int, style: str) -> list[int]:
        """Where each character of a scalar's ``value`` stands: the two texts are walked side by side.

        Folding and indentation change nothing but blanks, so the other characters stand in the same order in both.
        """
        text, at = self.text, start
        if style in ("|", ">"):
            at = text.find("\n", start, end) + 1 or end
        elif style:
            at += 1
        found: list[int] = []
        for ch in value:
            if ch in _BLANK:
                found.append(at)
                if style == '"' and (m := _ESCAPED_BLANK.match(text, at, end)):
                    at = m.end()
                elif at < end and text[at] == ch:
                    at += 1
                continue
            while at < end and (text[at] in _BLANK or (style == '"' and text.startswith("\\\n", at))):
                at += 2 if text[at] == "\\" else 1
            found.append(min(at, end))
            if style == '"' and (m := _ESCAPE.match(text, at, end)):
                at = m.end()
            else:
                at += 2 if style == "'" and ch == "'" else 1
        return found


def resolve(text: str) -> str | int | float | bool | None:
    """A plain scalar by the core schema of YAML 1.2; a number that is not finite stays text."""
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if text in ("true", "True", "TRUE"):
        return True
    if text in ("false", "False", "FALSE"):
        return False
    if _INT.fullmatch(text):
        return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
    if _FLOAT.fullmatch(text):
        number = float(text)
        return number if abs(number) != float("inf") else text
    return text
