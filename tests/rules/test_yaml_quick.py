"""The quick reader of YAML reads what it takes as the parser does: the same values at the same places."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overture.rules.report import Report
from overture.rules.yamlnodes import Mapping, Scalar, Sequence, Source, YamlNode
from overture.rules.yamlquick import quick
from overture.rules.yamltext import careful, normalise, read

ROOT = Path(__file__).parents[2]
FILES = [*sorted((ROOT / "rulesets").glob("*.yaml")), *sorted((ROOT / "tests").rglob("bad/*.yaml"))]
TEXTS = [normalise(path.read_bytes().decode("utf-8", "surrogatepass")) for path in FILES]


def readable(text: str) -> bool:
    """Not refused for its characters before either of them is asked."""
    report = Report()
    with report.until_full():
        read(text, report)
    return all(finding.code != "document.characters" for finding in report.diagnostics)


TEXTS = [text for text in TEXTS if len(text) < 3000 and readable(text)]
PIECES = [
    ": ",
    ":",
    "- ",
    "-",
    " ",
    "  ",
    "\n",
    "\n  ",
    "\n    ",
    "\n- ",
    "\n  - ",
    "#",
    " #",
    "{",
    "}",
    "[",
    "]",
    ",",
    ", ",
    "'",
    '"',
    "''",
    '""',
    "a",
    "b: c",
    "a: ",
    "= x",
    "?",
    "!",
    "&",
    "*",
    "|",
    ">",
    "%",
    "@",
    "~",
    "null",
    "true",
    "0x1F",
    "1e5",
    ".5",
    "-1",
    "- - ",
    "é",
    "<<",
    "=",
    "\\",
    "`",
    "---",
    "...",
    "{a: b}",
    "[a, b]",
    "a:b",
    "a :b",
    "\u00a0",
    "x" * 130,
]
TAKEN = [
    "a: b",
    "a: b\n",
    "# c\n\na: b  # c\n\n  # c\nc: 'd'   \n   ",
    "a:\n  b: 1\n  c:\n    d: -1.5\ne: = x.y + 1\n",
    "a:\n- b\n- c: d\n  e: f\n-   g: h\n    i: [j, {k: l}]\nm: n:o\n",
    "a:\n  - {b: \"c, d\", e: 'f: g', h: [], i: {}}  # j\n  - k\n",
    "- {type: order, at: 2026-03-27T10:00:00+01:00, path: /a/b, n: 1e3, yes: no}\n- [a, -1, .5, true, http://x.y/z]\n",
    "a: <p>b, {c} [d]</p>\nb: c#d\n",
]
LEFT = [
    "",
    "# c\n",
    "a:\n",
    "a:\nb: c\n",
    "a: b\n c\n",
    "a: b: c\n",
    "a: |\n  b\n",
    "a: &b c\n",
    "a: *b\n",
    "a: !b c\n",
    "a: 'it''s'\n",
    'a: "\\n"\n',
    "a: {b: c,\n  d: e}\n",
    "a: b\na: c\n",
    "{a: b, a: c}\n",
    "a:\n  b: 1\n c: 2\n",
    "--- \na: b\n",
    "a\tb: c\n",
    "a: {b}\n",
    "a: [b: c]\n",
    "a: [b, ]\n",
    "a: {b: }\n",
    "? a\n: b\n",
    "- - a\n",
    "a: - b\n",
    "a: b\n- c\n",
    "a: {b: c}d\n",
    "a: [b]#c\n",
    "a b: c\n",
    "3: a\n",
    "[" * 30 + "]" * 30,
    "a: {b: c?d}\n",
    "a: %b\n",
    "a: b:\n",
]


def shown(node: YamlNode) -> Any:
    """Everything about a node, with the kinds of values told apart."""
    match node:
        case Scalar():
            return (repr(node.value), node.text, node.place, node.pointer, node.start, node.end, node.style)
        case Sequence():
            return ([shown(item) for item in node.items], node.place, node.pointer)
        case Mapping():
            keys = [(name, shown(key)) for name, key in node.keys.items()]
            return (keys, [(name, shown(item)) for name, item in node.items.items()], node.place, node.pointer)


def agree(text: str) -> bool:
    """Whether the quick reader took it; then the parser reads it alike and finds nothing wrong with it."""
    root = quick(Source(text))
    if root is None:
        return False
    report = Report()
    careful_root = careful(Source(text), report)
    assert report.diagnostics == []
    assert careful_root is not None
    assert shown(root) == shown(careful_root)
    return True


@pytest.mark.parametrize("text", TAKEN)
def test_what_it_takes(text: str) -> None:
    assert agree(text)


@pytest.mark.parametrize("text", LEFT)
def test_what_it_leaves_to_the_parser(text: str) -> None:
    assert not agree(text)


def test_most_of_what_is_written() -> None:
    taken = [agree(text) for text in TEXTS]
    assert sum(taken) > len(taken) * 0.7
    tests = [path.read_text("utf-8") for path in (ROOT / "rulesets").glob("*.test.yaml")]
    assert all(map(agree, tests))


@st.composite
def documents(draw: st.DrawFn) -> str:
    lines = draw(st.sampled_from(TEXTS)).split("\n")
    start = draw(st.integers(0, len(lines) - 1))
    text = "\n".join(lines[start : start + draw(st.integers(1, 12))])
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(text)))
        text = text[:at] + draw(st.sampled_from(PIECES)) + text[at + draw(st.sampled_from([0, 0, 1, 2, 5])) :]
    return text


@given(documents())
@settings(max_examples=1000, deadline=None)
def test_they_agree(text: str) -> None:
    agree(text)
