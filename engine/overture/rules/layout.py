"""The one way to lay out a document. Meaning and comments stay; order of sections, indentation and quotes are ours."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from overture.model import Refused
from overture.rules.keys import RULESET
from overture.rules.report import Report, RulesetInvalid
from overture.rules.written import Branch, Entry, Leaf, Tree, written
from overture.rules.yamltext import YamlNode, normalise, plain, read, resolve

WIDTH = 120
_FIRST = re.compile(r"[^\s\-?:,\[\]{}#&*!|>'\"%@`]")
_ENDS_PLAIN = re.compile(r":(?=\s|$)|\s#|[\n\t]|^\s|\s$")
_BRACKETS = re.compile(r"[,\[\]{}]")
_DOUBTFUL = re.compile(r"(?i:y|n|yes|no|on|off)|[-+.\d][-+.\d_:eTZz ]*|=|.*\?|.*[\x7f-\x9f].*", re.DOTALL)
"""What other readers of YAML may take for something else than text, or refuse: quotes around it stay."""


@dataclass(slots=True)
class _Row:
    """``content``: a line of a scalar, which is as it is."""

    text: str
    beside: str = ""
    content: bool = False


def laid_out(text: str) -> str:
    """The document in its canonical layout: `laid_out` of that is itself.

    Raises RulesetInvalid where it cannot be read as YAML, Refused ``fmt.unsafe`` where it cannot be written otherwise.
    """
    said = _said(text)
    tree = written(normalise(text))
    if not isinstance(tree, Branch):
        return text
    after = _text(_root(tree))
    with suppress(RulesetInvalid):
        if _said(after) == said:
            return after
    raise Refused("fmt.unsafe", "Another layout would change what the document says.", "Leave it as it is.")


def _said(text: str) -> Any:
    report = Report()
    root: YamlNode | None = None
    with report.until_full():
        root = read(text, report)
    if root is None or report.failed:
        raise RulesetInvalid(report.ordered())
    return plain(root)


# --- rows --------------------------------------------------------------------------------------------------------


def _root(root: Branch) -> list[_Row]:
    """The sections in their order. What stands above the first one is about the document, and stays at its head."""
    entries = root.entries
    if not entries:
        return [*_remarks(root.below, 0), _Row("{}" if root.mapping else "[]")]
    rows = _remarks(entries[0].above, 0)
    entries[0].above = []
    if root.mapping:
        order = {name: i for i, name in enumerate(RULESET.keys)}
        entries = sorted(entries, key=lambda entry: order.get(entry.key.text if entry.key else "", len(order)))
    long = False  # whether the one before takes more than a line
    for entry in entries:
        section = _flat(entry, 0)
        apart = len(section) > 1 and section[0] == _Row("")
        section = section[1:] if apart else section
        if entry is not entries[0] and (apart or long or len(section) > 1):
            rows.append(_Row(""))
        long = len(section) > 1
        rows += section
    return rows + _remarks(root.below, 0)


def _entries(branch: Branch, indent: int) -> list[_Row]:
    rows = [row for entry in branch.entries for row in _flat(entry, indent)]
    while rows and rows[0] == _Row(""):
        rows.pop(0)
    return rows + _remarks(branch.below, indent)


def _flat(entry: Entry, indent: int) -> list[_Row]:
    above, rows = _entry(entry, indent)
    return _remarks(above, indent) + rows


def _entry(entry: Entry, indent: int) -> tuple[list[str], list[_Row]]:
    """The remarks above an entry, and its rows."""
    value = entry.value
    start = " " * indent + (f"{_scalar(entry.key, False)}:" if entry.key is not None else "-")
    if isinstance(value, Leaf):
        first, *more = _leaf(value, start, indent, key=entry.key is not None)
        return entry.above, [_Row(first, entry.beside), *(_Row(row, content=True) for row in more)]
    if not value.entries:
        empty = _Row(f"{start} {'{}' if value.mapping else '[]'}", entry.beside)
        return entry.above, [empty, *_remarks(value.below, indent)]
    short = _inline(value)
    if short is not None and len(start) + 1 + len(short) <= WIDTH:
        return entry.above, [_Row(f"{start} {short}", entry.beside)]
    if entry.key is not None:
        return entry.above, [_Row(start, entry.beside), *_entries(value, indent + 2)]
    # The first entry stands behind the dash: what is said above it is said above both.
    above, (head, *tail) = _entry(value.entries[0], indent + 2)
    above = [*entry.above, *([entry.beside] if entry.beside else []), *(text for text in above if text)]
    rest = Branch(value.mapping, False, value.column, value.entries[1:], value.below)
    first = _Row(f"{start} {head.text[indent + 2 :]}", head.beside)
    return above, [first, *tail, *_entries(rest, indent + 2)]


def _remarks(remarks: list[str], indent: int) -> list[_Row]:
    return [_Row(" " * indent + text if text else "") for text in remarks]


def _text(rows: list[_Row]) -> str:
    """Rows as text: comments behind rows stand below each other, one blank line for several, none at the ends."""
    lines: list[str] = []
    at = 0
    while at < len(rows):
        end = at + 1
        while rows[at].beside and end < len(rows) and rows[end].beside and _indent(rows[end]) == _indent(rows[at]):
            end += 1
        width = max(len(row.text) for row in rows[at:end])
        for row in rows[at:end]:
            if row != _Row("") or (lines and lines[-1]):
                lines.append(f"{row.text.ljust(width)}  {row.beside}" if row.beside else row.text)
        at = end
    while lines and not lines[-1]:
        lines.pop()
    return "\n".join(lines) + "\n"


def _indent(row: _Row) -> int:
    return len(row.text) - len(row.text.lstrip(" "))


# --- values ------------------------------------------------------------------------------------------------------


def _leaf(leaf: Leaf, start: str, indent: int, *, key: bool) -> list[str]:
    """The rows of a scalar after its key or dash."""
    if leaf.style in ("|", ">") and (block := _block(leaf, indent + 2)):
        return [f"{start} {block[0]}", *block[1:]]
    text = _scalar(leaf, False)
    if not leaf.text and not leaf.style:
        return [start] if key else [f"{start} null"]
    if len(start) + 1 + len(text) > WIDTH and (folded := _folded(leaf.text, indent + 2)):
        return [f"{start} >-", *folded]
    return [f"{start} {text}"]


def _block(leaf: Leaf, indent: int) -> list[str]:
    """A block scalar as its author broke it into lines; none where that cannot be kept."""
    header, *lines = leaf.source
    marks = header.split("#")[0].strip()
    ends = len(leaf.text) - len(leaf.text.rstrip("\n"))
    depth = min((len(line) - len(line.lstrip(" ")) for line in lines if line.strip()), default=0)
    if ends > 1 or not leaf.text.strip() or any(mark.isdigit() for mark in marks) or not depth:
        return []
    while lines and not lines[-1].strip():
        lines.pop()
    rows = [" " * indent + line[depth:] if line[depth:] else "" for line in lines]
    return [marks[0] + ("" if ends else "-"), *rows]


def _folded(text: str, indent: int) -> list[str]:
    """A long text over several lines that mean the same; none where that cannot be."""
    if "\n" in text or "  " in text or text != text.strip() or "\t" in text:
        return []
    rows = [""]
    for word in text.split(" "):
        longer = f"{rows[-1]} {word}" if rows[-1] else word
        if rows[-1] and indent + len(longer) > WIDTH:
            rows.append(word)
        else:
            rows[-1] = longer
    return [" " * indent + row for row in rows] if len(rows) > 1 else []


def _inline(tree: Tree) -> str | None:
    """In brackets on one line; None where that must not be."""
    if isinstance(tree, Leaf):
        return "null" if not tree.text and not tree.style else _scalar(tree, True)
    parts: list[str] = []
    for entry in tree.entries:
        value = _inline(entry.value)
        if value is None or not tree.flow:
            return None
        parts.append(value if entry.key is None else f"{_scalar(entry.key, True)}: {value}")
    return f"{{{', '.join(parts)}}}" if tree.mapping else f"[{', '.join(parts)}]"


def _scalar(leaf: Leaf, flow: bool) -> str:
    text = leaf.text
    if not leaf.style and "\n" not in text:
        if not isinstance(resolve(text), str):
            return text
        if _is_plain(text, flow):
            return text
    elif isinstance(resolve(text), str) and _is_plain(text, flow) and not _DOUBTFUL.fullmatch(text):
        return text
    double = json.dumps(text, ensure_ascii=False)
    single = "'" + text.replace("'", "''") + "'"
    return single if "\n" not in text and "\t" not in text and len(single) < len(double) else double


def _is_plain(text: str, flow: bool) -> bool:
    if not _FIRST.match(text) or _ENDS_PLAIN.search(text):
        return False
    return not (flow and _BRACKETS.search(text))
