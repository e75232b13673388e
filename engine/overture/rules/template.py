"""Templates, checked before an engine sees them: what they read must be there, and what they do stays within reason.

``{{ expression }}``, ``{% if %}``, ``{% for %}``, ``{% set %}``, and blocks: ``{% include %}``, ``{% extends %}``,
``{% block %}``. What can call, or take other text for markup, is refused by name. Rendering is jailed all the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

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
    "abs", "capitalize", "d", "date", "datetime", "default", "e", "escape", "first", "float", "int", "items", "join",
    "last", "length", "list", "lower", "max", "min", "money", "number", "percent", "plural", "replace", "reverse",
    "round", "sort", "sum", "time", "title", "trim", "unique", "upper", "urlencode",
})  # fmt: skip
OPTIONS = frozenset({"few", "many", "one", "other", "two", "zero"})  # of filters, by name
PLAIN = frozenset({"locale", "zone"})  # variables without fields
LOOP = frozenset({"first", "index", "index0", "last", "length"})
_WORDS = frozenset({"and", "or", "not", "in", "is", "true", "false", "True", "False", "none", "None", "if", "else"})
_TESTS = frozenset({"defined", "undefined", "none", "not"})
_TAG = re.compile(r"\{\{|\{%|\{#")
_OF_JOURNEY = ("key", "fact")
_END = {"{{": "}}", "{%": "%}", "{#": "#}"}
_OPERATORS = frozenset(
    {"==", "!=", "<", ">", "<=", ">=", "+", "-", "*", "/", "//", "%", "~", "(", ")", "[", "]", ".", ",", "|"}
)
_KEYWORD = re.compile(r"\s*(\w*)")
_FOR = re.compile(r"\s*([A-Za-z_]\w*)(?:\s*,\s*([A-Za-z_]\w*))?\s+in\b")
_SET = re.compile(r"\s*([A-Za-z_]\w*)\s*=(?!=)")
_SLOT = re.compile(r"\s*([A-Za-z_]\w{0,63})\s*")
_NAMED = re.compile(r"""\s*(?:"([^"\\]*)"|'([^'\\]*)')\s*""")
_BEGIN, _OTHERWISE = ("if", "for", "block"), ("elif", "else")
_CLOSE = {"endif": "if", "endfor": "for", "endblock": "block"}
_REFERENCES = ("include", "extends")


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


@dataclass(slots=True)
class Checked:
    """What one text needs: ``uses`` of whoever sends it; ``blocks`` by the name that is written, with their places.
    ``layout``: what it extends. ``right``: nothing is wrong with it.
    """

    uses: list[Use] = field(default_factory=list[Use])
    blocks: dict[str, Place] = field(default_factory=dict[str, Place])
    layout: str = ""
    slots: dict[str, Place] = field(default_factory=dict[str, Place])
    right: bool = True


def check_template(scalar: Scalar, scope: Scope, report: Report, kind: Literal["template", "block"]) -> Checked:
    """Report everything that is wrong with one text of a template or block by itself."""
    check = _Check(scalar, scope, report, kind)
    check.run()
    return check.checked


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


def named_block(rest: str) -> str:
    """What an ``include`` or ``extends`` names, as text behind the keyword; empty where it is no plain text."""
    found = _NAMED.fullmatch(rest)
    return (found[1] or found[2] or "") if found else ""


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
    def __init__(self, scalar: Scalar, scope: Scope, report: Report, kind: str) -> None:
        self.source = scalar.text
        self.scalar = scalar
        self.scope = scope
        self.report = report
        self.kind = kind
        self.locate: Locate = scalar.locator()
        self.checked = Checked()
        self.asked = Guards()
        self.here: frozenset[str] = frozenset()  # what the tag at hand asks for itself
        self.open: list[str] = []  # what has begun: if, for, block
        self.locals: list[set[str]] = [set()]  # what is known here beside the roots, by what has begun

    def run(self) -> None:
        if len(self.source.encode()) > SOURCE_LIMIT:
            self.error("template.too_large", "The template has more than 32 KiB", 0)
            return
        tags = 0
        for opening, start, body in self.tags():
            if opening == "{%":
                tags += 1
                self.tag(body, start)
            else:
                self.expression(body, start)
        if tags > CONDITIONS_LIMIT:
            self.error("template.too_large", "The template has more than 200 conditions and loops", 0)

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

    def tag(self, body: str, start: int) -> None:
        keyword = _KEYWORD.match(body)
        word, skip = (keyword[1], keyword.end()) if keyword else ("", 0)
        rest, at = body[skip:], start + skip
        if word in _CLOSE:
            self.close(_CLOSE[word], start)
        elif word in _OTHERWISE:
            self.otherwise(rest, at)
        elif word == "if":
            self.expression(rest, at)
            self.begin("if")
            self.asked.condition(tokens_of(rest))
        elif word == "for":
            self.loop(rest, at)
        elif word == "set":
            self.assign(rest, at)
        elif word == "block":
            self.slot(rest, at)
        elif word in _REFERENCES:
            self.reference(word, rest, start)
        elif not word.startswith("end"):  # its beginning is reported; without one the engine complains
            hint = "Templates have {{ expressions }}, {% if %}, {% for %}, {% set %} and {% include %} only."
            self.error("template.not_allowed", f"The tag {word[:40]!r} is not allowed", start, hint)

    def begin(self, what: str) -> None:
        self.open.append(what)
        self.locals.append(set())
        self.asked.begin()

    def close(self, what: str, at: int) -> None:
        if self.open and self.open[-1] == what:
            self.open.pop()
            self.locals.pop()
            self.asked.end()
        elif self.open:
            self.error("template.syntax", f"The {self.open[-1]} that is open here is not closed", at)

    def otherwise(self, rest: str, at: int) -> None:
        self.asked.otherwise()
        self.expression(rest, at)
        self.asked.condition(tokens_of(rest))
        if self.open:
            self.locals[-1] = set()

    def loop(self, rest: str, at: int) -> None:
        found = _FOR.match(rest)
        if found is None:
            self.error("template.syntax", "A loop is written {% for item in fact.items %}", at)
            self.begin("for")
            return
        over, where = _parts(rest[found.end() :])
        self.expression(over, at + found.end())
        self.begin("for")
        for name in found.groups():
            if name is not None:
                self.declare(name, at)
        self.locals[-1].add("loop")
        if where:
            self.expression(where, at + found.end() + len(over) + 2)

    def assign(self, rest: str, at: int) -> None:
        found = _SET.match(rest)
        if found is None:
            self.error("template.not_allowed", "A value is set by {% set name = expression %}", at)
            return
        self.expression(rest[found.end() :], at + found.end())
        self.declare(found[1], at)

    def declare(self, name: str, at: int) -> None:
        if name in ROOTS or name in PLAIN or name in _WORDS or name in ("loop", "self") or name.startswith("__"):
            self.error("template.not_allowed", f"{name[:40]!r} has a meaning of its own", at, "Choose another name.")
        self.locals[-1].add(name)

    def slot(self, rest: str, at: int) -> None:
        found = _SLOT.fullmatch(rest)
        if found is None or "block" in self.open:
            self.error("template.not_allowed", "A slot is {% block name %} … {% endblock %}, not in another one", at)
        elif self.open:
            self.error("template.not_allowed", "A slot stands in no condition and no loop", at)
        elif found[1] in self.checked.slots:
            self.error("template.not_allowed", f"There are two slots {found[1]!r}", at)
        elif self.kind == "template" and not self.checked.layout:
            hint = 'Begin with {% extends "layout" %}, or write it under blocks.'
            self.error("template.not_allowed", "Slots are what layouts have", at, hint)
        else:
            self.checked.slots[found[1]] = self.locate(at)
        self.begin("block")

    def reference(self, word: str, rest: str, start: int) -> None:
        if self.scalar.pointer.rpartition("/")[2] in ("subject", "data"):
            self.error("template.not_allowed", "Blocks are for text, html and mjml", start)
            return
        name = named_block(rest)
        if not name:
            hint = f'Write {{% {word} "name" %}}.'
            self.error("template.not_allowed", f"What to {word} is the name of a block, in quotes", start, hint)
            return
        if word == "extends":
            before = self.source[: start - 2].strip("-+ \t\r\n{%")
            if self.kind == "block" or self.checked.layout or before:
                hint = "Only a template can, and it begins with it."
                self.error("template.not_allowed", "A layout cannot be taken here", start, hint)
                return
            self.checked.layout = name
        self.checked.blocks.setdefault(name, self.locate(start))

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
                if after == "=" and depth and before in ("(", ",") and token in OPTIONS:
                    continue
                self.word(token, before, after, tokens[i + 1 : i + 12], at)
            elif token[0].isdigit() or (token == "=" and depth and before in OPTIONS):
                continue
            elif token not in _OPERATORS:
                self.error("template.not_allowed", f"`{token}` is not allowed in a template", at)
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
        elif any(word in names for names in self.locals):
            if word == "loop" and (after != "." or following[1][0] not in LOOP):
                self.error("template.not_allowed", "A loop has loop.index, loop.first and loop.last", at)
        elif word in PLAIN:
            return
        elif word not in ROOTS:
            known = {*ROOTS, *PLAIN, *(name for names in self.locals for name in names)}
            self.error(
                "template.unknown_variable", f"There is no variable {word[:40]!r}", at, did_you_mean(word, known)
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
            self.checked.uses.append(Use(root, name, self.locate(at), self.scalar.pointer, certain))
            if self.kind == "block" and not certain:
                may_be_missing(self.report, f"{root}.{name}", self.locate(at), self.scalar.pointer)

    def trait(self, name: str, certain: bool, at: int) -> None:
        if name in CONTACT_FIELDS:
            return
        kind = self.scope.traits.get(name)
        if kind is None:
            hint = did_you_mean(name, {*self.scope.traits, *CONTACT_FIELDS}, "Declare it under traits.")
            self.error("template.unknown_variable", f"A contact has no trait {name[:40]!r}", at, hint)
        elif kind.optional and not certain:
            may_be_missing(self.report, f"contact.{name}", self.locate(at), self.scalar.pointer)

    def error(self, code: str, message: str, offset: int, hint: str = "") -> None:
        self.checked.right = False
        self.report.at(code, message, self.locate(offset), self.scalar.pointer, hint)


def _parts(rest: str) -> tuple[str, str]:
    """``xs if x > 1`` → what is gone through, and which of it; `if` of its own level."""
    depth = 0
    for found in TOKEN.finditer(rest):
        depth += (found[0] in "([") - (found[0] in ")]")
        if found[0] == "if" and not depth:
            return rest[: found.start()], rest[found.end() :]
    return rest, ""


def may_be_missing(report: Report, variable: str, place: Place, pointer: str) -> None:
    hint = "Add | default('…'): a message with a missing variable is not sent."
    if variable.startswith("issued."):
        hint = f"Ask {{% if {variable} is defined %}}, or issue it before, in the same rule."
    report.at("template.may_be_missing", f"`{variable}` may be missing", place, pointer, hint)
