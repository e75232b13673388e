"""YAML 1.2 read as text with positions: each value, and each character of a scalar, knows its line and column.

What `yamlquick` does not take is read here, from the parser's events rather than by its composer: no recursion, no
aliases, no tags, and a depth limit that holds before anything is built. Plain scalars follow the YAML 1.2 core schema:
``NO`` and ``12:30`` are text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ruamel.yaml import YAML, events
from ruamel.yaml.error import MarkedYAMLError

from overture.rules.report import Full, Report
from overture.rules.tree import Place
from overture.rules.yamlnodes import Locate, Mapping, Scalar, Sequence, Source, YamlNode, resolve
from overture.rules.yamlquick import quick

__all__ = [
    "SIZE_LIMIT",
    "Locate",
    "Mapping",
    "Scalar",
    "Sequence",
    "Source",
    "YamlNode",
    "normalise",
    "read",
    "resolve",
]

SIZE_LIMIT = 256 * 1024
DEPTH_LIMIT = 32
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff\ufffe\uffff]")

_START = Place(1, 1)


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
    return quick(source) or careful(source, report)


def careful(source: Source, report: Report) -> YamlNode | None:
    """Any document, by the events of the YAML parser, which takes its time. None with the reasons reported."""
    reader = _Reader(source, report)
    try:
        for event in _events(source.text):
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


def _events(text: str) -> Iterator[Any]:
    """The parser's events; the parser has no types of its own."""
    parser: Any = YAML(typ="safe", pure=True)
    return parser.parse(text)


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
        style, text = str(event.style or ""), str(event.value)
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
