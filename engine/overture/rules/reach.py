"""What can be told about a condition without a fact: on which types it can fire, what it reads, whether it can hold."""

from __future__ import annotations

from collections.abc import Iterator

from overture.rules.tree import And, Arithmetic, Call, Compare, Field, Items, Literal, Node, Not, Or

Value = str | int | float | bool
TYPE = ("type",)


def children(node: Node) -> tuple[Node, ...]:
    match node:
        case Items():
            return node.items
        case Compare() | Arithmetic():
            return (node.left, node.right)
        case And() | Or():
            return node.terms
        case Not():
            return (node.term,)
        case Call():
            return node.arguments
        case Literal() | Field():
            return ()


def walk(node: Node) -> Iterator[Node]:
    """The node and everything below it, in the order written."""
    stack = [node]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(reversed(children(node)))


def conjuncts(node: Node) -> Iterator[Node]:
    """The terms that must all hold: those of nested ``and``, or the node itself."""
    if isinstance(node, And):
        for term in node.terms:
            yield from conjuncts(term)
    else:
        yield node


def fact_types(node: Node) -> frozenset[str] | None:
    """The fact types on which the condition can hold; None: the condition does not say."""
    match node:
        case And():
            terms = list(conjuncts(node))
            said = [types for term in terms if (types := fact_types(term)) is not None]
            if not said:
                return None
            excluded = frozenset[str]().union(*(_excluded(term) for term in terms))
            first, *others = said
            return first.intersection(*others) - excluded
        case Or():
            sets = [fact_types(term) for term in node.terms]
            return frozenset[str]().union(*(s for s in sets if s)) if None not in sets else None
        case Compare(op="==" | "in"):
            return _named_types(node)
        case _:
            return None


def _excluded(node: Node) -> frozenset[str]:
    if isinstance(node, Compare) and node.op in ("!=", "not in"):
        return _named_types(node) or frozenset()
    if isinstance(node, Not) and isinstance(node.term, Compare) and node.term.op in ("==", "in"):
        return _named_types(node.term) or frozenset()
    return frozenset()


def _named_types(node: Compare) -> frozenset[str] | None:
    """The literals that ``fact.type`` is compared with."""
    tested = literal_test(node)
    if tested is None or tested[0] != Field("fact", TYPE, tested[0].place):
        return None
    return frozenset(v for v in tested[1] if isinstance(v, str))


def literal_test(node: Compare) -> tuple[Field, tuple[Value, ...]] | None:
    """``field == literal`` (either way round) or ``field in [literals]``, or the opposite: field and literals."""
    left, right = node.left, node.right
    if node.op in ("==", "!=") and isinstance(left, Literal):
        left, right = right, left
    if not isinstance(left, Field):
        return None
    if node.op in ("==", "!=") and isinstance(right, Literal):
        return left, (right.value,)
    if node.op in ("in", "not in") and isinstance(right, Items):
        values = tuple(item.value for item in right.items if isinstance(item, Literal))
        return (left, values) if len(values) == len(right.items) else None
    return None


def required_literals(node: Node) -> dict[tuple[str, ...], Value]:
    """Fields of the fact that must equal a literal for the condition to hold: path → literal, ``type`` left out."""
    found: dict[tuple[str, ...], Value] = {}
    for term in conjuncts(node):
        if isinstance(term, Compare) and term.op == "==" and (tested := literal_test(term)):
            field, values = tested
            if field.root == "fact" and field.path != TYPE:
                found.setdefault(field.path, values[0])
    return found


def reads(node: Node) -> frozenset[str]:
    """The paths that the node's value depends on: ``scores.lead`` ``traits.country`` ``segments.vip`` ``lists.news``
    (``segments`` or ``lists`` where not a literal name is asked for), ``id``, and ``fact.path``.
    """
    found: set[str] = set()
    stack = [node]
    while stack:
        node = stack.pop()
        if isinstance(node, Compare) and isinstance(node.left, Literal) and isinstance(node.right, Field):
            field = node.right
            if node.op in ("in", "not in") and field.root == "contact" and field.path in (("segments",), ("lists",)):
                found.add(f"{field.path[0]}.{node.left.value}")
                continue
        if isinstance(node, Field):
            found.add(_path(node))
        stack.extend(children(node))
    return frozenset(found)


def _path(field: Field) -> str:
    if field.root == "fact":
        return "fact." + ".".join(field.path)
    match field.path:
        case ("id", *_):
            return "id"
        case ("scores", name, *_):
            return f"scores.{name}"
        case ("segments" | "lists" | "scores" as which, *_):
            return which
        case _:
            return f"traits.{field.path[0]}"


# --- can it hold at all? --------------------------------------------------------------------------------------


def satisfiable(node: Node) -> bool:
    """False only where it is certain that no fact and contact can make the condition true."""
    match node:
        case Literal():
            return node.value is True
        case Or():
            return any(satisfiable(term) for term in node.terms)
        case And():
            terms = list(conjuncts(node))
            return all(satisfiable(term) for term in terms) and _consistent(terms)
        case _:
            return True


class _Bounds:
    """What the literals of one ``and`` leave open for one field."""

    def __init__(self) -> None:
        self.allowed: set[tuple[str, Value]] | None = None
        self.denied: set[tuple[str, Value]] = set()
        self.low: tuple[float, bool] | None = None  # limit, and whether the limit itself is out
        self.high: tuple[float, bool] | None = None
        self.present: bool | None = None
        self.contradiction = False

    def allow(self, values: set[tuple[str, Value]]) -> None:
        self.allowed = values if self.allowed is None else self.allowed & values

    def has(self, present: bool) -> None:
        self.contradiction |= self.present is not None and self.present != present
        self.present = present

    def limit(self, op: str, value: float) -> None:
        strict = op in ("<", ">")
        if op in (">", ">="):
            self.low = max(self.low or (value, strict), (value, strict))
        else:
            self.high = min(self.high or (value, strict), (value, strict), key=lambda b: (b[0], not b[1]))

    def possible(self) -> bool:
        if self.contradiction:
            return False
        if self.allowed is not None:
            left = {v for v in self.allowed - self.denied if v[0] != "number" or self.within(v[1])}
            return bool(left)
        if self.low and self.high:
            return self.low[0] < self.high[0] or (self.low[0] == self.high[0] and not (self.low[1] or self.high[1]))
        return True

    def within(self, value: Value) -> bool:
        assert not isinstance(value, str)  # only numbers are kept in order
        above = self.low is None or value > self.low[0] or (value == self.low[0] and not self.low[1])
        below = self.high is None or value < self.high[0] or (value == self.high[0] and not self.high[1])
        return above and below


_FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


def _consistent(terms: list[Node]) -> bool:
    bounds: dict[tuple[str, tuple[str, ...]], _Bounds] = {}

    def of(field: Field) -> _Bounds:
        return bounds.setdefault((field.root, field.path), _Bounds())

    for term in terms:
        if isinstance(term, Compare):
            for side in (term.left, term.right):
                # A comparison with a missing field is false; a score is never missing in one, it is 0.
                if isinstance(side, Field) and side.path[0] != "scores":
                    of(side).has(True)
        match term:
            case Compare(op="==" | "in" | "!=" | "not in") if tested := literal_test(term):
                values = {_tagged(v) for v in tested[1]}
                if term.op in ("==", "in"):
                    of(tested[0]).allow(values)
                else:
                    of(tested[0]).denied |= values
            case Compare(
                op="<" | "<=" | ">" | ">=" as op, left=Field() as field, right=Literal(value=int() | float() as n)
            ):
                of(field).limit(op, n)
            case Compare(
                op="<" | "<=" | ">" | ">=" as op, left=Literal(value=int() | float() as n), right=Field() as field
            ):
                of(field).limit(_FLIPPED[op], n)
            case Call(name="has", arguments=(Field() as field,)):
                of(field).has(True)
            case Not(term=Call(name="has", arguments=(Field() as field,))):
                of(field).has(False)
            case _:
                pass
    return all(b.possible() for b in bounds.values())


def _tagged(value: Value) -> tuple[str, Value]:
    """Equal like with like: 1, True and "1" are three things."""
    if isinstance(value, bool):
        return ("boolean", value)
    return ("text", value) if isinstance(value, str) else ("number", value)
