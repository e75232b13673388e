"""What a script is checked against: the types of its parameters, in Python, as the document declares them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from json import dumps
from typing import Literal

from overture.rules.scope import EITHER, KEYED, Scope
from overture.rules.script import CONTACT_PARTS, ScriptDecl
from overture.rules.types import Type

Use = Literal["run", "score", "data"]
_PYTHON = {
    "string": "str",
    "int": "int",
    "number": "float",
    "bool": "bool",
    "datetime": "int",
    "list": "list[Any]",
    "object": "dict[str, Any]",
    "any": "Any",
}
_ANSWERS: Mapping[Use, str] = {
    "run": "dict[str, Any] | None",
    "score": "float | dict[str, Any]",
    "data": "dict[str, Any]",
}
_NAMED = {"fact": "Fact", "contact": "Contact", "now": "str", "request": "Request"}
_HEAD = """from typing import Any, Literal, NotRequired, TypedDict
Request = TypedDict("Request", {"method": str, "path": str, "query": dict[str, str], "headers": dict[str, str], "body": Any, "text": str})
"""  # noqa: E501
_PLAIN = re.compile(r"(?<![\w.\[])(fact|contact|now|request)(?=\s*(?:,|$))")


def annotated(source: str, main: re.Pattern[str]) -> str:
    """The source with types at the parameters of main, and at what it answers, where it has none of its own."""
    found = main.search(source)
    if found is None:
        return source
    parameters = _PLAIN.sub(lambda name: f"{name[0]}: {_NAMED[name[1]]}", found[1])
    answers = found[2] or "-> Returned"
    return f"{source[: found.start()]}def main({parameters}) {answers}:{source[found.end() :]}"


def stub(scope: Scope, decl: ScriptDecl, types: Collection[str] | None, uses: Collection[Use]) -> str:
    """``types``: of the facts that it is given, None: any. ``uses``: where it is named; nothing is known of the facts
    where it is not.
    """
    kinds = {_name(kind): kind for kind in sorted(scope.facts if types is None else types)} if uses else {}
    lines = [_HEAD.rstrip()]
    for name, kind in kinds.items():
        lines.append(_dict(name, {"type": f"Literal[{dumps(kind)}]", **_fact(scope, kind)}))
    lines.append(f"Fact = {' | '.join(kinds) or 'dict[str, Any]'}")
    lines += _contact(scope, decl)
    if decl.changes is not None:
        lines += _changes(scope, decl)
    answers = sorted({_ANSWERS[use] for use in uses}) or ["list[dict[str, Any]]" if decl.transforms else "Any"]
    lines.append(f"Returned = {' | '.join(answers)}")
    return "\n".join(lines) + "\n"


def _name(kind: str) -> str:
    """What the type of such facts is called where a mistake is told."""
    return f"fact_{kind.replace('.', '__')}"


def _fact(scope: Scope, kind: str) -> dict[str, str]:
    fields = {name: _field(each) for name, each in scope.facts.get(kind, {}).items()}
    if kind == "identify":
        fields |= {name: f"NotRequired[{_PYTHON[each.kind]}]" for name, each in scope.traits.items()}
    return {**fields, "id": "str", "occurred_at": "str"}


def _contact(scope: Scope, decl: ScriptDecl) -> Iterable[str]:
    """Only what it takes: what is not there, no script can read."""
    taken = {path for path in decl.takes if path.startswith("contact.")}
    whole = "contact" in decl.takes

    def names(part: str, known: Iterable[str]) -> list[str]:
        if whole or f"contact.{part}" in taken:
            return list(known)
        return [name for name in known if f"contact.{part}.{name}" in taken]

    yield _dict("Traits", {name: _field(scope.traits[name]) for name in names("traits", scope.traits)})
    yield _dict("Scores", {name: _score(scope, name) for name in names("scores", scope.scores)})
    parts = {"id": "str", "traits": "Traits", "scores": "Scores", "segments": "list[str]", "lists": "list[str]"}
    there = {
        part: parts[part]
        for part in CONTACT_PARTS
        if whole or any(path == f"contact.{part}" or path.startswith(f"contact.{part}.") for path in taken)
    }
    yield _dict("Contact", there)


def _changes(scope: Scope, decl: ScriptDecl) -> Iterable[str]:
    changes = decl.changes
    assert changes is not None
    yield _dict("Set", {name: f"NotRequired[{_PYTHON[t.kind]} | None]" for name, t in changes.traits.items()})
    yield _dict("Score", {name: f"NotRequired[{_score(scope, name)}]" for name in sorted(changes.scores)})
    yield _dict("Segment", dict.fromkeys(("enter", "leave"), "NotRequired[list[str]]"))
    yield _dict("List", dict.fromkeys(("add", "remove"), "NotRequired[list[str]]"))
    yield _dict("Assert", {"type": "str", "properties": "NotRequired[dict[str, Any]]"})
    parts = {"set": "Set", "score": "Score", "segment": "Segment", "list": "List", "assert": "list[Assert]"}
    yield _dict("Changes", {part: f"NotRequired[{parts[part]}]" for part in changes.told()})


def _score(scope: Scope, name: str) -> str:
    kind = scope.scores[name]
    return "Any" if kind == EITHER else "dict[str, float]" if kind == KEYED else "float"


def _field(kind: Type) -> str:
    python = _PYTHON[kind.kind]
    return f"NotRequired[{python}]" if kind.optional else python


def _dict(name: str, fields: Mapping[str, str]) -> str:
    inner = ", ".join(f"{dumps(field)}: {kind}" for field, kind in fields.items())
    return f'{name} = TypedDict("{name}", {{{inner}}})'
