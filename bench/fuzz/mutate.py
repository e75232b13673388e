"""Mutations that know what a ruleset looks like: lines, blocks, keys, values, and expressions of the language."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

_WORDS = (Path(__file__).parent / "words.txt").read_text("utf-8").splitlines()


def _words(kind: str) -> list[str]:
    return [word for line in _WORDS if line.startswith(f"{kind}\t") for word in line.split("\t")[1].split(" ")]


FIELDS, LITERALS, FUNCTIONS, OPERATORS = map(_words, ("fields", "literals", "functions", "operators"))
MEMBERS, KEYS, VALUES, TAGS = map(_words, ("members", "keys", "values", "tags"))
ARGUMENTS = ("", "", ", within='7d'", ", within='this month'", ", where='fact.total > 1'", ", x=1")
_CONDITION = re.compile(r"\b(when|while|first|second|once_per|where):.*")
SIZE = 64 * 1024


def expression(random: Random, depth: int = 4) -> str:
    """Text that is often an expression of the language and sometimes nearly one."""
    if depth == 0 or random.random() < 0.2:
        return random.choice(FIELDS) if random.random() < 0.6 else random.choice(LITERALS)
    inner = lambda: expression(random, depth - 1)  # noqa: E731
    match random.randrange(9):
        case 0 | 1 | 2:
            return f"{inner()} {random.choice(OPERATORS).replace('_', ' ')} {inner()}"
        case 3:
            return f"{random.choice(('and', 'or')).join(f' {inner()} ' for _ in range(random.randint(2, 4)))}".strip()
        case 4:
            return f"not {inner()}"
        case 5:
            return f"({inner()})"
        case 6:
            named = random.choice(
                ("", "", ", within='7d'", ", within='this month'", ", where='fact.total > 1'", ", x=1")
            )
            return f"{random.choice(FUNCTIONS)}({', '.join(inner() for _ in range(random.randint(0, 3)))}{named})"
        case 7:
            return f"{inner()}.{random.choice(MEMBERS)}"
        case _:
            return f"[{', '.join(inner() for _ in range(random.randint(0, 4)))}]"


class Mutator:
    """Makes another document of one, with pieces of others."""

    def __init__(self, corpus: Sequence[str]) -> None:
        self.corpus = corpus
        self.blocks = [block for text in corpus for block in _blocks(text)]
        self.ways: tuple[Callable[[list[str], Random], list[str]], ...] = (
            self.swap, self.drop, self.double, self.shift, self.graft, self.condition, self.value, self.key, self.tag,
            self.flow, self.many,
        )  # fmt: skip

    def mutate(self, text: str, random: Random) -> str:
        lines = text.split("\n")
        for _ in range(random.choice((1, 1, 2, 3))):
            lines = random.choice(self.ways)(lines, random) or [""]
        return "\n".join(lines)[:SIZE]

    # --- whole lines ------------------------------------------------------------------------------------------

    def swap(self, lines: list[str], random: Random) -> list[str]:
        a, b = random.randrange(len(lines)), random.randrange(len(lines))
        lines[a], lines[b] = lines[b], lines[a]
        return lines

    def drop(self, lines: list[str], random: Random) -> list[str]:
        at = random.randrange(len(lines))
        return lines[:at] + lines[at + random.randint(1, 3) :]

    def double(self, lines: list[str], random: Random) -> list[str]:
        at = random.randrange(len(lines))
        end = at + random.randint(1, 8)
        return lines[:end] + lines[at:end] + lines[end:]

    def shift(self, lines: list[str], random: Random) -> list[str]:
        at, by = random.randrange(len(lines)), random.choice((-2, -1, 1, 2, 4))
        for i in range(at, min(len(lines), at + random.randint(1, 5))):
            lines[i] = " " * by + lines[i] if by > 0 else lines[i].removeprefix(" " * -by)
        return lines

    def graft(self, lines: list[str], random: Random) -> list[str]:
        """A block of another document, where one of the same depth begins."""
        block = random.choice(self.blocks)
        depth = _depth(block[0])
        places = [i for i, line in enumerate(lines) if line.strip() and _depth(line) == depth] or [len(lines)]
        at = random.choice(places)
        return lines[:at] + block + lines[at:]

    def many(self, lines: list[str], random: Random) -> list[str]:
        """One line or one piece of a line very often: what grows faster than its input shows here."""
        at = random.randrange(len(lines))
        times = random.choice((40, 200, 1000))
        if random.random() < 0.5:
            return lines[:at] + [_counted(lines[at], i) for i in range(min(times, 300))] + lines[at + 1 :]
        pieces = re.findall(r"\W|\w+", lines[at]) or ["("]
        where = random.randrange(len(pieces))
        pieces[where] *= times
        lines[at] = "".join(pieces)[:8000]
        return lines

    # --- parts of a line ----------------------------------------------------------------------------------------

    def condition(self, lines: list[str], random: Random) -> list[str]:
        said = expression(random, random.randint(1, 6))
        if random.random() < 0.7:
            said = f"fact.type == 'page_viewed' and {said}"
        quoted = random.choice((said, "'" + said.replace("'", "''") + "'", f">-\n {said}"))
        places = [
            i for i, line in enumerate(lines) if re.search(r"\b(when|while|first|second|once_per|where|if):", line)
        ]
        if not places:
            return [*lines, f"rules: {{r: {{when: {quoted}, then: []}}}}"]
        at = random.choice(places)
        lines[at] = re.sub(
            r"\b(when|while|first|second|once_per|where|if):.*", lambda m: f"{m[1]}: {quoted}", lines[at]
        )
        return lines

    def value(self, lines: list[str], random: Random) -> list[str]:
        new = random.choice(VALUES) if random.random() < 0.7 else f'"= {expression(random, 2)}"'.replace("\\", "/")
        return self.at_match(lines, r"(?<=: )[^:{}\[\]#]+?(?=[,}\]]|$)", new, random)

    def key(self, lines: list[str], random: Random) -> list[str]:
        return self.at_match(lines, r"[A-Za-z_.-]+(?=:)", random.choice(KEYS), random)

    def flow(self, lines: list[str], random: Random) -> list[str]:
        return self.at_match(lines, r"[{}\[\],:'\"#|>-]", random.choice("{}[],:'\"#|>-&*!%@`?\t \0\u2028"), random)

    def tag(self, lines: list[str], random: Random) -> list[str]:
        at = random.randrange(len(lines))
        cut = random.randint(0, len(lines[at]))
        lines[at] = lines[at][:cut] + random.choice(TAGS) + lines[at][cut:]
        return lines

    def at_match(self, lines: list[str], pattern: str, new: str, random: Random) -> list[str]:
        at = random.randrange(len(lines))
        found = list(re.finditer(pattern, lines[at]))
        if found:
            m = random.choice(found)
            lines[at] = lines[at][: m.start()] + new + lines[at][m.end() :]
        return lines


def _counted(line: str, i: int) -> str:
    """The same line with another name, so that it is no duplicate."""
    return re.sub(r"[A-Za-z_-]+(?=:)", lambda m: f"{m[0]}{i}", line, count=1)


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _blocks(text: str) -> list[list[str]]:
    """Each line of a document with those that stand deeper below it."""
    lines = text.split("\n")
    found: list[list[str]] = []
    for i, line in enumerate(lines):
        if line.strip():
            end = i + 1
            while end < len(lines) and lines[end].strip() and _depth(lines[end]) > _depth(line):
                end += 1
            found.append(lines[i:end][:40])
    return found
