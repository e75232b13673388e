"""Templates to text: minijinja with nothing in reach but the data it is given. Imported in the jailed process only."""

from __future__ import annotations

import contextlib
import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, cast

from minijinja import Environment, TemplateError

from overture.model.numbers import NUMBER_LIMIT
from overture.model.pages import DataRefused, Fault, Page, Piece, Rendered, RenderRefused, to_data
from overture.sandbox.rendering.filters import FILTERS, Missing, Wrong
from overture.sandbox.rendering.locales import locale_named, zone_named
from overture.sandbox.rendering.mjml import MjmlRefused, to_html

FUEL = 100_000  # instructions per field; a page of text takes some hundred
LARGEST = 256 * 1024  # characters of a rendered field
DEEPEST = 64  # levels of data
_NAMED = re.compile(r"`([^`]+)` is undefined")
_OURS = re.compile(rf"\|\s*(?:{'|'.join(FILTERS)})\b\s*(\((?:[^()\"']|\"[^\"]*\"|'[^']*')*\))?")
_ESCAPES: Mapping[str, bool | str] = {"html": True, "mjml": True, "data": "json"}
_NOT_OFFERED = ("safe", "tojson", "attr", "map", "select", "reject", "selectattr", "rejectattr", "pprint", "format")


def _environment() -> Environment:
    made = Environment(
        fuel=FUEL,
        undefined_behavior="strict",
        auto_escape_callback=lambda name: _ESCAPES.get(name, False),
        pycompat=False,
        filters=FILTERS,
    )
    for name in ("debug", "range", "namespace", "dict"):
        made.remove_global(name)
    for name in _NOT_OFFERED:
        made.remove_filter(name)
    return made


@lru_cache(64)
def _compiled(page: Page) -> Environment:
    """An environment of its own for each page; what does not parse is found when it is rendered."""
    return _environment()


def render(page: Page, context: Mapping[str, Any], locale: str) -> Rendered:
    """``context`` is plain data: ``fact``, ``contact``, ``issued``. Values are escaped in ``html`` and ``mjml``
    only, so that none can bring elements along, and are JSON in ``data``. ``locale``: for a contact that has none.

    A null counts as missing, as it does in conditions; a whole number prints without ``.0``. Raises RenderRefused:
    ``template.missing_variable`` (a variable without a value and without ``| default(…)``), ``template.too_costly``
    (instructions), ``template.too_large`` (result), ``template.mjml`` (what came out is no MJML),
    ``template.data`` (no object in JSON), ``template.failed`` (anything else).
    """
    plain: dict[str, Any] = _plain(context)
    contact: Any = plain.get("contact")
    known = cast(dict[str, Any], contact if isinstance(contact, dict) else {})
    plain["locale"] = str(locale_named(str(known.get("locale", "")), locale))
    plain["zone"] = str(zone_named(str(known.get("timezone", ""))))
    return Rendered(
        subject=one_line(_field(page, "subject", plain)),
        text=_field(page, "text", plain),
        html=_from_mjml(page, plain) if page.mjml else _field(page, "html", plain),
        data=_data(page, plain) if page.data else {},
    )


def warm_up() -> None:
    """Have imported what the libraries import only when it is first used, their errors too: later that cannot be."""
    text = (
        "{{ t | date }}{{ t | date('EEEE d MMMM y', 'UTC') }}{{ t | time('full') }}{{ t | datetime('long') }}"
        "{{ n | money('EUR') }}{{ n | number(2) }}{{ n | percent }}{{ n | plural(other='#') }}{{ 'x' | upper }}"
        "{% for x in [3, 1] | sort %}{{ loop.index }}{{ x / 3 }}{% endfor %}"
    )
    mjml = "<mjml><mj-body><mj-section><mj-column><mj-text>x</mj-text></mj-column></mj-section></mj-body></mjml>"
    data = '{"a": {{ n }}}'
    for page in (
        Page("warm", text=text, mjml=mjml, data=data),
        *(Page("warm", text=wrong) for wrong in ("{{ m }}", "{{ m | date }}", "{{ n | date('Q')", "{{ 'x' | date }}")),
        Page("warm", data="["),
        Page("warm", mjml="<mjml><mj-body></mjml>"),
    ):
        with contextlib.suppress(RenderRefused):
            render(page, {"t": "2026-01-05T12:00:00Z", "n": 2.5}, "en")
    _compiled.cache_clear()


def check(piece: Piece) -> Fault | None:
    try:
        if piece.kind == "mjml":
            return Fault("", size=len(to_html(piece.source).encode()))
        else:
            _environment().add_template("template", piece.source)
    except MjmlRefused as error:
        return Fault(error.message[:300], error.offset, error.hint)
    except TemplateError as error:
        lines = piece.source.split("\n")
        line = min(max(error.line or 1, 1), len(lines))
        return Fault(error.message[:200], sum(len(text) + 1 for text in lines[: line - 1]))
    return None


def one_line(text: str) -> str:
    """Without control characters and line separators, runs of white space made one space."""
    cleaned = "".join(" " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c for c in text)
    return " ".join(cleaned.split())


def _field(page: Page, name: str, context: Mapping[str, Any]) -> str:
    source: str = getattr(page, name)
    if not source:
        return ""
    where = f"The {name} of the template {page.name}"
    try:
        out = _out(page, name, source, _plain(context))  # a copy: the engine can call methods of what it is given
    except TemplateError as error:
        detail, line = error.detail or error.kind, error.line or 0
        missing = _NAMED.search(detail)
        if missing is not None:
            raise _missing(where, missing[1], f" (line {line})") from None
        if error.kind == "OutOfFuel":
            raise RenderRefused("template.too_costly", f"{where} takes more than {FUEL} steps.") from None
        raise RenderRefused("template.failed", f"{where} cannot be rendered (line {line}): {detail[:300]}.") from None
    except Missing:
        raise _missing(where, *_which(source, context)) from None
    except Wrong as error:
        raise RenderRefused("template.failed", f"{where} cannot be rendered: {error}.") from None
    except Exception as error:
        raise RenderRefused("template.failed", f"{where} cannot be rendered: {type(error).__name__}.") from None
    return _bounded(out, where)


def _out(page: Page, name: str, source: str, context: Mapping[str, Any]) -> str:
    environment = _compiled(page)
    try:
        return environment.render_template(name, **context)
    except TemplateError as error:
        if error.kind != "TemplateNotFound":
            raise
    environment.add_template(name, source)
    return environment.render_template(name, **context)


def _which(source: str, context: Mapping[str, Any]) -> tuple[str, str]:
    """Which variable it was that one of our filters got no value of: the engine says it where none is asked."""
    try:
        _environment().render_str(_OURS.sub("", source), "text", **context)
    except TemplateError as error:
        found = _NAMED.search(error.detail or "")
        if found is not None:
            return found[1], f" (line {error.line})"
    except Exception:
        pass
    return "a value", ""


def _missing(where: str, name: str, line: str) -> RenderRefused:
    text = f"{where} needs {name}{line}, which has no value."
    return RenderRefused("template.missing_variable", text, "Give it a default: {{ name | default('…') }}.")


def _from_mjml(page: Page, context: Mapping[str, Any]) -> str:
    where = f"The mjml of the template {page.name}"
    try:
        html = to_html(_field(page, "mjml", context))
    except MjmlRefused as error:
        raise RenderRefused("template.mjml", f"{where} came out as no MJML: {error.message}.") from None
    return _bounded(html, where)


def _data(page: Page, context: Mapping[str, Any]) -> dict[str, Any]:
    text = _field(page, "data", context)
    try:
        data = to_data(text)
        if _deeper(data, DEEPEST):
            raise DataRefused(f"it is nested more than {DEEPEST} levels deep")
        return data
    except DataRefused as error:
        sentence = f"The data of the template {page.name} came out as no object in JSON: {error.message}."
        raise RenderRefused("template.data", sentence) from None


def _deeper(value: Any, than: int) -> bool:
    level: list[Any] = [value]
    for _ in range(than):
        level = [
            inner
            for each in level
            if isinstance(each, dict | list)
            for inner in (cast(dict[str, Any], each).values() if isinstance(each, dict) else cast(list[Any], each))
        ]
    return bool(level)


def _bounded(out: str, where: str) -> str:
    if len(out) > LARGEST:
        raise RenderRefused("template.too_large", f"{where} came out longer than {LARGEST} characters.")
    return out


def _plain(value: Any) -> Any:
    """JSON types only, without nulls."""
    if isinstance(value, dict):
        items = cast(dict[Any, Any], value).items()
        return {str(key): _plain(each) for key, each in items if each is not None}
    if isinstance(value, list):
        return [_plain(each) for each in cast(list[Any], value)]
    if isinstance(value, float) and value.is_integer() and abs(value) <= NUMBER_LIMIT:
        return int(value)
    return value
