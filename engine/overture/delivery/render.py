"""Templates to text: minijinja, with nothing in reach but the data it is given."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from minijinja import Environment, TemplateError

from overture.model.errors import OvertureError
from overture.model.numbers import NUMBER_LIMIT
from overture.rules.mjml import MjmlRefused, to_html
from overture.rules.ruleset import TemplateDecl
from overture.rules.templatedata import DataRefused, to_data

FUEL = 20_000  # instructions per field; a page of text takes some hundred
LARGEST = 256 * 1024  # characters of a rendered field
_NAMED = re.compile(r"`([^`]+)` is undefined")


@dataclass(frozen=True, slots=True)
class Rendered:
    """The fields of a message; one that the template does not have is empty. ``subject`` is a single line."""

    subject: str
    text: str
    html: str
    data: dict[str, Any]


class RenderRefused(OvertureError):
    """The template cannot be rendered with this data: the message is dropped with this code and sentence."""


_ESCAPES: Mapping[str, bool | str] = {"html": True, "mjml": True, "data": "json"}


def _environment() -> Environment:
    made = Environment(
        fuel=FUEL, undefined_behavior="strict", auto_escape_callback=lambda name: _ESCAPES.get(name, False)
    )
    made.remove_global("debug")
    return made


_ENVIRONMENT = _environment()


def render(template: TemplateDecl, context: Mapping[str, Any]) -> Rendered:
    """``context`` is plain data: ``fact``, ``contact``, ``issued``. Values are escaped in ``html`` and ``mjml``
    only, so that none can bring elements along, and are JSON in ``data``.

    A null counts as missing, as it does in conditions; a whole number prints without ``.0``. Raises RenderRefused:
    ``template.missing_variable`` (a variable without a value and without ``| default(…)``), ``template.too_costly``
    (instructions), ``template.too_large`` (result), ``template.mjml`` (what came out is no MJML),
    ``template.data`` (no object in JSON), ``template.failed`` (anything else).
    """
    return Rendered(
        subject=one_line(_field(template, "subject", context)),
        text=_field(template, "text", context),
        html=_from_mjml(template, context) if template.mjml else _field(template, "html", context),
        data=_data(template, context) if template.data else {},
    )


def one_line(text: str) -> str:
    """Without control characters and line separators, runs of white space made one space."""
    cleaned = "".join(" " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c for c in text)
    return " ".join(cleaned.split())


def _field(template: TemplateDecl, name: str, context: Mapping[str, Any]) -> str:
    source: str = getattr(template, name)
    if not source:
        return ""
    where = f"The {name} of the template {template.name}"
    try:
        out = _ENVIRONMENT.render_str(source, name, **_plain(context))
    except TemplateError as error:
        detail, line = error.detail or error.kind, error.line or 0
        missing = _NAMED.search(detail)
        if missing is not None:
            raise RenderRefused(
                "template.missing_variable",
                f"{where} needs {missing[1]} (line {line}), which has no value.",
                "Give it a default: {{ name | default('…') }}.",
            ) from None
        if error.kind == "OutOfFuel":
            raise RenderRefused("template.too_costly", f"{where} takes more than {FUEL} steps.") from None
        raise RenderRefused("template.failed", f"{where} cannot be rendered (line {line}): {detail[:300]}.") from None
    except Exception as error:  # from a method of the copy, such as {{ contact.pop("x") }}
        raise RenderRefused("template.failed", f"{where} cannot be rendered: {type(error).__name__}.") from None
    return _bounded(out, where)


def _from_mjml(template: TemplateDecl, context: Mapping[str, Any]) -> str:
    where = f"The mjml of the template {template.name}"
    try:
        html = to_html(_field(template, "mjml", context))
    except MjmlRefused as error:
        raise RenderRefused("template.mjml", f"{where} came out as no MJML: {error.message}.") from None
    return _bounded(html, where)


def _data(template: TemplateDecl, context: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return to_data(_field(template, "data", context))
    except DataRefused as error:
        text = f"The data of the template {template.name} came out as no object in JSON: {error.message}."
        raise RenderRefused("template.data", text) from None


def _bounded(out: str, where: str) -> str:
    if len(out) > LARGEST:
        raise RenderRefused("template.too_large", f"{where} came out longer than {LARGEST} characters.")
    return out


def _plain(value: Any) -> Any:
    """A fresh copy of JSON types only, for each field: minijinja calls methods of whatever object it is given."""
    if isinstance(value, Mapping):
        items = cast(Mapping[Any, Any], value).items()
        return {str(key): _plain(each) for key, each in items if each is not None}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(each) for each in cast(list[Any], value)]
    if isinstance(value, float) and value.is_integer() and abs(value) <= NUMBER_LIMIT:
        return int(value)
    if value is None or isinstance(value, int | float):
        return value
    return str(value).encode("utf-8", "replace").decode()  # a lone surrogate would raise inside the engine
