"""What was answered to a form, read: values of the types that it asks for, or one clear error for each that is not."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from overture.intake import fields
from overture.intake.plain import escape
from overture.model import Diagnostic
from overture.model.numbers import NUMBER_LIMIT
from overture.rules.form import IDENTIFIER, Form, FormField
from overture.rules.report import did_you_mean
from overture.rules.types import Type
from overture.web.formed import FormInvalid, Plain

TEXT_LIMIT = 2_000  # characters of an answer

_NUMBER = re.compile(r"[+-]?\d{1,16}(\.\d{1,16})?")
_ASKED = {
    "string": f"a text of at most {TEXT_LIMIT:,} characters",
    "int": "a whole number",
    "number": "a number",
    "bool": "true or false",
    "datetime": "an instant such as 2026-03-27T10:00:00Z",
}


def read_answers(
    form: Form, answers: Mapping[str, Plain], about: Mapping[str, Plain], asked: Sequence[FormField]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The traits that were answered, and the properties of the form's fact. What is empty was not answered.

    ``asked``: the fields that the visitor was shown; of them the required ones must be there. Raises FormInvalid.
    """
    wrong: list[Diagnostic] = []
    by_trait = {each.trait: each for each in form.fields}
    traits: dict[str, Any] = {}
    for name, said in answers.items():
        field = by_trait.get(name)
        if field is None:
            wrong.append(_unknown("answers", name, by_trait, "The form does not ask"))
        elif not _empty(said):
            value = _email(said) if name == IDENTIFIER else _value(said, field.kind)
            if value is None:
                expected = "an e-mail address" if name == IDENTIFIER else _ASKED[field.kind]
                wrong.append(_wrong("answer.type", f"{field.label}: this is not {expected}", "answers", name))
            elif field.options and value not in field.options:
                said_ = ", ".join(str(option) for option in field.options[:12])
                wrong.append(_wrong("answer.option", f"{field.label}: choose one of {said_}", "answers", name))
            else:
                traits[name] = value
    for field in asked:
        if field.required and _empty(answers.get(field.trait)):
            wrong.append(_wrong("answer.missing", f"{field.label}: an answer is needed", "answers", field.trait))
    properties = _about(form.about, about, wrong)
    if wrong:
        raise FormInvalid(wrong)
    return traits, properties


def _about(declared: Mapping[str, Type], about: Mapping[str, Plain], wrong: list[Diagnostic]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, said in about.items():
        kind = declared.get(name)
        if kind is None:
            wrong.append(_unknown("about", name, declared, "The form's fact has no field"))
        elif said is not None:
            value = _value(said, kind.kind) if kind.kind != "any" else said
            if value is None:
                wrong.append(_wrong("answer.type", f"{name}: this is not {_ASKED[kind.kind]}", "about", name))
            else:
                found[name] = value
    missing = (name for name, kind in declared.items() if not kind.optional and about.get(name) is None)
    wrong += (_wrong("answer.missing", f"The page must say {name!r}", "about", name) for name in missing)
    return found


def _empty(said: Plain) -> bool:
    return said is None or (isinstance(said, str) and not said.strip())


def _value(said: Plain, kind: str) -> Any | None:
    """The value of that kind; None where it is none. Pages may send what was typed as text."""
    if kind == "string":
        return said.strip() if isinstance(said, str) and len(said) <= TEXT_LIMIT and _clean(said) else None
    if kind == "bool":
        return said if isinstance(said, bool) else {"true": True, "false": False}.get(str(said).lower())
    if isinstance(said, str):
        text = said.strip()
        if kind == "datetime":
            return _instant(text)
        found = _NUMBER.fullmatch(text)
        said = None if found is None else float(text) if found[1] else int(text)
    if isinstance(said, bool) or said is None or not abs(said) <= NUMBER_LIMIT:
        return None
    if kind == "number":
        return said
    return int(said) if said == int(said) and (kind == "int" or said >= 0) else None


def _email(said: Plain) -> str | None:
    return (fields.email(said.strip()) or None) if isinstance(said, str) else None


def _instant(text: str) -> int | None:
    try:
        moment = msgspec.convert(text, datetime)
    except msgspec.ValidationError:
        return None
    at = fields.milliseconds(moment) if moment.tzinfo is not None else -1
    return at if at >= 0 else None


def _clean(text: str) -> bool:
    """Without control characters; lines and tabs may be there."""
    return all(c.isprintable() or c in "\n\r\t" for c in text)


def _unknown(where: str, name: str, known: Mapping[str, Any], says: str) -> Diagnostic:
    hint = did_you_mean(name, known)
    return _wrong("answer.unknown", f"{says} {name[:80]!r}", where, name, hint)


def _wrong(code: str, message: str, where: str, name: str, hint: str = "") -> Diagnostic:
    return Diagnostic(code=code, message=message, pointer=f"/{where}/{escape(name[:80])}", hint=hint)
