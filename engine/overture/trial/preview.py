"""A template shown to whoever writes it: rendered with what is given, and sample data for the rest; nothing is sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import msgspec

from overture.delivery.links import examples
from overture.model import Diagnostic, Refused
from overture.model.pages import Rendered, RenderRefused
from overture.rules import Ruleset, lint
from overture.rules.blocks import Unresolved, whole
from overture.rules.codes import CODES
from overture.rules.report import did_you_mean
from overture.rules.ruleset import TemplateDecl
from overture.rules.template import tags_of
from overture.rules.types import parse_type

_SAMPLES: dict[str, Any] = {
    "int": 3,
    "number": 42.5,
    "bool": True,
    "datetime": "2026-01-05T12:00:00Z",
    "list": ["one", "two"],
    "object": {},
}
_ROOTS = ("contact", "fact", "issued", "journey", "links")


class Unsent(msgspec.Struct, frozen=True):
    """Why a message with this data would not be sent."""

    code: str
    message: str
    hint: str = ""


class Preview(msgspec.Struct, frozen=True):
    """What a template says; ``unsent`` where it says nothing. ``size``: bytes of HTML. ``blocks``: ruleset → revision
    of blocks of others that are in it. ``findings`` are about what came out.
    """

    template: str
    subject: str = ""
    text: str = ""
    html: str = ""
    data: dict[str, Any] = {}
    size: int = 0
    blocks: dict[str, str] = {}
    unsent: Unsent | None = None
    findings: list[Diagnostic] = []


def chosen(ruleset: Ruleset, name: str, others: Mapping[str, Ruleset]) -> TemplateDecl:
    """The template with its blocks in it. Raises Refused ``template.unknown``, and what is wrong with its blocks."""
    template = ruleset.templates.get(name)
    if template is None:
        hint = did_you_mean(name, ruleset.templates)
        raise Refused("template.unknown", f"{ruleset.name} has no template {name[:80]!r}.", hint, status=404)
    try:
        return whole(template, ruleset, others)
    except Unresolved as wrong:
        raise Refused(wrong.code, f"The template {name}: {wrong}.", wrong.hint, status=422) from None


def context_for(
    template: TemplateDecl, ruleset: Ruleset, known: Mapping[str, Any] | None, given: Mapping[str, Any]
) -> dict[str, Any]:
    """Sample data; in place of the sample contact what is ``known`` of one; over both what is ``given``, by root."""
    made: dict[str, Any] = {
        "contact": _sample(ruleset.traits) | {"id": "sample", "segments": [], "lists": []},
        "fact": {"id": "sample", "type": "sample", "occurred_at": _SAMPLES["datetime"]},
        "issued": _issued(template),
        "journey": {"key": "sample", "fact": {}},
        "links": examples(),
    }
    for fields in ruleset.facts.values():
        made["fact"] = _sample(fields) | made["fact"]
        made["journey"]["fact"] |= _sample(fields)
    made["contact"]["scores"] = {name: {} if decl.per else 42 for name, decl in ruleset.scores.items()}
    made.update(known or {})
    for root, value in given.items():
        if root not in _ROOTS or not isinstance(value, dict):
            hint = f"There are: {', '.join(_ROOTS)}, each an object."
            raise Refused("preview.data", f"Templates read nothing under {root[:40]!r}.", hint, "/data", 422)
        made[root] = {**made[root], **cast(dict[str, Any], value)}
    return made


def shown(template: TemplateDecl, rendered: Rendered) -> Preview:
    size = len(rendered.html.encode())
    found: list[tuple[str, lint.Finding]] = [("/subject", each) for each in lint.of_subject(rendered.subject)]
    found += [("/html", each) for each in lint.of_markup(rendered.html, mjml=False)] if rendered.html else []
    found += [("/html", each) for each in lint.of_size(size)]
    if rendered.html and not rendered.text:
        found.append(("/text", lint.Finding("template.no_text", "In a mail the text is made from the HTML")))
    diagnostics = [_diagnostic(pointer, each, rendered.html) for pointer, each in dict.fromkeys(found)]
    return Preview(
        template.name,
        rendered.subject,
        rendered.text,
        rendered.html,
        rendered.data,
        size,
        dict(template.pins),
        None,
        diagnostics,
    )


def unsent(template: TemplateDecl, error: RenderRefused) -> Preview:
    return Preview(template.name, unsent=Unsent(error.code, error.message, error.hint), blocks=dict(template.pins))


def _diagnostic(pointer: str, finding: lint.Finding, html: str) -> Diagnostic:
    before = html[: finding.offset]
    return Diagnostic(
        code=finding.code,
        message=finding.message,
        pointer=pointer,
        line=before.count("\n") + 1,
        column=finding.offset - before.rfind("\n"),
        hint=finding.hint,
        severity=CODES[finding.code].severity,
    )


def _sample(fields: Mapping[str, Any]) -> dict[str, Any]:
    """A text says its own name."""
    kinds = {name: parse_type(str(written)) for name, written in fields.items()}
    return {name: _SAMPLES.get(kind.kind, name) if kind else name for name, kind in kinds.items()}


def _issued(template: TemplateDecl) -> dict[str, Any]:
    """Each code that it names."""
    sources = (template.subject, template.text, template.html, template.mjml, template.data)
    words = (word for source in sources for _, _, body in tags_of(source) for word in body.replace("|", " ").split())
    parts = (word.split(".") for word in words if word.startswith("issued."))
    return {part[1]: {"code": "SAMPLE-CODE"} for part in parts if len(part) > 1}
