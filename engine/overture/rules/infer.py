"""Types of expressions: unknown fields, names and functions, and comparisons that can only have one answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from overture.model.pure import METHODS
from overture.model.series import LONGEST
from overture.rules.inside import journey_field
from overture.rules.patterns import pattern_problem
from overture.rules.plugged import check_call, how_many
from overture.rules.presence import Present, key_of, placeless, vouched
from overture.rules.reach import children, fact_types, walk
from overture.rules.report import Report, did_you_mean
from overture.rules.scope import EITHER, FACT_FIELDS, KEYED, PLAIN, Scope
from overture.rules.spelling import spell
from overture.rules.tree import (
    And,
    Arithmetic,
    Call,
    Compare,
    Decaying,
    Field,
    History,
    Items,
    Literal,
    Node,
    Not,
    Or,
    Place,
)
from overture.rules.types import ANY, BOOL, DATETIME, INT, LIST, MAYBE, NAMES, NUMBER, STRING, Type, merge

Types = frozenset[str] | None
"""The fact types that can get here; None: any fact at all."""

_ARITY = {
    "has": (1, 1), "matches": (2, 2), "startswith": (2, 2), "endswith": (2, 2), "contains": (2, 2), "lower": (1, 1),
    "len": (1, 1), "min": (2, 16), "max": (2, 16), "abs": (1, 1), "round": (1, 2), "now": (0, 0), "age": (1, 1),
    "local": (2, 2),
}  # fmt: skip
_TEXTS = frozenset({"matches", "startswith", "endswith", "contains", "lower"})
_HISTORY = {
    "count": INT, "total": NUMBER, "seen": BOOL, "last": Type("datetime", optional=True),
    "first": Type("datetime", optional=True),
}  # fmt: skip


class Checker:
    """Checks the expressions of one place in a document; findings go to the report.

    ``parts``: in a part of a join, the types of the parts before it.
    """

    def __init__(
        self, scope: Scope, report: Report, pointer: str = "", parts: Mapping[str, frozenset[str]] | None = None
    ) -> None:
        self.scope = scope
        self.report = report
        self.pointer = pointer
        self.parts = parts or {}

    def condition(self, node: Node, types: Types) -> None:
        """Check what must be true or false as a whole."""
        self.truth(node, types, frozenset(), False)

    def value(self, node: Node, types: Types, present: Present = frozenset()) -> Type:
        """The type of an action's value; ``present``: what is certainly there where the action runs."""
        kind = self.type_of(node, types, present, False)
        return replace(kind, optional=False) if isinstance(node, Field | History) and key_of(node) in present else kind

    # --- truth ----------------------------------------------------------------------------------------------

    def truth(self, node: Node, types: Types, present: Present, negated: bool) -> None:
        kind = self.type_of(node, types, present, negated)
        if not kind.fits(BOOL):
            self.error("condition.type", f"This is {kind}, not true or false", node.place, "Compare it with something.")

    def type_of(self, node: Node, types: Types, present: Present, negated: bool) -> Type:
        """``present``: fields that ``has`` vouches for here; ``negated``: under an odd number of ``not``."""
        match node:
            case Literal():
                return _literal(node)
            case Field():
                return self.field(node, types)
            case Items():
                for item in node.items:
                    self.type_of(item, types, present, negated)
                return LIST
            case And():
                types = _narrowed(types, fact_types(node))
                present |= vouched(node)
                for term in node.terms:
                    self.truth(term, types, present, negated)
                return BOOL
            case Or():
                for term in node.terms:
                    self.truth(term, _narrowed(types, fact_types(term)), present, negated)
                return BOOL
            case Not():
                self.truth(node.term, types, present, not negated)
                return BOOL
            case Compare():
                self.compare(node, types, present, negated)
                return BOOL
            case Arithmetic():
                for side in children(node):
                    kind = self.type_of(side, types, present, negated)
                    if not kind.fits(NUMBER):
                        self.error("condition.type", f"Arithmetic takes numbers, and this is {kind}", side.place)
                return NUMBER
            case Call():
                return self.call(node, types, present, negated)
            case History():
                return self.history(node)
            case Decaying():
                return NUMBER

    def compare(self, node: Compare, types: Types, present: Present, negated: bool) -> None:
        left = self.type_of(node.left, types, present, negated)
        right = self.type_of(node.right, types, present, negated)
        self.missing(node, (left, right), present, negated)
        self.counted(node)
        self.fact_types(node)
        if node.op in ("in", "not in"):
            self.membership(node, left, right, types, present)
        elif node.op in ("==", "!="):
            if not left.fits(right) or NAMES in (left, right):
                self.mismatch(node, left, right)
        elif not left.fits(right) or {left.group, right.group} - {"number", "text", "any"}:
            self.mismatch(node, left, right)

    def membership(self, node: Compare, left: Type, right: Type, types: Types, present: Present) -> None:
        if isinstance(node.right, Items):
            for item in node.right.items:
                kind = _literal(item) if isinstance(item, Literal) else ANY
                if not left.fits(kind):
                    self.mismatch(node, left, kind, item.place)
        elif right == NAMES and isinstance(node.right, Field):
            if not left.fits(STRING):
                self.mismatch(node, left, STRING)
            which = node.right.path[0]
            known = self.scope.segments if which == "segments" else self.scope.lists
            if isinstance(node.left, Literal) and isinstance(node.left.value, str) and node.left.value not in known:
                singular = which.removesuffix("s")
                hint = did_you_mean(node.left.value, known, f"Declare it, or name it under requires.{which}.")
                self.error(f"{singular}.unknown", f"There is no {singular} {node.left.value!r}", node.left.place, hint)
        elif right.group == "text":
            if not left.fits(STRING):
                self.mismatch(node, left, right)
        elif right.group not in ("list", "any"):
            self.error("condition.type", f"`in` needs a list or a text, and this is {right}", node.right.place)

    def fact_types(self, node: Compare) -> None:
        """Every type that the document's conditions name must be declared."""
        if Field("fact", ("type",), Place()) not in (placeless(node.left), placeless(node.right)):
            return
        for part in (*children(node), *(node.right.items if isinstance(node.right, Items) else ())):
            if isinstance(part, Literal) and isinstance(part.value, str) and part.value not in self.scope.facts:
                hint = did_you_mean(part.value, self.scope.facts, "Declare it under facts.")
                self.error("fact.unknown", f"There is no fact type {part.value!r}", part.place, hint)

    def missing(self, node: Compare, kinds: tuple[Type, Type], present: Present, negated: bool) -> None:
        """Warn where a missing field gives the answer that looks like the opposite of what is written."""
        if not negated and node.op not in ("!=", "not in"):
            return
        for side, kind in zip(children(node), kinds, strict=True):
            part = side.arguments[0] if isinstance(side, Call) and side.name in ("age", "local") else side
            if isinstance(part, Call) and part.function is not None and kind.optional:
                hint = "Ask has(…) for what it is given."
                self.error("condition.optional_field", f"`{spell(part)[:80]}` may be missing", side.place, hint)
                continue
            if not kind.optional or not isinstance(part, Field | History) or key_of(part) in present:
                continue
            if isinstance(part, Field):
                text = spell(part)
                hint = f"Add has({text}) and …, or not has({text}) or …"
            else:
                text, seen = spell(part), spell(History("seen", part.series))
                hint = f"Add {seen} and …, or not {seen} or …"
            self.error("condition.optional_field", f"`{text}` may be missing", side.place, hint)

    def counted(self, node: Compare) -> None:
        """Warn where a windowed count is compared with more than it can be."""
        for side, other in ((node.left, node.right), (node.right, node.left)):
            match side, other:
                case History("count", _, window), Literal(int() | float() as limit) if window is not None:
                    if limit > LONGEST:
                        hint = "Without `within` all are counted; or keep a score."
                        self.error("history.saturates", "At most 1,000 facts are counted", other.place, hint)
                case _:
                    pass

    # --- fields ---------------------------------------------------------------------------------------------

    def field(self, node: Field, types: Types) -> Type:
        if node.root == "contact":
            return self.contact_field(node)
        if node.root in ("journey", "wait"):
            kind, known = journey_field(node, self.scope, self.error)
            return self.deeper(node, kind, known)
        return self.fact_field(node, self.parts.get(node.root, types))

    def fact_field(self, node: Field, types: Types) -> Type:
        name = node.path[0]
        found: list[Type] = []
        if name in FACT_FIELDS:
            found = [FACT_FIELDS[name]]
        elif types is None:
            message = f"Nothing says on which facts `{node.root}.{name}` is read here"
            hint = "Here a fact has only type, id and occurred_at."
            if self.scope.journey is not None:
                hint = f"Ask for its type before, or read journey.fact.{name}."
            self.error("condition.unknown_field", message, node.place, hint)
            return MAYBE
        else:
            for fact_type in sorted(types & self.scope.facts.keys()):
                kind = self.scope.field_of(fact_type, name)
                if kind is None:
                    hint = did_you_mean(name, self.scope.names_of(fact_type))
                    self.error("condition.unknown_field", f"A {fact_type!r} has no field {name!r}", node.place, hint)
                    return MAYBE
                found.append(kind)
        return self.deeper(node, merge(found) if found else ANY, 1)

    def contact_field(self, node: Field) -> Type:
        name, rest = node.path[0], node.path[1:]
        match name:
            case "scores":
                return self.score(node)
            case "segments" | "lists":
                if rest:
                    hint = f'Write "{rest[0]}" in contact.{name}.'
                    self.error("condition.unknown_field", f"`contact.{name}` is a set of names", node.place, hint)
                return NAMES
            case "id":
                return self.deeper(node, STRING, 1)
            case _ if name in self.scope.traits:
                return self.deeper(node, self.scope.traits[name], 1)
            case _:
                hint = did_you_mean(name, {*self.scope.traits, "id", "scores", "segments", "lists"})
                self.error("condition.unknown_field", f"A contact has no trait {name!r}", node.place, hint)
                return MAYBE

    def score(self, node: Field) -> Type:
        if len(node.path) < 2:
            self.error("condition.unknown_field", "Which score?", node.place, "Write contact.scores.name.")
            return NUMBER
        name, keys = node.path[1], node.path[2:]
        kind = self.scope.scores.get(name)
        if kind is None:
            hint = did_you_mean(name, self.scope.scores, "Declare it, or name it under requires.scores.")
            self.error("score.unknown", f"There is no score {name!r}", node.place, hint)
        elif len(keys) > 1 or (kind == PLAIN and keys):
            self.error("score.key", f"The score {name!r} is one number", node.place, f"Write contact.scores.{name}.")
        elif kind == KEYED and not keys:
            self.error(
                "score.key",
                f"The score {name!r} has a number per key",
                node.place,
                f'Write contact.scores.{name}["key"].',
            )
        else:
            assert kind in (KEYED, PLAIN, EITHER)
        return NUMBER

    def deeper(self, node: Field, kind: Type, known: int) -> Type:
        """Below a field of type object or any nothing is declared, so anything may be there."""
        if len(node.path) == known:
            return kind
        if kind.kind in ("object", "any"):
            return MAYBE
        name = ".".join(node.path[:known])
        self.error("condition.unknown_field", f"`{node.root}.{name}` is {kind} and has no fields", node.place)
        return MAYBE

    # --- history --------------------------------------------------------------------------------------------

    def history(self, node: History) -> Type:
        series, types = node.series, self.scope.facts
        if series.type not in types:
            hint = did_you_mean(series.type, types, "Declare it under facts.")
            self.error("fact.unknown", f"There is no fact type {series.type!r}", node.place, hint)
            return _HISTORY[node.kind]
        if series.field:
            self.summed(node)
        if series.where is not None:
            self.where(series.where, frozenset({series.type}))
        return _HISTORY[node.kind]

    def summed(self, node: History) -> None:
        type, (name, *rest) = node.series.type, node.series.field
        kind = self.scope.field_of(type, name)
        if kind is None:
            hint = did_you_mean(name, self.scope.names_of(type))
            self.error("condition.unknown_field", f"A {type!r} has no field {name!r}", node.place, hint)
        elif kind.kind not in ("object", "any") and (rest or not kind.fits(NUMBER)):
            self.error("condition.type", f"`total` adds up numbers, and {name!r} is {kind}", node.place)

    def where(self, node: Node, types: Types) -> None:
        for part in walk(node):
            if isinstance(part, History) or (isinstance(part, Call) and part.name in ("now", "age", "local")):
                message = "`where` asks about the fact alone: it is answered once, when the fact comes"
                self.error("history.where", message, part.place)
                return
        self.condition(node, types)

    # --- functions ------------------------------------------------------------------------------------------

    def call(self, node: Call, types: Types, present: Present, negated: bool) -> Type:
        arguments = node.arguments
        kinds = [self.type_of(a, types, present, negated) for a in arguments]
        if node.function is not None:
            return check_call(node, node.function, kinds, present, self.error)
        low, high = _ARITY[node.name]
        if not low <= len(arguments) <= high:
            dot = ", the text before the dot included" if node.name in METHODS else ""
            self.error("condition.arguments", f"`{node.name}` takes {how_many(low, high)}{dot}", node.place)
        elif node.name == "has":
            if not isinstance(arguments[0], Field):
                asked = arguments[0]
                seen = isinstance(asked, History) and f"Write {spell(History('seen', asked.series))}."
                hint = seen or "Write has(contact.country)."
                self.error("condition.arguments", "`has` asks whether a field is there", asked.place, hint)
        elif node.name in _TEXTS:
            self.expect(node, kinds, STRING, "a text")
            if node.name == "matches":
                self.pattern(arguments[1])
        elif node.name == "len":
            if kinds[0].group not in ("text", "list", "object", "names", "any"):
                self.error(
                    "condition.type", f"`len` takes a text or a list, and this is {kinds[0]}", arguments[0].place
                )
        elif node.name == "local":
            self.expect(node, kinds[:1], NUMBER, "an instant")
        else:
            self.expect(node, kinds, NUMBER, "a number")
        match node:
            case Call("now"):
                return DATETIME
            case Call("age"):
                return Type("number", optional=kinds[0].optional if kinds else True)
            case Call("local", (_, Literal(name))):
                return Type("string" if name == "date" else "int", optional=kinds[0].optional)
            case _:
                pass
        if node.name == "lower":
            return STRING
        if node.name in ("len", "min", "max", "abs", "round"):
            return INT if node.name == "len" else NUMBER
        return BOOL

    def expect(self, node: Call, kinds: list[Type], expected: Type, what: str) -> None:
        for argument, kind in zip(node.arguments, kinds, strict=False):
            if not kind.fits(expected):
                message = f"`{node.name}` takes {what}, and this is {kind}"
                self.error("condition.type", message, argument.place)

    def pattern(self, node: Node) -> None:
        if not (isinstance(node, Literal) and isinstance(node.value, str)):
            self.error("condition.pattern", "The pattern must be a literal text", node.place)
            return
        if problem := pattern_problem(node.value):
            self.error("condition.pattern", problem[0], node.place, problem[1])

    # --- problems -------------------------------------------------------------------------------------------

    def mismatch(self, node: Compare, left: Type, right: Type, place: Place | None = None) -> None:
        hint = ""
        if {left.group, right.group} == {"text", "number"}:
            hint = (
                "Times are milliseconds."
                if DATETIME.kind in (left.kind, right.kind)
                else "Numbers stand without quotes, texts with."
            )
        elif NAMES in (left, right):
            hint = 'Write "name" in contact.segments.'
        message = f"`{node.op}` between {left} and {right} always has the same answer"
        self.error("condition.type", message, place or node.place, hint)

    def error(self, code: str, message: str, place: Place, hint: str = "") -> None:
        self.report.at(code, message, place, self.pointer, hint)


def _literal(node: Literal) -> Type:
    if isinstance(node.value, bool):
        return BOOL
    if isinstance(node.value, str):
        return STRING
    return INT if isinstance(node.value, int) else NUMBER


def _narrowed(types: Types, said: Types) -> Types:
    if said is None:
        return types
    return said if types is None else types & said
