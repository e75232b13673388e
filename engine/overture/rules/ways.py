"""The ways that a template can go through its conditions; through a loop, with something in it or nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from overture.rules.template import tags_of

WAYS = 16  # that are looked at
BRANCHING = ("if", "for")
_ENDS = ("endif", "endfor")

_KEYWORD = re.compile(r"\s*[-+]?\s*(\w+)")


def ways(source: str, value: Callable[[int], str]) -> Iterator[str]:
    """The source as it could come out, with each character at its place: for a value, written in so many characters,
    stands what ``value`` says, and of each condition one branch is there. Every branch is there in one of them, as far
    as they are not too many.
    """
    tags = [
        (opening, start, _keyword(opening, body), start + len(body) + 2) for opening, start, body in tags_of(source)
    ]
    branches: list[int] = []  # of each `if`, in the order in which they begin; one more where there is no `else`
    stack: list[list[int]] = []  # of each open `if`: which one it is, and whether it has an else
    deepest = 0
    for _, _, keyword, _ in tags:
        if keyword in BRANCHING:
            stack.append([len(branches), 0])
            branches.append(1)
            deepest = max(deepest, len(stack))
        elif stack and keyword in ("elif", "else"):
            branches[stack[-1][0]] += 1
            stack[-1][1] |= keyword == "else"
        elif stack and keyword in _ENDS:
            number, has_else = stack.pop()
            branches[number] += not has_else
    most = max(branches, default=1)
    for way in range(min(most**deepest, WAYS)):
        yield _way(source, tags, branches, most, way, value)


def _way(
    source: str,
    tags: list[tuple[str, int, str, int]],
    branches: list[int],
    most: int,
    way: int,
    value: Callable[[int], str],
) -> str:
    parts: list[str] = []
    taken: list[tuple[int, int]] = []  # of each open `if`: the branch that is there, and the one that this is
    at = begun = 0
    for opening, start, keyword, end in tags:
        shown = all(here == there for there, here in taken)
        parts.append(source[at : start - 2] if shown else _blank(source[at : start - 2]))
        length = min(end, len(source)) - start + 2
        parts.append(value(length) if opening == "{{" and shown else _blank(source[start - 2 : end]))
        at = end
        if keyword in BRANCHING:
            taken.append((way // most ** len(taken) % branches[begun], 0))
            begun += 1
        elif taken and keyword in ("elif", "else"):
            taken[-1] = taken[-1][0], taken[-1][1] + 1
        elif taken and keyword in _ENDS:
            taken.pop()
    return "".join([*parts, source[at:]])


def _blank(text: str) -> str:
    return re.sub(r"[^\n]", " ", text)


def _keyword(opening: str, body: str) -> str:
    found = _KEYWORD.match(body) if opening == "{%" else None
    return found[1] if found else ""
