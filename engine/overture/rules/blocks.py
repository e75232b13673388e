"""Blocks put into templates: what a template says with them is one text, which the engine needs nothing else for.

A name without a slash is of the ruleset that writes it; ``brand/footer`` is the block ``footer`` of ``brand``, or what
the template's own ruleset declares under that name, if it may.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from overture.rules.ruleset import BlockDecl, Ruleset, TemplateDecl
from overture.rules.template import named_block, tags_of

PARTS = ("text", "html", "mjml")
LARGEST = 128 * 1024  # characters of a text with its blocks
_DEEPEST = 10  # blocks in one another
_KEYWORD = re.compile(r"[-+]?\s*(\w*)")


class Unresolved(Exception):
    """``code`` of a diagnostic, and what it says."""

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint


def qualified(name: str, owner: str) -> str:
    return name if "/" in name else f"{owner}/{name}"


def whole(template: TemplateDecl, own: Ruleset, others: Mapping[str, Ruleset]) -> TemplateDecl:
    """The template with its blocks in it; ``pins`` has the revisions of the other rulesets that these are of.

    ``others``: rulesets by name. Raises Unresolved.
    """
    if not template.blocks:
        return template
    putting = _Putting(own, others, template.name)
    parts: dict[str, str] = {part: putting.part(part, getattr(template, part)) for part in PARTS}
    pins = tuple(sorted((name, others[name].revision) for name in putting.used))
    return replace(template, **parts, pins=pins)


def layout_of(template: TemplateDecl, part: str) -> str:
    """The name that a text extends; empty where it extends none."""
    for opening, _, body in tags_of(getattr(template, part)):
        word, rest = _split(body)
        if opening == "{%":
            return named_block(rest) if word == "extends" else ""
    return ""


def slots_of(source: str) -> dict[str, str]:
    """What stands in each ``{% block name %}``, in order."""
    return {name: inside for name, inside in _cut(source) if name}


class _Putting:
    def __init__(self, own: Ruleset, others: Mapping[str, Ruleset], template: str) -> None:
        self.own = own
        self.others = others
        self.template = template
        self.used: set[str] = set()
        self.size = 0

    def part(self, part: str, source: str) -> str:
        self.size = 0
        tags = iter(tags_of(source))
        opening, start, body = next(tags, ("", 0, ""))
        word, rest = _split(body)
        if opening != "{%" or word != "extends":
            return self.expanded(source, part, self.own.name, ())
        name, layout = self.found(named_block(rest), part, self.own.name)
        fills = slots_of(source[start + len(body) + 2 :])
        there = slots_of(layout.parts[part])
        for slot in fills:
            if slot not in there:
                hint = f"It has: {', '.join(there)}." if there else "It has none."
                raise Unresolved("block.slot", f"The layout {name!r} has no slot {slot!r} in its {part}", hint)
        parts: list[str] = []
        for slot, inside in _cut(layout.parts[part]):
            mine = slot in fills
            owner = self.own.name if mine else self.home(name)
            parts.append(self.expanded(fills[slot] if mine else inside, part, owner, () if mine else (name,)))
        return "".join(parts)

    def home(self, name: str) -> str:
        """The ruleset whose words this block has here."""
        return self.own.name if name in self.own.blocks else name.partition("/")[0]

    def found(self, said: str, part: str, owner: str) -> tuple[str, BlockDecl]:
        name = qualified(said, owner)
        block = self.own.blocks.get(name)
        if block is None:
            home = name.partition("/")[0]
            ruleset = self.others.get(home) if home != self.own.name else None
            block = ruleset.blocks.get(name) if ruleset is not None else None
            if block is None:
                raise Unresolved("block.unknown", f"There is no block {said[:80]!r}", "Declare it under blocks.")
            self.used.add(home)
        if part not in block.parts:
            hint = f"It has: {', '.join(block.parts)}."
            raise Unresolved("block.part", f"The block {name!r} has no {part}, and is named in one", hint)
        return name, block

    def expanded(self, source: str, part: str, owner: str, within: tuple[str, ...]) -> str:
        """With what it includes; slots are what stands in them."""
        if len(within) > _DEEPEST:
            raise Unresolved("block.circle", f"More than {_DEEPEST} blocks are in one another: {' → '.join(within)}")
        parts: list[str] = []
        at = 0
        for opening, start, body in tags_of(source):
            word, rest = _split(body) if opening == "{%" else ("", "")
            if word not in ("include", "block", "endblock"):
                continue
            parts.append(source[at : start - 2])
            at = start + len(body) + 2
            if word == "include":
                name, block = self.found(named_block(rest), part, owner)
                if name in within:
                    circle = " → ".join((*within[within.index(name) :], name))
                    raise Unresolved("block.circle", f"Blocks include each other in a circle: {circle}")
                inner = self.expanded(block.parts[part], part, self.home(name), (*within, name))
                before, after = "-" * body.startswith("-"), "-" * body.endswith("-")
                parts.append(f"{{%{before} with %}}{inner}{{% endwith {after}%}}")
        parts.append(source[at:])
        text = "".join(parts)
        self.size += len(text)
        if self.size > LARGEST:
            raise Unresolved("template.too_large", f"With its blocks the template has more than {LARGEST >> 10} KiB")
        return text


def _cut(source: str) -> list[tuple[str, str]]:
    """The source in pieces: what is in a slot, with its name, and what is between them, without one."""
    pieces: list[tuple[str, str]] = []
    at, slot = 0, ""
    for opening, start, body in tags_of(source):
        word, rest = _split(body) if opening == "{%" else ("", "")
        if word not in ("block", "endblock"):
            continue
        pieces.append((slot, source[at : start - 2]))
        at = start + len(body) + 2
        slot = rest.strip() if word == "block" else ""
    return [*pieces, (slot, source[at:])]


def _split(body: str) -> tuple[str, str]:
    """Keyword and the rest of a tag, without what trims the space around it."""
    found = _KEYWORD.match(body)
    return (found[1], body[found.end() :].removesuffix("-").removesuffix("+")) if found else ("", body)
