"""YAML 1.2 read as text with positions: each value, and each character of a scalar, knows its line and column.

Built on the parser's events rather than on its composer: no recursion, no aliases, no tags, and a depth limit that
holds before anything is built. Plain scalars follow the YAML 1.2 core schema: ``NO`` and ``12:30`` are text.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML, events
from ruamel.yaml.error import MarkedYAMLError

from overture.rules.report import Full, Report
from overture.rules.tree import Place

SIZE_LIMIT = 256 * 1024
DEPTH_LIMIT = 32
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff\ufffe\uffff]")
_INT = re.compile(r"[-+]?[0-9]{1,400}|0o[0-7]{1,400}|0x[0-9a-fA-F]{1,400}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_BLANK = frozenset(" \t\n")
_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_ESCAPED_PAIR = r"u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_ESCAPE = re.compile(rf"\\({_ESCAPED_PAIR}|x[0-9a-fA-F]{{2}}|u[0-9a-fA-F]{{4}}|U[0-9a-fA-F]{{8}}|.)", re.DOTALL)
_ESCAPED_BLANK = re.compile(r"\\(?:[ nt\t]|x(?:20|0[9aA])|u00(?:20|0[9aA])|U000000(?:20|0[9aA]))")

_START = Place(1, 1)

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


def plain(node: YamlNode) -> Any:
    """The value without its places."""
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    return {name: plain(value) for name, value in node.items.items()}


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


def read(text: str, report: Report) -> YamlNode | None:
    """The document's root, or None with the reasons reported."""
    text = normalise(text)
    if bad := _FORBIDDEN.search(text):
        message = f"The character U+{ord(bad[0]):04X} has no place in a document"
        report.at("document.characters", message, Source(text).place(bad.start()), "", "Remove it.")
        return None
    if len(text.encode()) > SIZE_LIMIT:
        report.at("document.too_large", "The document has more than 256 KiB", _START, "", "Split the ruleset.")
        return None
    source = Source(text)
    reader = _Reader(source, report)
    try:
        for event in events_of(text):
            if not reader.take(event):
                return None
    except MarkedYAMLError as error:
        what, mark = _problem(error)
        report.at(
            "document.syntax", f"Not valid YAML: {what}", Place(mark.line + 1, mark.column + 1) if mark else _START
        )
        return None
    except Full:
        raise
    except Exception as error:
        # The parser meets arbitrary text here; whatever it stumbles over is a finding about the text, not a crash.
        report.at("document.syntax", f"Not valid YAML ({type(error).__name__})", _START)
        return None
    if reader.root is None:
        report.at("document.syntax", "The document is empty", _START)
    return reader.root


def normalise(text: str) -> str:
    """Line ends as ``\\n``, without a byte order mark: what positions and the content hash are counted on."""
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def events_of(text: str) -> Iterator[Any]:
    """The parser's events; the parser has no types of its own."""
    parser: Any = YAML(typ="safe", pure=True)
    return parser.parse(text)


def text_of(event: Any) -> str:
    """What a scalar says. JSON writes a character beyond U+FFFF as two escapes, of which the parser makes two."""
    return _PAIR.sub(lambda m: m[0].encode("utf-16", "surrogatepass").decode("utf-16"), str(event.value))


def _is_scalar(event: Any) -> bool:
    return isinstance(event, events.ScalarEvent)


def _problem(error: Any) -> tuple[str, Any]:
    return error.problem or error.context, error.problem_mark or error.context_mark


class _Reader:
    """Builds the tree from events; `take` answers False once the document is refused."""

    def __init__(self, source: Source, report: Report) -> None:
        self.source = source
        self.report = report
        self.root: YamlNode | None = None
        self.stack: list[Sequence | Mapping] = []
        self.pending: list[Scalar | None] = []  # the key that waits for its value, one per level
        self.documents = 0

    def take(self, event: Any) -> bool:
        place = self.source.place(event.start_mark.index)
        match event:
            case events.DocumentStartEvent():
                self.documents += 1
                if self.documents > 1:
                    return self.refuse("document.syntax", "There is a second document", place, "One file, one ruleset.")
            case events.AliasEvent():
                return self.refuse(
                    "document.alias", "Aliases are not used", place, "Write the value out, or use consts."
                )
            case events.ScalarEvent() | events.SequenceStartEvent() | events.MappingStartEvent():
                return self.plain(event, place) and self.node(event, place)
            case events.SequenceEndEvent() | events.MappingEndEvent():
                self.stack.pop()
                self.pending.pop()
            case _:
                pass
        return True

    def plain(self, event: Any, place: Place) -> bool:
        """Neither anchor nor tag."""
        if event.anchor is not None:
            return self.refuse("document.alias", "Anchors are not used", place, "Write the value out, or use consts.")
        if event.tag is not None:
            return self.refuse("document.tag", "Tags are not used", place, "Remove it; quote what must be text.")
        return True

    def node(self, event: Any, place: Place) -> bool:
        parent = self.stack[-1] if self.stack else None
        key = self.pending[-1] if self.stack else None
        pointer = self.pointer(parent, key)
        if isinstance(parent, Mapping) and key is None:
            return self.key(event, place, parent)
        if _is_scalar(event):
            if key is not None and event.start_mark.index == event.end_mark.index:
                place = key.place  # nothing is written: the parser says where the next thing stands
            node: YamlNode = self.scalar(event, place, pointer)
            if bad := _FORBIDDEN.search(node.text):
                message = f"The character U+{ord(bad[0]):04X} has no place in a document"
                return self.refuse("document.characters", message, node.locator()(bad.start()), "Remove the escape.")
        elif isinstance(event, events.SequenceStartEvent):
            node = Sequence([], place, pointer)
        else:
            node = Mapping({}, {}, place, pointer)
        if parent is None:
            self.root = node
        elif isinstance(parent, Sequence):
            parent.items.append(node)
        elif key is not None:
            # With a key that stands twice, the second value is read for its own errors and then left out.
            parent.items.setdefault(key.text, node)
            self.pending[-1] = None
        if not isinstance(node, Scalar):
            if len(self.stack) >= DEPTH_LIMIT:
                return self.refuse("document.too_deep", "Nested more than 32 levels deep", place)
            self.stack.append(node)
            self.pending.append(None)
        return True

    def key(self, event: Any, place: Place, parent: Mapping) -> bool:
        if not _is_scalar(event):
            return self.refuse("document.key", "A key must be text", place, "Braces in a value need quotes around it.")
        scalar = self.scalar(event, place, "")
        name = scalar.text
        if not name:
            return self.refuse("document.key", "A key must not be empty", place)
        key = Scalar(
            name, name, place, self.pointer(parent, scalar), self.source, scalar.start, scalar.end, scalar.style
        )
        if _FORBIDDEN.search(name):
            return self.refuse("document.characters", "The key has a character that has no place in text", place)
        if name in parent.keys:
            self.report.add("document.duplicate_key", f"The key {name[:80]!r} stands here twice", key)
        parent.keys.setdefault(name, key)
        self.pending[-1] = key
        return True

    def scalar(self, event: Any, place: Place, pointer: str) -> Scalar:
        style, text = str(event.style or ""), text_of(event)
        value = text if style else resolve(text)
        start, end = event.start_mark.index, event.end_mark.index
        return Scalar(value, text, place, pointer, self.source, start, end, style)

    def pointer(self, parent: Sequence | Mapping | None, key: Scalar | None) -> str:
        if parent is None:
            return ""
        if isinstance(parent, Sequence):
            return f"{parent.pointer}/{len(parent.items)}"
        return f"{parent.pointer}/{key.text.replace('~', '~0').replace('/', '~1')}" if key else parent.pointer

    def refuse(self, code: str, message: str, place: Place, hint: str = "") -> bool:
        self.report.at(code, message, place, self.stack[-1].pointer if self.stack else "", hint)
        return False


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
