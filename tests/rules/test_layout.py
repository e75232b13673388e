"""`overture fmt`: the same meaning, every comment, and nothing left to do the second time."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from badkit import BAD
from hypothesis import given, settings
from hypothesis import strategies as st

from overture.model import Refused
from overture.rules.document import load
from overture.rules.layout import WIDTH, laid_out
from overture.rules.report import Report, RulesetInvalid
from overture.rules.tree import Place
from overture.rules.yamltext import plain, read

ROOT = Path(__file__).parents[2]
SHIPPED = sorted((ROOT / "rulesets").glob("*.yaml"))
DOCUMENTS = [*SHIPPED, *sorted(BAD.glob("*/example*.yaml")), *sorted((ROOT / "tests" / "trial" / "bad").glob("*.yaml"))]


def said(text: str) -> Any:
    """What a document says, whatever it looks like; None for one that cannot be read."""
    report, root = Report(), None
    with report.until_full():
        root = read(text, report)
    return None if root is None or report.failed else plain(root)


def same(one: object, other: object) -> bool:
    """Equal but for places, sources and revisions."""
    if isinstance(one, Place) or one == other:
        return True
    if isinstance(one, tuple | list) and isinstance(other, tuple | list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    fields = getattr(one, "__dataclass_fields__", None)
    return (
        type(one) is type(other)
        and fields is not None
        and all(name in ("source", "revision") or same(getattr(one, name), getattr(other, name)) for name in fields)
    )


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_every_document_keeps_its_meaning_and_comes_to_rest(path: Path) -> None:
    text = path.read_bytes().decode()
    if said(text) is None:
        with pytest.raises(RulesetInvalid):
            laid_out(text)
        return
    after = laid_out(text)
    assert said(after) == said(text)
    assert laid_out(after) == after
    assert not re.search(r"[ \t]$", after, re.MULTILINE) or re.search(r"[ \t]$", text, re.MULTILINE)


@pytest.mark.parametrize("path", [p for p in SHIPPED if ".test." not in p.name], ids=lambda p: p.name)
def test_the_ruleset_is_the_same(path: Path) -> None:
    reversed_, text = backwards(path.read_text()), path.read_text()
    assert reversed_ != text
    assert same(load(laid_out(reversed_)), load(text))
    assert (laid_out(text) == text) is (load(laid_out(text)).revision == load(text).revision)


def backwards(text: str) -> str:
    """The document with its sections in the opposite order."""
    head, *sections = re.split(r"^(?=[a-zA-Z])", text, flags=re.MULTILINE)
    return head + "".join(section if section.endswith("\n") else f"{section}\n" for section in reversed(sections))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.name)
def test_what_is_shipped_is_laid_out(path: Path) -> None:
    assert laid_out(path.read_text()) == path.read_text()


CASES = {
    "sections have an order": ("rules: {}\nname: x\nkind: Ruleset\n", "kind: Ruleset\nname: x\nrules: {}\n"),
    "what is unknown comes last": ("zzz: 1\nname: x\n", "name: x\nzzz: 1\n"),
    "a section takes its comments along": (
        "# about all of it\nname: x\n\n# about the rules\nrules:\n  r: 1\n# about facts\nfacts: {}  # none\n",
        "# about all of it\nname: x\n\n# about facts\nfacts: {}  # none\n\n# about the rules\nrules:\n  r: 1\n",
    ),
    "the head of the document stays there": ("# head\nrules: {}\nname: x\n", "# head\nname: x\nrules: {}\n"),
    "indentation is two": (
        "a:\n    b:\n    - c\n    -   d: 1\n        e: 2\n",
        "a:\n  b:\n    - c\n    - d: 1\n      e: 2\n",
    ),
    "quotes where they are needed": (
        "a: 'x'\nb: \"it's\"\nc: '25'\nd: \"a: b\"\ne: ' x'\nf: \"'\\\"\"\ng: [\"x, y\", 'z', \"a]\"]\nh: 'a]'\n",
        "a: x\nb: it's\nc: \"25\"\nd: \"a: b\"\ne: \" x\"\nf: \"'\\\"\"\ng: [\"x, y\", z, \"a]\"]\nh: a]\n",
    ),
    "quotes inside a condition": (
        "a: \"\\\"vip\\\" in contact.segments\"\nb: 'fact.type == \"a\"'\n",
        "a: '\"vip\" in contact.segments'\nb: fact.type == \"a\"\n",
    ),
    "what others take for no text keeps its quotes": (
        "a: \"NO\"\nb: NO\nc: 'string?'\nd: string?\ne: \"12:30\"\nf: 12:30\n",
        "a: \"NO\"\nb: NO\nc: \"string?\"\nd: string?\ne: \"12:30\"\nf: 12:30\n",
    ),
    "numbers stay as they are written": (
        "a: [0x10, 1.50, True, ~,null]\nb: ~\nc:\n",
        "a: [0x10, 1.50, True, ~, null]\nb: ~\nc:\n",
    ),
    "nothing in a list": ("a:\n  -\n  - b:\n", "a:\n  - null\n  - b:\n"),
    "blank lines": ("\n\na: 1\n\n\n\nb:\n\n  c: 1\n\n\n  d: 2\n\n", "a: 1\n\nb:\n  c: 1\n\n  d: 2\n"),
    "comments beside stand in line": (
        "a:\n  x: 1 # one\n  long: 22  # two\n  y: 3\n  z: 4 # four\n",
        "a:\n  x: 1      # one\n  long: 22  # two\n  y: 3\n  z: 4  # four\n",
    ),
    "brackets of several lines": ("a: {\n  b: 1,\n  c: [1,\n  2]}\n", "a: {b: 1, c: [1, 2]}\n"),
    "brackets with a comment inside": ("a: {b: 1, # one\n  c: 2}\n", "a:\n  b: 1  # one\n  c: 2\n"),
    "brackets with a comment at the end": (
        "a: [1, 2\n  # no more\n  ]\nb: 1\n",
        "a:\n  - 1\n  - 2\n  # no more\n\nb: 1\n",
    ),
    "empty brackets with a comment": ("a: { # nothing\n  # yet\n  }\n", "a: {}  # nothing\n# yet\n"),
    "a comment after a block belongs to it": (
        "a:\n  b:\n    c: 1\n    # in b\n  # in a\n# of d\nd: 1\n",
        "a:\n  b:\n    c: 1\n    # in b\n  # in a\n\n# of d\nd: 1\n",
    ),
    "a comment behind a key and behind a dash": (
        "a: # of a\n  - # of b\n    b: 1 # one\n    c: 2\n", "a:  # of a\n  # of b\n  - b: 1  # one\n    c: 2\n",
    ),
    "blocks of text": (
        "a: |  # said\n      x\n        y\n\n      z\nb: >-\n   one\n   two\nc: |+\n  x\n\n\nd: 1\n",
        "a: |  # said\n  x\n    y\n\n  z\n\nb: >-\n  one\n  two\n\nc: \"x\\n\\n\\n\"\nd: 1\n",
    ),
    "text that ends with the document": ("a: |\n  x", "a: |-\n  x\n"),
    "a plain text of several lines": ("a: x\n  and y\n\n  z\n", "a: \"x and y\\nz\"\n"),
    "markers go": ("%YAML 1.2\n# head\n---\na: 1\n...\n", "# head\na: 1\n"),
    "JSON is laid out too": ('{"a": {"b": "c", "d": [1, 2]}, "e": []}', "a: {b: c, d: [1, 2]}\ne: []\n"),
    "lists in lists": ("a:\n- - 1\n  - 2\n-\n  # c\n  - 3\n", "a:\n  - - 1\n    - 2\n  # c\n  - - 3\n"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_layout(case: str) -> None:
    before, after = CASES[case]
    assert laid_out(before) == after
    assert laid_out(after) == after


def test_what_does_not_fit_a_line_stands_on_several() -> None:
    words = " and ".join(f'fact.path == "/{i}"' for i in range(10))
    many = ", ".join(f"name{i}" for i in range(30))
    after = laid_out(f"when: {words}\nlist: [{many}]\nmap: {{a: [{many}], b: 1}}\n")
    assert all(len(line) <= WIDTH for line in after.splitlines())
    assert after.startswith("when: >-\n  fact.path")
    assert "list:\n  - name0\n" in after
    assert "map:\n  a:\n    - name0\n" in after
    assert after.endswith("    - name29\n  b: 1\n")
    assert laid_out(after) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("# why\n{name: x}\n", "# why\nname: x\n"),
        ("{}\n# why\n", "# why\n{}\n"),
        ("# why\n{} # beside\n# below\n", None),
        ('# why\n{"name": "x", "rules": {}}\n# below\n', None),
    ],
)
def test_what_stands_above_a_document_in_brackets_stays(before: str, after: str | None) -> None:
    laid = laid_out(before)
    assert after is None or laid == after
    assert laid_out(laid) == laid
    assert [remark for remark in ("why", "beside", "below") if remark in before and f"# {remark}" not in laid] == []


def test_what_is_no_ruleset_is_laid_out_and_what_cannot_be_read_is_not() -> None:
    assert laid_out("a:   3\n") == "a: 3\n"
    for text in ("a: [1", "a: &x 1", "a: 1\na: 2", "", "# nothing\n"):
        with pytest.raises(RulesetInvalid):
            laid_out(text)


def test_a_key_that_only_fits_behind_a_question_mark_is_left_alone() -> None:
    with pytest.raises(Refused) as refused:
        laid_out(f"? {'k' * 2000}\n: 1\n")
    assert refused.value.code == "fmt.unsafe"


SAMPLE = """\
# About all of it.
apiVersion: overture/v1
rules:
  # About a.
  a:
    when: >-
      fact.type == "x"

      # no comment
      and fact.y
    then:  # what it does
      - score: {name: lead, add: 1}
      - set:
          # a trait
          country: DE
  b: {when: 'a', then: [{unset: n}]}

facts: {x: {a: int, b: "string?"}}  # of apps
templates:
    t:
        text: |
            Hello # no comment

            {{ x }}
        subject: a
            b
    # last of templates
name: x
consts: {
  a: 1,
  b: [1, 2,
    3] }
"""


MEANT = said(SAMPLE)


@st.composite
def remarked(draw: st.DrawFn) -> tuple[str, list[str]]:
    """The sample with more comments and blank lines, and these comments."""
    lines, added = SAMPLE.split("\n"), list[str]()
    for number in range(draw(st.integers(1, 5))):
        at, remark = draw(st.integers(0, len(lines) - 1)), f"# remark {number}."
        if draw(st.booleans()):
            changed = [*lines[:at], " " * draw(st.integers(0, 12)) + remark, *lines[at:]]
        elif "#" not in lines[at] and lines[at].strip():
            changed = [*lines[:at], f"{lines[at]}{' ' * draw(st.integers(1, 3))}{remark}", *lines[at + 1 :]]
        else:
            changed = [*lines[:at], "", *lines[at:]]
            remark = ""
        if said("\n".join(changed)) == MEANT:  # otherwise it stands in a text, and is none
            lines = changed
            added += [remark] if remark else []
    return "\n".join(lines), added


@settings(max_examples=100, deadline=timedelta(seconds=5))
@given(remarked())
def test_no_comment_is_lost(case: tuple[str, list[str]]) -> None:
    text, remarks = case
    after = laid_out(text)
    assert said(after) == MEANT
    assert laid_out(after) == after
    for remark in (*remarks, "# About all", "# About a.", "# what", "# a trait", "# of apps", "# last", "# no comment"):
        assert after.count(remark) == text.count(remark), remark
