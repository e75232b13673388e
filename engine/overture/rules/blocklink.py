"""Blocks between rulesets: what is locked stays as it is, and every template of the program is whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from overture.rules.blocks import PARTS, Unresolved, layout_of, qualified, slots_of, whole
from overture.rules.lint import ELEMENT
from overture.rules.report import Report
from overture.rules.ruleset import BlockDecl, Ruleset, TemplateDecl
from overture.rules.ways import ways

Whole = Mapping[tuple[str, str, str], TemplateDecl]
"""Templates that have blocks, with these in them, by ruleset, revision and name."""

_VOID = frozenset({"area", "br", "col", "embed", "hr", "img", "input", "source", "wbr"})
_ELSEWHERE = frozenset({
    "base", "body", "frameset", "head", "html", "iframe", "link", "meta", "mj-attributes", "mj-body", "mj-head",
    "mj-raw", "mj-style", "mjml", "noscript", "object", "plaintext", "script", "style", "template", "textarea", "title",
    "xmp",
})  # fmt: skip


def check_blocks(rulesets: Sequence[Ruleset], report: Report) -> Whole:
    """Report what is wrong with blocks between these, and what templates are with them."""
    by_name = {ruleset.name: ruleset for ruleset in rulesets}
    made: dict[tuple[str, str, str], TemplateDecl] = {}
    for ruleset in rulesets:
        if _redefined(ruleset, by_name, report):
            continue  # what its templates are with words that they may not have says nothing
        for template in ruleset.templates.values():
            if template.blocks:
                try:
                    made[ruleset.name, ruleset.revision, template.name] = whole(template, ruleset, by_name)
                    _filled(template, ruleset, by_name)
                except Unresolved as wrong:
                    if wrong.code == "block.unknown":
                        continue  # it is required, and that is unmet
                    place = ruleset.place(f"templates/{template.name}")
                    pointer = f"{ruleset.name}#/templates/{template.name}"
                    report.at(wrong.code, f"The template {template.name!r}: {wrong}", place, pointer, wrong.hint)
    return made


def whole_of_older(older: Sequence[Ruleset], rulesets: Mapping[str, Ruleset]) -> Whole:
    """Templates of earlier revisions with the blocks that there are now; without those that lack one."""
    made: dict[tuple[str, str, str], TemplateDecl] = {}
    for ruleset in older:
        for template in ruleset.templates.values():
            if template.blocks:
                try:
                    made[ruleset.name, ruleset.revision, template.name] = whole(template, ruleset, rulesets)
                except Unresolved:
                    continue
    return made


def _redefined(ruleset: Ruleset, others: Mapping[str, Ruleset], report: Report) -> bool:
    """Whether it gives locked blocks other words; each is reported."""
    found = False
    for name, block in ruleset.blocks.items():
        home = name.partition("/")[0]
        owner = others.get(home)
        theirs = owner.blocks.get(name) if owner is not None and home != ruleset.name else None
        if theirs is not None and theirs.locked:
            message = f"The block {name!r} is locked by {home!r}, and {ruleset.name!r} gives it other words"
            hint = "Remove it; include it as it is, or fill its slots."
            report.at("block.locked", message, block.place, f"{ruleset.name}#/blocks/{name}", hint)
            found = True
    return found


def _filled(template: TemplateDecl, own: Ruleset, others: Mapping[str, Ruleset]) -> None:
    """Raises Unresolved where a slot of a locked layout is filled with what would change more than the slot."""
    for part in PARTS:
        layout = layout_of(template, part)
        if not layout or part == "text":
            continue
        name = qualified(layout, own.name)
        block = own.blocks.get(name) or _block(name, others)
        if block is not None and block.locked and name.partition("/")[0] != own.name:
            for slot, fill in slots_of(getattr(template, part)).items():
                if why := _loose(fill):
                    raise Unresolved("block.fill", f"Into the slot {slot!r} of the locked layout {name!r} {why}")


def _block(name: str, rulesets: Mapping[str, Ruleset]) -> BlockDecl | None:
    ruleset = rulesets.get(name.partition("/")[0])
    return ruleset.blocks.get(name) if ruleset is not None else None


def _loose(fill: str) -> str:
    """Why this would change what is around it, whichever way it goes; empty where it does not."""
    for source in ways(fill, lambda length: "x" * length):
        opened: list[str] = []
        at = 0
        for found in ELEMENT.finditer(source):
            if "<" in source[at : found.start()]:
                return "goes what begins an element and does not end it, or a comment"
            at = found.end()
            closing, name, rest = found[1], found[2].lower(), found[3]
            if name in _ELSEWHERE:
                return f"goes <{name}>, which changes what is around it"
            if name in _VOID or rest.endswith("/"):
                continue
            if not closing:
                opened.append(name)
            elif not opened or opened.pop() != name:
                return f"goes </{name}>, which was not begun there"
        if opened:
            return f"goes <{opened[-1]}>, which does not end there"
        if "<" in source[at:]:
            return "goes what begins an element and does not end it, or a comment"
    return ""
