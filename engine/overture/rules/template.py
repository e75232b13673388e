"""Templates, checked strictly because they are rendered in the server's process.

Only ``{{ expression }}`` and ``{% if %}``: what can loop, call, include, or multiply text is refused by name and by
operator before the template engine sees the text. The engine aborts the process on deeply nested expressions (30,000
minus signs), so the size of one tag is capped as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import minijinja

from overture.rules.guards import ROOTS, TOKEN, Guards, defined, path_of, tokens_of
from overture.rules.report import Report, did_you_mean
from overture.rules.scope import CONTACT_FIELDS, FACT_FIELDS, Scope
from overture.rules.tree import Place
from overture.rules.yamltext import Locate, Scalar

SOURCE_LIMIT = 32 * 1024
TAG_LIMIT = 1000
CONDITIONS_LIMIT = 200
DEPTH_LIMIT = 20
LINKS = frozenset({"confirm", "preferences", "unsubscribe", "visitor"})
FILTERS = frozenset({
    "abs", "capitalize", "d", "default", "e", "escape", "first", "float", "int", "last", "length", "lower", "round",
    "title", "trim", "upper", "urlencode",
})  # fmt: skip
_WORDS = frozenset({"and", "or", "not", "in", "is", "true", "false", "True", "False", "none", "None", "if", "else"})
_TESTS = frozenset({"defined", "undefined", "none", "not"})
_TAG = re.compile(r"\{\{|\{%|\{#")
_OF_JOURNEY = ("key", "fact")
_END = {"{{": "}}", "{%": "%}", "{#": "#}"}
_OPERATORS = frozenset({"==", "!=", "<", ">", "<=", ">=", "+", "-", "/", "//", "%", "(", ")", "[", "]", ".", ",", "|"})


@dataclass(frozen=True, slots=True)
class Use:
    """A field of ``fact``, a kind of ``issued``, or ``key`` or ``fact.<field>`` of ``journey``, that a template
    reads. ``certain``: with a default, or where it asks for it.
    """

    root: str
    name: str
    place: Place
    pointer: str
    certain: bool


def check_template(scalar: Scalar, scope: Scope, report: Report) -> tuple[list[Use], bool]:
    """Report everything that is wrong with one text of a template; what it needs of whoever sends it, and whether it
    can be rendered at all.
    """
    check = _Check(scalar, scope, report)
    check.run()
    return check.uses, not check.failed


def tags_of(source: str) -> Iterator[tuple[str, int, str]]:
    """The kind of each tag and comment, ``{{`` ``{%`` ``{#``, where its inside begins, and the inside.

    An unclosed one ends with the text. A tag of more than `TAG_LIMIT` characters ends after one more of them.
    """
    at = 0
    while found := _TAG.search(source, at):
        opening, start = found[0], found.end()
        end = _end_of(source, opening, start)
        yield opening, start, source[start:end]
        at = end + 2


def _end_of(source: str, opening: str, start: int) -> int:
    """Where the tag ends; quotes may hold what looks like an end."""
    if opening == "{#":
        end = source.find(_END[opening], start)
        return len(source) if end < 0 else end
    at, limit = start, min(len(source), start + TAG_LIMIT + 1)
    while at < limit and not source.startswith(_END[opening], at):
        token = TOKEN.match(source, at, limit)
        at = token.end() if token and source[at] in "\"'" else at + 1
    return at


class _Check:
    def __init__(self, scalar: Scalar, scope: Scope, report: Report) -> None:
        self.source = scalar.text
        self.scalar = scalar
        self.scope = scope
        self.report = report
        self.locate: Locate = scalar.locator()
        self.failed = False
        self.uses: list[Use] = []
        self.asked = Guards()
        self.here: frozenset[str] = frozenset()  # what the tag at hand asks for itself

    def run(self) -> None:
        if len(self.source.encode()) > SOURCE_LIMIT:
            self.error("template.too_large", "The template has more than 32 KiB", 0)
            return
        conditions = 0
        for opening, start, body in self.tags():
            if opening == "{%":
                conditions += 1
                keyword = re.match(r"\s*(\w*)", body)
                word = keyword[1] if keyword else ""
                if word not in ("if", "elif", "else", "endif"):
                    hint = "Templates have {{ expressions }} and {% if %} only."
                    if not word.startswith("end"):  # its beginning is reported; without one the engine complains
                        self.error("template.not_allowed", f"The tag {word[:40]!r} is not allowed", start, hint)
                    continue
                skip = keyword.end() if keyword else 0
                if word == "endif":
                    self.asked.end()
                elif word != "if":
                    self.asked.otherwise()
                self.expression(body[skip:], start + skip)
                if word == "if":
                    self.asked.begin()
                if word != "endif":
                    self.asked.condition(tokens_of(body[skip:]))
            else:
                self.expression(body, start)
        if conditions > CONDITIONS_LIMIT:
            self.error("template.too_large", "The template has more than 200 conditions", 0)
        if not self.failed:
            self.compile()

    def tags(self) -> Iterator[tuple[str, int, str]]:
        """`tags_of` without what trims the space around a tag, as far as each is of a size that may be looked at."""
        for opening, start, body in tags_of(self.source):
            if opening == "{#":
                continue
            if len(body) > TAG_LIMIT:
                self.error("template.too_large", "A tag has more than 1,000 characters", start - 2)
                return
            inner = body.removeprefix("-").removeprefix("+")
            yield opening, start + len(body) - len(inner), inner.removesuffix("-").removesuffix("+")

    def expression(self, body: str, start: int) -> None:
        tokens = [(m[0], start + m.start()) for m in TOKEN.finditer(body) if not m[0].isspace()]
        self.here = defined(tokens_of(body))
        depth = 0
        for i, (token, at) in enumerate(tokens):
            before = tokens[i - 1][0] if i else ""
            after = tokens[i + 1][0] if i + 1 < len(tokens) else ""
            if token[0] in "\"'" and len(token) > 1:
                continue
            if token[0].isalpha() or token[0] == "_":
                self.word(token, before, after, tokens[i + 1 : i + 12], at)
            elif token.isdigit() or token[0].isdigit():
                continue
            elif token not in _OPERATORS:
                hint = (
                    "Texts cannot be joined or multiplied here; write them one after the other."
                    if token in "~**"
                    else ""
                )
                self.error("template.not_allowed", f"`{token}` is not allowed in a template", at, hint)
            elif token in "([":
                depth += 1
                called = before and (before[-1] in ")]\"'" or before[-1].isalnum() or before[-1] == "_")
                is_filter = i >= 2 and tokens[i - 2][0] == "|"
                if token == "(" and called and before not in _WORDS and not is_filter:
                    self.error("template.not_allowed", "Nothing can be called in a template", at)
                if depth > DEPTH_LIMIT:
                    self.error("template.not_allowed", "The expression is nested more than 20 levels deep", at)
            elif token in ")]":
                depth -= 1
            elif token == "-" and before in ("-", "not"):
                self.error("template.not_allowed", "A minus sign after a minus sign is not allowed", at)
                return

    def word(self, word: str, before: str, after: str, following: list[tuple[str, int]], at: int) -> None:
        if before == "|":
            if word not in FILTERS:
                self.error(
                    "template.not_allowed", f"There is no filter {word[:40]!r} here", at, did_you_mean(word, FILTERS)
                )
        elif before == "is" or (before == "not" and word in _TESTS):
            if word not in _TESTS:
                self.error(
                    "template.not_allowed", f"There is no test {word[:40]!r} here", at, did_you_mean(word, _TESTS)
                )
        elif before == "." or word in _WORDS:
            if word.startswith("__"):
                self.error("template.not_allowed", f"{word[:40]!r} is not a field", at)
        elif word not in ROOTS:
            self.error(
                "template.unknown_variable", f"There is no variable {word[:40]!r}", at, did_you_mean(word, ROOTS)
            )
        elif after not in (".", "["):
            self.error("template.unknown_variable", f"`{word}` needs a field", at, f"Write {word}.name.")
        elif len(following) >= 2:
            self.field(word, [token for token, _ in following], at)

    def field(self, root: str, following: list[str], at: int) -> None:
        """``following``: the tokens after the root, the dot or bracket first."""
        names, rest = path_of(following, 2 if root == "journey" and following[1] == "fact" else 1)
        if not names:
            return
        if root == "journey" and (names[0] not in _OF_JOURNEY or names == ["fact"]):
            hint = "Write journey.key or journey.fact.name."
            self.error("template.unknown_variable", f"A journey has no variable {names[0][:40]!r}", at, hint)
            return
        name = ".".join(names)
        if root == "links":
            if name not in LINKS:
                hint = did_you_mean(name, LINKS)
                self.error("template.unknown_variable", f"There is no link {name[:40]!r}", at, hint)
            return
        certain = rest[:2] in (["|", "default"], ["|", "d"]) or rest[:1] == ["is"]
        certain = certain or f"{root}.{name}" in self.here or self.asked.covers(f"{root}.{name}")
        if root == "contact":
            self.trait(name, certain, at)
        elif not (root == "fact" and name in FACT_FIELDS):
            self.uses.append(Use(root, name, self.locate(at), self.scalar.pointer, certain))

    def trait(self, name: str, certain: bool, at: int) -> None:
        if name in CONTACT_FIELDS:
            return
        kind = self.scope.traits.get(name)
        if kind is None:
            hint = did_you_mean(name, {*self.scope.traits, *CONTACT_FIELDS}, "Declare it under traits.")
            self.error("template.unknown_variable", f"A contact has no trait {name[:40]!r}", at, hint)
        elif kind.optional and not certain:
            may_be_missing(self.report, f"contact.{name}", self.locate(at), self.scalar.pointer)

    def compile(self) -> None:
        try:
            minijinja.Environment().add_template("template", self.source)
        except minijinja.TemplateError as error:
            lines = self.source.split("\n")
            line = min(max(error.line or 1, 1), len(lines))
            offset = sum(len(text) + 1 for text in lines[: line - 1])
            self.error("template.syntax", f"The template does not parse: {error.message[:200]}", offset)

    def error(self, code: str, message: str, offset: int, hint: str = "") -> None:
        self.failed = True
        self.report.at(code, message, self.locate(offset), self.scalar.pointer, hint)


def may_be_missing(report: Report, variable: str, place: Place, pointer: str) -> None:
    hint = "Add | default('…'): a message with a missing variable is not sent."
    if variable.startswith("issued."):
        hint = f"Ask {{% if {variable} is defined %}}, or issue it before, in the same rule."
    report.at("template.may_be_missing", f"`{variable}` may be missing", place, pointer, hint)
