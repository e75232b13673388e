"""What is wrong in a script's source, and that a source which the checker cannot bear is a problem like any other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from overture.model.script import Problem
from overture.sandbox.check import Checker

STUB = """
from typing import Any, Literal, NotRequired, TypedDict
Fact = TypedDict("Fact", {"type": Literal["seen"], "seconds": int, "text": NotRequired[str], "at": int, "any": Any})
Traits = TypedDict("Traits", {"plan": str})
Contact = TypedDict("Contact", {"traits": Traits})
Returned = dict[str, Any] | None
"""
HEAD = "def main(fact: Fact, contact: Contact) -> Returned:\n"


@pytest.fixture(scope="module")
def check() -> Iterator[Checker]:
    with Checker() as checker:
        yield checker


@pytest.mark.parametrize(
    ("source", "code", "line", "column", "words"),
    [
        (HEAD + "    return {'x': fact['secnds']}", "script.types", 2, 23, 'Unknown key "secnds"'),
        (HEAD + "    return {'x': fact['seconds'] + 'a'}", "script.types", 2, 18, "Operator `+`"),
        (HEAD + "    return contact['traits']['plan'] > 3", "script.types", 2, 12, "`>`"),
        (HEAD + "    return 'hot'", "script.types", 2, 12, "expected `dict[str, Any] | None`"),
        (HEAD + "    return {'x': hot}", "script.types", 2, 18, "`hot`"),
        ("import uuid\n\n\n" + HEAD + "    return None", "script.types", 1, 8, "`uuid`"),
        ("def main(fact):\n    return (", "script.syntax", 2, 13, "unexpected EOF"),
        ("def main(fact):\n    yield 1", "script.syntax", 2, 5, "yield"),
        ("class A:\n    pass\n\n\nclass B(A):\n    pass", "script.syntax", 5, 1, "inheritance"),
        ("X = 1 / 0", "script.syntax", 1, 5, "division by zero"),
        ("while True:\n    pass", "script.syntax", 1, 1, "outside of functions"),
        ("x = 1\x07", "script.syntax", 1, 1, "control character"),
        ("# x\n" * 10_000, "script.syntax", 1, 1, "32 KB"),
        ("(" * 5000, "script.syntax", 1, 201, "nested"),
    ],
)
def test_a_problem_has_its_place(check: Checker, source: str, code: str, line: int, column: int, words: str) -> None:
    problem = check(source, STUB)[0]
    assert (problem.code, problem.line) == (code, line)
    assert words in problem.message
    assert problem.column in (column, 1) if code == "script.syntax" else problem.column == column


def test_what_fits_has_no_problem(check: Checker) -> None:
    body = """\
    if fact["seconds"] > 20 and "text" in fact:
        return {"x": fact["text"].upper(), "y": math.floor(fact["any"].z)}
    return None
"""
    assert check("import math\n\n\n" + HEAD + body, STUB) == []
    assert check("def main(fact, contact):\n    return fact.anything") == []


def test_a_source_that_the_checker_cannot_bear_is_a_problem() -> None:
    with Checker(seconds=1.5) as check:
        assert check("def main(n):\n    return 1") == []
        assert check(f"X = {'{' * 150}{'}' * 150}") == [
            Problem("script.syntax", 1, 1, "To check the source takes too long.")
        ]
        assert check("def main(n):\n    return 1") == []
