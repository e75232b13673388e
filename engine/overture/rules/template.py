"""Templates, checked strictly because they are rendered in the server's process.

Only ``{{ expression }}`` and ``{% if %}``: what can loop, call, include, or multiply text is refused by name and by
operator before the template engine sees the text. The engine aborts the process on deeply nested expressions (30,000
minus signs), so the size of one tag is capped as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import minijinja

from overture.rules.report import Report, did_you_mean
from overture.rules.scope import CONTACT_FIELDS, Scope
from overture.rules.yamltext import Locate, Scalar

SOURCE_LIMIT = 32 * 1024
TAG_LIMIT = 1000
CONDITIONS_LIMIT = 200
DEPTH_LIMIT = 20
ROOTS = frozenset({"contact", "fact", "issued"})
FILTERS = frozenset({
    "abs", "capitalize", "d", "default", "e", "escape", "first", "float", "int", "last", "length", "lower", "round",
    "title", "trim", "upper", "urlencode",
})  # fmt: skip
_WORDS = frozenset({"and", "or", "not", "in", "is", "true", "false", "True", "False", "none", "None", "if", "else"})
_TESTS = frozenset({"defined", "undefined", "none", "not"})
_TAG = re.compile(r"\{\{|\{%|\{#")
_END = {"{{": "}}", "{%": "%}", "{#": "#}"}
_TOKEN = re.compile(r"""\s+|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|\d+(?:\.\d+)?|\w+|[=!<>]=|//|\*\*|.""", re.DOTALL)
_OPERATORS = frozenset(
    {"=", "==", "!=", "<", ">", "<=", ">=", "+", "-", "/", "//", "%", "(", ")", "[", "]", ".", ",", "|"} - {"="}
)


def check_template(scalar: Scalar, scope: Scope, report: Report) -> None:
    """Report everything that is wrong with one text of a template."""
    _Check(scalar, scope, report).run()


class _Check:
    def __init__(self, scalar: Scalar, scope: Scope, report: Report) -> None:
        self.source = scalar.text
        self.scalar = scalar
        self.scope = scope
        self.report = report
        self.locate: Locate = scalar.locator()
        self.failed = False

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
                self.expression(body[skip:], start + skip)
            elif opening == "{{":
                self.expression(body, start)
        if conditions > CONDITIONS_LIMIT:
            self.error("template.too_large", "The template has more than 200 conditions", 0)
        if not self.failed:
            self.compile()

    def tags(self) -> Iterator[tuple[str, int, str]]:
        """Kind, start and text of what stands between the braces; an unclosed tag is left to the engine to report."""
        at = 0
        while found := _TAG.search(self.source, at):
            opening, start = found[0], found.end()
            end = self.end_of(opening, start)
            body = self.source[start:end]
            if len(body) > TAG_LIMIT and opening != "{#":
                self.error("template.too_large", "A tag has more than 1,000 characters", found.start())
                return
            inner = body.removeprefix("-").removeprefix("+") if opening != "{#" else body
            yield opening, start + len(body) - len(inner), inner.removesuffix("-").removesuffix("+")
            at = end + 2

    def end_of(self, opening: str, start: int) -> int:
        """Where the tag ends; quotes may hold what looks like an end."""
        if opening == "{#":
            end = self.source.find("#}", start)
            return len(self.source) if end < 0 else end
        at, limit = start, min(len(self.source), start + TAG_LIMIT + 1)
        while at < limit and not self.source.startswith(_END[opening], at):
            token = _TOKEN.match(self.source, at, limit)
            at = token.end() if token and self.source[at] in "\"'" else at + 1
        return at

    def expression(self, body: str, start: int) -> None:
        tokens = [(m[0], start + m.start()) for m in _TOKEN.finditer(body) if not m[0].isspace()]
        depth = 0
        for i, (token, at) in enumerate(tokens):
            before = tokens[i - 1][0] if i else ""
            after = tokens[i + 1][0] if i + 1 < len(tokens) else ""
            if token[0] in "\"'" and len(token) > 1:
                continue
            if token[0].isalpha() or token[0] == "_":
                self.word(token, before, after, tokens[i + 1 : i + 5], at)
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
        elif after != ".":
            if after != "[":
                self.error("template.unknown_variable", f"`{word}` needs a field", at, f"Write {word}.name.")
        elif word == "contact" and len(following) >= 2:
            self.trait(following[1][0], [token for token, _ in following[2:4]], at)

    def trait(self, name: str, following: list[str], at: int) -> None:
        if name in CONTACT_FIELDS:
            return
        kind = self.scope.traits.get(name)
        if kind is None:
            hint = did_you_mean(name, {*self.scope.traits, *CONTACT_FIELDS}, "Declare it under traits.")
            self.error("template.unknown_variable", f"A contact has no trait {name[:40]!r}", at, hint)
        elif kind.optional and following not in (["|", "default"], ["|", "d"]) and following[:1] != ["is"]:
            hint = "Add | default('…'): a message with a missing variable is not sent."
            self.report.at(
                "template.may_be_missing",
                f"`contact.{name}` may be missing",
                self.locate(at),
                self.scalar.pointer,
                hint,
            )

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
