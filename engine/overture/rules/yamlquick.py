"""The quick reader: YAML as most of it is written, line by line, ten times as fast as the parser.

It takes a part of what `yamltext` takes, and reads that alike: block mappings and lists, flow collections, plain and
quoted scalars on one line, comments. Whatever it is not sure of it leaves to the parser, also everything that is wrong.
"""

from __future__ import annotations

import re
from typing import Any

from overture.rules.tree import Place
from overture.rules.yamlnodes import Mapping, Scalar, Sequence, Source, YamlNode, resolve

DEPTH = 24  # collections in collections

_MARKS = re.compile(r"^(?:---|\.\.\.|%)|\t", re.MULTILINE)
_BLANKS = re.compile(r"(?: *(?:#[^\n]*)?\n)*(?: *#[^\n]*\Z)?( *)")
_SPACES = re.compile(r" *")
_REST = re.compile(r"(?: +(?:#[^\n]*)?)?(?:\n|\Z)")
_KEY = re.compile(r"([A-Za-z_][A-Za-z0-9_.-]{0,99}):(?: +|$)", re.MULTILINE)
_START = r"(?:[A-Za-z0-9_/=.(<+$]|-[A-Za-z0-9.])"  # of a plain scalar, where it can be nothing else
_PLAIN = re.compile(rf"{_START}[^\n]*")
_FLOW_PLAIN = re.compile(rf"{_START}[^,\[\]{{}}\n:?#]*(?::[^ ,\[\]{{}}\n:?#][^,\[\]{{}}\n:?#]*)*")
_QUOTED = re.compile(r""""([^"\\\n]*)"|'([^'\n]*)'(?!')""")


def quick(source: Source) -> YamlNode | None:
    """The document's root; None where it is not for this reader."""
    if _MARKS.search(source.text):
        return None
    try:
        return _Quick(source).root()
    except _Hesitates:
        return None


class _Hesitates(Exception):
    """The parser knows."""


class _Quick:
    """``at`` is where the next content begins: in ``line``, which begins at ``start``, in column ``indent`` from 0."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.text = source.text
        self.size = len(self.text)
        self.at = self.start = self.indent = 0
        self.line = 1

    def root(self) -> YamlNode:
        self.go_on(0)
        if self.at == self.size:
            raise _Hesitates
        root = self.block("", 1)
        if self.at < self.size:
            raise _Hesitates
        return root

    # --- lines --------------------------------------------------------------------------------------------------

    def go_on(self, end: int) -> None:
        """To the next content; ``end`` is the beginning of a line."""
        found = _BLANKS.match(self.text, end)
        assert found is not None  # it matches nothing, too
        start, self.at = found.span(1)
        self.line += self.text.count("\n", self.start, start)
        self.start, self.indent = start, self.at - start

    def end_of_line(self, end: int, indent: int) -> None:
        """Nothing but a comment follows here, and the next content does not belong to what stands here."""
        rest = _REST.match(self.text, end)
        if rest is None:
            raise _Hesitates
        self.go_on(rest.end())
        if self.indent > indent and self.at < self.size:
            raise _Hesitates

    def place(self, at: int) -> Place:
        return Place(self.line, at - self.start + 1)

    # --- blocks -------------------------------------------------------------------------------------------------

    def block(self, pointer: str, depth: int) -> YamlNode:
        read = self.sequence if self.text.startswith("- ", self.at) else self.mapping
        return read(self.indent, pointer, depth)

    def mapping(self, indent: int, pointer: str, depth: int) -> Mapping:
        """The entries from here on that begin in the column ``indent``."""
        found = Mapping({}, {}, self.place(self.at), pointer)
        while self.indent == indent and self.at < self.size:
            end, name = self.key(self.at, found, depth)
            below = f"{pointer}/{name}"
            if end == self.size or self.text[end] in "\n#":
                found.items[name] = self.below(end, indent, below, depth + 1)
            else:
                found.items[name], end = self.value(end, below, depth + 1)
                self.end_of_line(end, indent)
        return self.ended(found, indent)

    def below(self, end: int, indent: int, pointer: str, depth: int) -> YamlNode:
        """What belongs to a key and stands in the lines under it."""
        self.go_on(self.text.find("\n", end) + 1 or self.size)
        if self.at == self.size or self.indent < indent:
            raise _Hesitates
        if self.indent == indent:
            return self.sequence(indent, pointer, depth)
        return self.block(pointer, depth)

    def sequence(self, indent: int, pointer: str, depth: int) -> Sequence:
        """The items from here on whose dash stands in the column ``indent``."""
        if depth > DEPTH or not self.text.startswith("- ", self.at):
            raise _Hesitates
        found = Sequence([], self.place(self.at), pointer)
        while self.indent == indent and self.text.startswith("- ", self.at):
            at = self.past_spaces(self.at + 1)
            below = f"{pointer}/{len(found.items)}"
            if _KEY.match(self.text, at):
                self.at, self.indent = at, at - self.start
                found.items.append(self.mapping(self.indent, below, depth + 1))
            else:
                value, end = self.value(at, below, depth + 1)
                found.items.append(value)
                self.end_of_line(end, indent)
        return self.ended(found, indent)

    def ended(self, found: Any, indent: int) -> Any:
        """What comes next belongs to what is around this."""
        if self.indent > indent and self.at < self.size:
            raise _Hesitates
        return found

    def key(self, at: int, mapping: Mapping, depth: int) -> tuple[int, str]:
        """Takes a key; answers where its value may begin, and its name."""
        found = _KEY.match(self.text, at)
        if depth > DEPTH or found is None or found[1] in mapping.keys:
            raise _Hesitates
        name = found[1]
        pointer = f"{mapping.pointer}/{name}"
        mapping.keys[name] = Scalar(name, name, self.place(at), pointer, self.source, at, at + len(name), "")
        return found.end(), name

    # --- values on one line -------------------------------------------------------------------------------------

    def value(self, at: int, pointer: str, depth: int) -> tuple[YamlNode, int]:
        """A value, and where it ends."""
        if self.text.startswith(("{", "["), at):
            return self.flow(at, pointer, depth)
        if self.text.startswith(('"', "'"), at):
            return self.quoted(at, pointer)
        found = _PLAIN.match(self.text, at)
        if found is None:
            raise _Hesitates
        said = found[0].partition(" #")[0]
        if ": " in said or said.rstrip(" ").endswith(":"):
            raise _Hesitates
        return self.plain(said, at, pointer)

    def plain(self, said: str, at: int, pointer: str) -> tuple[Scalar, int]:
        said = said.rstrip(" ")
        end = at + len(said)
        return Scalar(resolve(said), said, self.place(at), pointer, self.source, at, end, ""), end

    def quoted(self, at: int, pointer: str) -> tuple[Scalar, int]:
        found = _QUOTED.match(self.text, at)
        if found is None:
            raise _Hesitates
        said, end = found[0][1:-1], found.end()
        return Scalar(said, said, self.place(at), pointer, self.source, at, end, found[0][0]), end

    def flow(self, at: int, pointer: str, depth: int) -> tuple[YamlNode, int]:
        """A mapping in braces or a list in brackets, and where it ends."""
        text, place = self.text, self.place(at)
        is_mapping = text[at] == "{"
        close = "}" if is_mapping else "]"
        mapping, listed = Mapping({}, {}, place, pointer), Sequence([], place, pointer)
        if depth > DEPTH:
            raise _Hesitates
        at = self.past_spaces(at + 1)
        if not text.startswith(close, at):
            while True:
                if is_mapping:
                    at, name = self.key(at, mapping, depth)
                    mapping.items[name], at = self.part(at, f"{pointer}/{name}", depth + 1)
                else:
                    value, at = self.part(at, f"{pointer}/{len(listed.items)}", depth + 1)
                    listed.items.append(value)
                at = self.past_spaces(at)
                if not text.startswith(",", at):
                    break
                at = self.past_spaces(at + 1)
            if not text.startswith(close, at):
                raise _Hesitates
        return mapping if is_mapping else listed, at + 1

    def part(self, at: int, pointer: str, depth: int) -> tuple[YamlNode, int]:
        """A value in braces or brackets, and where it ends."""
        if self.text.startswith(("{", "["), at):
            return self.flow(at, pointer, depth)
        if self.text.startswith(('"', "'"), at):
            return self.quoted(at, pointer)
        found = _FLOW_PLAIN.match(self.text, at)
        if found is None:
            raise _Hesitates
        return self.plain(found[0], at, pointer)

    def past_spaces(self, at: int) -> int:
        found = _SPACES.match(self.text, at)
        assert found is not None  # it matches nothing, too
        return found.end()
