"""``docs/errors.md`` lists exactly the codes that stand in the code, outside facts and documents."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from dockit import CODE, modules, page

from overture.model.reasons import REASONS
from overture.rules.scope import BUILT_IN

PAGE = page("errors.md")
DOTTED = re.compile(r"[a-z][a-z_]*\.[a-z][a-z0-9_]*")
ROOTS = {"OvertureError", "EgressRefused"}
# what else carries a code
VALUES = {"Rejected", "Handed", "BacktestError", "respond", "_later", "fail", "Refuse", "NoFact", "Wrong", "Judged"}
VALUES |= {"Said", "Refusal"}
TREES = list(modules())


def called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def errors() -> set[str]:
    """The names of all classes below the root of the error tree."""
    bases = {
        node.name: {base.id for base in node.bases if isinstance(base, ast.Name)}
        for _, tree in TREES
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }
    found = {"OvertureError"}
    while more := {name for name, above in bases.items() if above & found} - found:
        found |= more
    return found


def literal(node: ast.expr) -> str:
    """A code as written, ``smtp.<number>`` where its end is computed, ``<service>.unreachable`` where its beginning is;
    empty for anything else.
    """
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value if DOTTED.fullmatch(node.value) else ""
    if isinstance(node, ast.JoinedStr) and len(node.values) == 2 and isinstance(node.values[0], ast.Constant):
        start = str(node.values[0].value)
        return f"{start}<number>" if re.fullmatch(r"[a-z_]+\.", start) else ""
    if isinstance(node, ast.JoinedStr) and ast.unparse(node).startswith(("f'{self.name}.", "f'{self._name}.")):
        end = node.values[1:]
        word = str(end[0].value)[1:] if isinstance(end[0], ast.Constant) else ""
        return f"<service>.{word or '<number>'}" if len(end) <= 2 else ""
    return ""


def raised() -> Iterator[str]:
    """Codes passed to errors and results, by position or as ``code``, or standing as the default of ``code``."""
    carriers = errors() | VALUES | {"__init__"}
    for _, tree in TREES:
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and called(node) in carriers:
                yield from map(literal, [*node.args, *(k.value for k in node.keywords if k.arg == "code")])
            elif isinstance(node, ast.FunctionDef):
                named = [a.arg for a in node.args.args][-len(node.args.defaults) :] if node.args.defaults else []
                yield from (literal(d) for a, d in zip(named, node.args.defaults, strict=True) if a == "code")


def reasons() -> Iterator[str]:
    """Why an action did nothing: the dotted texts in `decide`; why a message waits: the beginnings of sentences."""
    for path, tree in TREES:
        for node in ast.walk(tree):
            if not (isinstance(node, ast.Constant) and isinstance(node.value, str)):
                continue
            if path.parts[:3] == ("engine", "overture", "decide") and DOTTED.fullmatch(node.value):
                yield node.value
            elif path == Path("engine/overture/delivery/attempt.py"):
                found = re.match(rf"({DOTTED.pattern}): ", node.value)
                yield found[1] if found else ""


def listed() -> list[str]:
    return [code for line in PAGE.splitlines() if line.startswith("| `") for code in CODE.findall(line)[:1]]


def test_the_page_lists_the_codes_in_the_code_and_no_other():
    known = {*raised(), *reasons(), *REASONS, "backfill", "corrected"} - {"", "script.syntax"} - set(BUILT_IN)
    assert "store.weak" in known
    assert "smtp.<number>" in known
    told = set(listed())
    assert known - told == set(), "not in the page"
    assert told - known == set(), "not in the code"


def test_each_table_lists_a_code_once_and_in_order():
    for text in re.split(r"^\|---.*$", PAGE, flags=re.MULTILINE)[1:]:
        rows = re.findall(r"^\| `([^`]+)` \|", text.split("\n\n")[0], re.MULTILINE)
        assert rows
        assert len(rows) == len(set(rows))


def test_what_is_refused_at_start_is_what_can_be_refused_at_start():
    found = {
        literal(node.args[0])
        for _, tree in TREES
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and called(node) == "StartupRefused"
    }
    for text in (PAGE.split("\n## Start\n")[1], page("operating.md").split("\n## What is refused at start\n")[1]):
        rows = re.findall(r"^\| `([^`]+)` \|", text.split("\n## ")[0], re.MULTILINE)
        assert set(rows) == found
        assert len(rows) == len(found)
