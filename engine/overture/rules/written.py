"""A document as it is written: entries, scalars, and the comments and blank lines that belong to them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import events

from overture.rules.yamltext import events_of, text_of

BLANK = ""
"""A blank line among comments."""

_END = 0  # the column of what follows the last entry: left of everything


@dataclass(eq=False, slots=True)
class Leaf:
    """A scalar. ``source`` are its own lines, indentation included, where it is a block (``|`` or ``>``)."""

    text: str
    style: str
    source: list[str] = field(default_factory=list[str])


@dataclass(eq=False, slots=True)
class Branch:
    """A mapping, or a list: its entries have no keys. ``below``: the comments after the last entry.

    ``flow``: it is written in brackets, and can be so on one line.
    """

    mapping: bool
    flow: bool
    column: int
    entries: list[Entry] = field(default_factory=list["Entry"])
    below: list[str] = field(default_factory=list[str])


@dataclass(eq=False, slots=True)
class Entry:
    """``above``: the comments and blank lines before it; ``beside``: the comment behind it."""

    key: Leaf | None
    value: Leaf | Branch
    above: list[str] = field(default_factory=list[str])
    beside: str = ""


Tree = Leaf | Branch


def written(text: str) -> Tree:
    """The document, which `yamltext.read` must have found nothing wrong with."""
    return _Written(text).document()


@dataclass(frozen=True, slots=True)
class _Remark:
    """A comment, or a blank line, on a line of its own."""

    column: int
    text: str


class _Written:
    def __init__(self, text: str) -> None:
        self.text = text if text.endswith("\n") else f"{text}\n"
        self.at = 0  # where the last token ends
        self.events: Iterator[Any] = events_of(text)
        self.entry = Entry(None, Leaf("", ""))  # the last one that began: what stands behind it on its line is its own
        self.open: list[Branch] = []  # in brackets, around what is being read
        self.closed: list[Branch] = []  # blocks that ended since the last entry began, innermost first

    def document(self) -> Tree:
        head = self.entry
        root = next(tree for event in self.events if (tree := self.tree(event)) is not None)
        rest: list[str] = []
        self.settle(self.gap(len(self.text)), _END, rest)
        if isinstance(root, Branch):
            # What stands around a bracket that is the whole document is no entry's.
            root.below += [head.beside, *rest] if head.beside else rest
            first = root.entries[0].above if root.entries else root.below
            first[:0] = head.above
        return root

    def tree(self, event: Any) -> Tree | None:
        """The value that begins with the event; None for an event that begins none."""
        match event:
            case events.ScalarEvent():
                return self.scalar(event)
            case events.SequenceStartEvent() | events.MappingStartEvent():
                return self.branch(event, isinstance(event, events.MappingStartEvent))
            case _:
                return None

    def scalar(self, event: Any) -> Leaf:
        style = str(event.style or "")
        start, end = int(event.start_mark.index), int(event.end_mark.index)
        source = self.text[start:end].split("\n") if style in ("|", ">") else []
        if start < end:
            self.before_value(start)
            self.at = end
        if source and (header := re.search(r"(?<=\s)#.*", source[0])):
            self.aside(header[0])
        return Leaf(text_of(event), style, source)

    def branch(self, event: Any, mapping: bool) -> Branch:
        found = Branch(mapping, bool(event.flow_style), int(event.start_mark.column) + 1)
        if found.flow:
            self.before_value(event.start_mark.index)
            self.at = int(event.end_mark.index)
            self.open.append(found)
        owner = self.entry
        for item in self.events:
            if isinstance(item, events.MappingEndEvent | events.SequenceEndEvent):
                self.end(item, found)
                if found in self.open:
                    self.open.remove(found)
                    self.entry = owner
                return found
            self.add(item, found)
        raise AssertionError("a branch ends")

    def add(self, event: Any, branch: Branch) -> None:
        entry = Entry(None, Leaf("", ""))
        remarks = self.gap(event.start_mark.index)
        if branch in self.open:
            entry.above = [remark.text for remark in remarks if remark.text]
        else:
            self.settle(remarks, branch.column, entry.above)
        branch.entries.append(entry)
        self.entry = entry
        if branch.mapping:
            entry.key = self.scalar(event)
            event = next(self.events)
        value = self.tree(event)
        assert value is not None
        entry.value = value

    def before_value(self, start: int) -> None:
        """What stands between a key and its value is said above both."""
        self.entry.above += [remark.text for remark in self.gap(start) if remark.text]

    def end(self, event: Any, branch: Branch) -> None:
        if branch not in self.open:
            self.closed.append(branch)
            return
        branch.below = [remark.text for remark in self.gap(event.start_mark.index) if remark.text]
        self.at = int(event.end_mark.index)

    def gap(self, to: int) -> list[_Remark]:
        """What is said between the last token and the next one; a comment behind the last token is told apart."""
        if to <= self.at:
            return []
        first, *lines = self.text[self.at : to].split("\n")
        if not self.at:
            lines = [first, *lines]
        elif self.text[self.at - 1] == "\n":  # a block scalar ends with its line, and takes blank lines along
            lines = [first, *lines]
            if self.text[: self.at].endswith("\n\n"):
                lines = ["", *lines]
        elif "#" in first:
            self.aside(first[first.index("#") :])
        self.at = to
        found: list[_Remark] = []
        begun = False  # by a dash on a line before
        for line in lines[:-1]:
            mark, sharp, comment = line.partition("#")
            begun = begun or bool(mark.strip())
            if sharp:
                found.append(_Remark(0 if begun else len(mark) + 1, f"#{comment.rstrip()}"))
                self.unfold()
            elif not mark.strip():
                found.append(_Remark(0, BLANK))
        return found

    def aside(self, comment: str) -> None:
        """A comment behind the last token on its line."""
        self.unfold()
        if self.entry.beside:
            self.entry.above.append(comment.rstrip())
        else:
            self.entry.beside = comment.rstrip()

    def unfold(self) -> None:
        """What has a comment within its brackets cannot stand on one line."""
        for branch in self.open:
            branch.flow = False

    def settle(self, remarks: list[_Remark], column: int, above: list[str]) -> None:
        """Divide what stands before an entry between it and the blocks that ended before, by columns."""
        blocks = list(self.closed)
        waiting: list[str] = []  # blank lines go with the comment after them
        for remark in remarks:
            if not remark.text:
                waiting.append(BLANK)
                continue
            while blocks and (blocks[0].column > remark.column or remark.column <= column):
                blocks.pop(0)
            into = blocks[0].below if blocks and blocks[0].column > column else above
            into += [*waiting, remark.text]
            waiting = []
        above += waiting
        self.closed = []
