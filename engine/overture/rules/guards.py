"""What a template knows to be there: between ``{% if … is defined %}`` and ``{% endif %}``, and within one tag."""

from __future__ import annotations

import re

ROOTS = frozenset({"contact", "fact", "issued", "journey", "links"})  # what a template reads begins with one
TOKEN = re.compile(r"""\s+|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|\d+(?:\.\d+)?|\w+|[=!<>]=|//|\*\*|.""", re.DOTALL)


class Guards:
    """What is known to be there at some place between ``if`` and ``endif``: the texts of fields, ``fact.topic``."""

    def __init__(self) -> None:
        self.branches: list[tuple[frozenset[str], frozenset[str]]] = []  # asked for in this branch; if no branch was it

    def begin(self) -> None:
        self.branches.append((frozenset(), frozenset()))

    def condition(self, tokens: list[str]) -> None:
        """Of the branch that begins here; none for ``else``."""
        if self.branches:
            asked, otherwise = self.branches[-1]
            self.branches[-1] = asked | defined(tokens), otherwise | _undefined(tokens)

    def otherwise(self) -> None:
        if self.branches:
            _, otherwise = self.branches[-1]
            self.branches[-1] = otherwise, otherwise

    def end(self) -> None:
        if self.branches:
            self.branches.pop()

    def covers(self, field: str) -> bool:
        return any(field in asked for asked, _ in self.branches)


def path_of(tokens: list[str], most: int) -> tuple[list[str], list[str]]:
    """The names that follow a root, ``.a["b"]``, at most so many, and the tokens after them."""
    names: list[str] = []
    while len(names) < most and len(tokens) > 1:
        if tokens[0] == "." and (tokens[1][0].isalnum() or tokens[1][0] == "_"):
            names.append(tokens[1])
            tokens = tokens[2:]
        elif tokens[0] == "[" and tokens[1][0] in "\"'":
            names.append(tokens[1][1:-1])
            tokens = tokens[3:]
        else:
            break
    return names, tokens


def tokens_of(body: str) -> list[str]:
    return [m[0] for m in TOKEN.finditer(body) if not m[0].isspace()]


def defined(tokens: list[str]) -> frozenset[str]:
    """The fields that must be there where the expression holds: ``fact.a is defined and …``."""
    if {"or", "not"} & set(tokens):
        return frozenset()
    return _tested(tokens, "defined")


def _undefined(tokens: list[str]) -> frozenset[str]:
    """The field that must be there where the expression, as a whole, does not hold."""
    negated = tokens.count("not") == 1
    said = [t for t in tokens if t != "not"] if negated else tokens
    if path_of(said[1:], len(said))[1] == ["is", "defined" if negated else "undefined"]:
        return _tested(said, said[-1])
    return frozenset()


def _tested(tokens: list[str], word: str) -> frozenset[str]:
    found: set[str] = set()
    for i, token in enumerate(tokens):
        names, rest = path_of(tokens[i + 1 :], len(tokens)) if token in ROOTS else ([], [])
        if rest[:2] == ["is", word]:
            found.update(".".join((token, *names[: n + 1])) for n in range(len(names)))
    return frozenset(found)
