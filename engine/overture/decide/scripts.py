"""What rules ask of scripts, and what is done of their answers: as much as was declared, each part by itself.

The step runs nothing. A call that it was not told the answer of ends it (`Awaiting`), and it is taken again with that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, cast

import msgspec

from overture.decide.consent import move_on_list
from overture.decide.limits import SCRIPT_CALLS, SCRIPT_CHANGES, VALUE_BYTES, VALUE_DEPTH, shown, size, too_much
from overture.decide.work import Work, is_finite
from overture.model import Contact, Effect, Fact
from overture.model.clock import to_text
from overture.model.decay import all_scores
from overture.model.numbers import NUMBER_LIMIT
from overture.model.script import Awaiting, Call, Said
from overture.rules.program import Program
from overture.rules.ruleset import RunAction, ScoreDecl
from overture.rules.script import CONTACT_PARTS, ScriptDecl
from overture.rules.types import Type

Asked = Callable[[Work, Fact], Said]
_encode = msgspec.json.Encoder().encode
_Part = Callable[[Contact, Mapping[str, int]], Any]

UNDECLARED = "script.undeclared"
WRONG = "script.wrong_type"
_TOO_MANY = Said(code="script.too_many_calls", message=f"No more than {SCRIPT_CALLS} scripts are asked for one fact.")


def asking(script: ScriptDecl, program: Program) -> Asked:
    """Asks a script about a fact: its answer, or why there is none. Raises Awaiting."""
    given = _given(script.takes, program.scores)
    called = script.script

    def ask(work: Work, fact: Fact) -> Said:
        if work.scripts.asked >= SCRIPT_CALLS:
            return _TOO_MANY
        work.scripts.asked += 1
        contact = work.contact
        text = _encode(given(work, fact)).decode()
        call = Call(called, text, contact.clock, f"{contact.id}/{fact.id}")
        said = work.scripts.answers.get(call)
        if said is None:
            raise Awaiting([call])
        return said

    return ask


def failed(script: ScriptDecl, key: str, said: Said) -> Effect:
    return Effect("script", script.name, key, None, said.message, said.code)


def scored(script: ScriptDecl, said: Said, key: str) -> tuple[float | None, Effect]:
    """What a script says that a score is, and how that is told; ``key``: the score."""
    if said.code:
        return None, failed(script, key, said)
    value, shares = said.value, dict[str, Any]()
    if value.__class__ is dict:
        answer = cast("dict[str, Any]", value)
        value, shares = answer.get("value"), answer.get("contributions", {})
    if not _number(value) or shares.__class__ is not dict or not all(map(_number, shares.values())):
        why = "A score is a number, or {value, contributions} with numbers."
        return None, failed(script, key, Said(code="script.not_a_score", message=why))
    return value, Effect("script", script.name, key, None, shown({"value": value, "contributions": shares}))


def built(script: ScriptDecl, said: Said, template: str) -> tuple[dict[str, Any] | None, Effect]:
    """The data of a message, and how that is told."""
    if said.code:
        return None, failed(script, template, said)
    if said.value.__class__ is not dict:
        why = Said(code="script.no_object", message="The data of a message is an object.")
        return None, failed(script, template, why)
    if reason := too_much(said.value, size(said.value)):
        limits = f"{VALUE_BYTES} bytes and {VALUE_DEPTH} levels"
        why = Said(code=reason, message=f"The data of a message has at most {limits}.")
        return None, failed(script, template, why)
    return said.value, Effect("script", script.name, template, None, shown(said.value))


def compile_run(action: RunAction, program: Program) -> Callable[[Work, Fact, str, str], list[Effect]]:
    """The action ``run``: a part of the answer that was not declared, or is wrong, is left out, and says why."""
    script = action.script
    ask, doing = asking(script, program), _Doing(action, program)

    def act(work: Work, fact: Fact, rule: str, _revision: str) -> list[Effect]:
        said = ask(work, fact)
        if said.code:
            return [failed(script, "", said)]
        told = Effect("script", script.name, "", None, shown(said.value))
        if said.value is None:
            return [told]
        if said.value.__class__ is not dict:
            message = "What an action is to do stands in an object: {set: …, score: …}."
            return [failed(script, "", Said(code="script.no_object", message=message))]
        effects = [told]
        for n, change in enumerate(doing.parts(work, fact, rule, said.value)):
            if n >= SCRIPT_CHANGES:
                effects.append(Effect("script", script.name, reason="script.too_many_changes"))
                break
            effects += change()
        return effects

    return act


Change = Callable[[], list[Effect]]


class _Doing:
    """Does what one answer says, change by change."""

    def __init__(self, action: RunAction, program: Program) -> None:
        self.script = action.script.name
        self.changes = action.changes
        self.scores = {name: program.scores[name] for name in action.changes.scores}
        self.lists = {name: program.lists[name] for name in action.changes.lists}

    def parts(self, work: Work, fact: Fact, rule: str, answer: dict[str, Any]) -> Iterator[Change]:
        """Each change that the answer says, not made yet."""
        for part, said in answer.items():
            match part, said:
                case "set", dict():
                    yield from (partial(self.set, work, *each) for each in cast("dict[str, Any]", said).items())
                case "score", dict():
                    for name, points in cast("dict[str, Any]", said).items():
                        yield from self.score(work, fact, name, points)
                case "assert", list():
                    yield from (partial(self.derive, work, fact, rule, each) for each in cast("list[Any]", said))
                case (("segment" | "list"), dict()):
                    yield from self.moves(work, part, cast("dict[str, Any]", said))
                case _:
                    reason = "script.wrong_shape" if part in _PARTS else "script.unknown_part"
                    yield partial(list, [Effect("script", self.script, shown(part), reason=reason)])

    def set(self, work: Work, name: str, value: Any) -> list[Effect]:
        kind = self.changes.traits.get(name)
        reason = UNDECLARED if kind is None else "" if value is None else _wrong(value, kind)
        if reason:
            return [Effect("set", shown(name), reason=reason)]
        effect = work.set_trait(name, value)
        return [effect] if effect else []

    def score(self, work: Work, fact: Fact, name: str, points: Any) -> Iterator[Change]:
        decl = self.scores.get(name)
        if decl is None:
            yield partial(list, [Effect("score", shown(name), reason=UNDECLARED)])
        elif not decl.per:
            yield partial(self.add, work, fact, decl, "", points)
        elif points.__class__ is dict:
            yield from (partial(self.add, work, fact, decl, *each) for each in cast("dict[str, Any]", points).items())
        else:
            yield partial(list, [Effect("score", name, reason="score.no_key")])

    def add(self, work: Work, fact: Fact, decl: ScoreDecl, key: str, points: Any) -> list[Effect]:
        if decl.per and not key:
            return [Effect("score", decl.name, reason="score.no_key")]
        if not _number(points):
            return [Effect("score", decl.name, shown(key), reason="value.not_a_number")]
        effect = work.add_score(decl.name, key, points, fact.occurred_at)
        return [effect] if effect else []

    def derive(self, work: Work, fact: Fact, rule: str, said: Any) -> list[Effect]:
        derived: dict[str, Any] = said if said.__class__ is dict else {}
        name, given = derived.get("type"), derived.get("properties", {})
        odd = not derived.keys() <= {"type", "properties"} or given.__class__ is not dict
        if odd or not isinstance(name, str):
            return [Effect("script", self.script, "assert", reason="script.wrong_shape")]
        fields = self.changes.facts.get(name)
        if fields is None:
            return [Effect("assert", shown(name), reason=UNDECLARED)]
        kept, length, refused = dict[str, Any](), 0, list[Effect]()
        for field, value in given.items():
            if value is None:
                continue
            taken = size(value)
            reason = "script.unknown_property" if field not in fields else _wrong(value, fields[field])
            reason = reason or too_much(value, taken)
            if reason:
                refused.append(Effect("assert", name, shown(field), reason=reason))
            else:
                kept[field] = value
                length += taken
        missing = [field for field, kind in fields.items() if not kind.optional and field not in kept]
        if missing:
            return [*refused, *(Effect("assert", name, field, reason="script.missing_property") for field in missing)]
        return [work.derive(rule, fact, name, kept, length), *refused]

    def moves(self, work: Work, part: str, said: dict[str, Any]) -> Iterator[Change]:
        ways = ("enter", "leave") if part == "segment" else ("add", "remove")
        for way, names in said.items():
            if way not in ways or names.__class__ is not list:
                wrong = Effect("script", self.script, f"{part}.{shown(way)}", reason="script.wrong_shape")
                yield partial(list, [wrong])
                continue
            yield from (partial(self.move, work, part, name, way == ways[0]) for name in cast("list[Any]", names))

    def move(self, work: Work, part: str, name: Any, inward: bool) -> list[Effect]:
        known = self.changes.segments if part == "segment" else self.lists
        if name.__class__ is not str or name not in known:
            return [Effect(part, shown(name) if name.__class__ is str else "", reason=UNDECLARED)]
        if part == "list":
            return move_on_list(work, self.lists[name], inward)
        effect = work.move_segment(name, inward)
        return [effect] if effect else []


_PARTS = ("set", "score", "assert", "segment", "list")


def _number(value: Any) -> bool:
    return is_finite(value) and abs(value) <= NUMBER_LIMIT


def _wrong(value: Any, kind: Type) -> str:
    """Why a value is not of a declared type; empty where it is."""
    match kind.kind:
        case "string":
            right = value.__class__ is str
        case "bool":
            right = value.__class__ is bool
        case "int" | "datetime":
            right = _number(value) and value == int(value)
        case "number":
            right = _number(value)
        case "list" | "object":
            right = value.__class__ is (list if kind.kind == "list" else dict) and _sound(value)
        case _:
            right = _sound(value)
    return "" if right else WRONG


def _sound(value: Any) -> bool:
    """Whether all numbers in it are such as facts may have. Its depth is bounded by who read it."""
    match value:
        case dict():
            return all(map(_sound, cast("dict[str, Any]", value).values()))
        case list():
            return all(map(_sound, cast("list[Any]", value)))
        case int() | float():
            return value.__class__ is bool or _number(value)
        case _:
            return True


# --- what it is given --------------------------------------------------------------------------------------------


def _given(takes: tuple[str, ...], scores: Mapping[str, ScoreDecl]) -> Callable[[Work, Fact], dict[str, Any]]:
    """By parameter; only what it takes, so that its answer depends on nothing else."""
    roots = {path.partition(".")[0] for path in takes}
    parts = _contact_parts(takes, scores)

    def given(work: Work, fact: Fact) -> dict[str, Any]:
        contact = work.contact
        found: dict[str, Any] = {}
        if "fact" in roots:
            own = {"type": fact.type, "id": fact.id, "occurred_at": to_text(fact.occurred_at)}
            found["fact"] = {**_there(fact.properties), **own}
        if "contact" in roots:
            found["contact"] = {name: part(contact, work.half_lives) for name, part in parts.items()}
        if "now" in roots:
            found["now"] = to_text(contact.clock)
        return found

    return given


def _contact_parts(takes: tuple[str, ...], scores: Mapping[str, ScoreDecl]) -> dict[str, _Part]:
    unset: dict[str, Any] = {name: {} if decl.per else 0 for name, decl in scores.items()}

    def named(part: str) -> list[str] | None:
        """The single ones that it takes of a part; None: all of it."""
        prefix = f"contact.{part}"
        if "contact" in takes or prefix in takes:
            return None
        return [path.removeprefix(f"{prefix}.") for path in takes if path.startswith(f"{prefix}.")]

    def of(part: str) -> _Part:
        names = named(part)
        match part:
            case "id":
                return lambda c, _: c.id
            case "traits" if names is None:
                return lambda c, _: _there(c.traits)
            case "traits":
                return lambda c, _: {name: c.traits[name] for name in names or () if c.traits.get(name) is not None}
            case "scores" if names is None:
                return lambda c, h: {**unset, **all_scores(c, h, c.clock)}
            case "scores":
                few = {name: unset.get(name, 0) for name in names or ()}
                return lambda c, h: {**few, **{n: s for n, s in all_scores(c, h, c.clock).items() if n in few}}
            case "segments":
                return lambda c, _: sorted(c.segments)
            case _:
                return lambda c, _: sorted(c.lists)

    return {part: of(part) for part in CONTACT_PARTS if named(part) != []}


def _there(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Without those that are null: these are missing, as they are to conditions."""
    return {name: value for name, value in values.items() if value is not None} if None in values.values() else values
