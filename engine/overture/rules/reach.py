"""What can be told about a condition without a fact: on which types it can fire, what it reads."""

from __future__ import annotations

from collections.abc import Iterator

from overture.rules.tree import And, Arithmetic, Call, Compare, Decaying, Field, History, Items, Literal, Node, Not, Or

Value = str | int | float | bool
TYPE = ("type",)
ZONE = "traits.timezone"
"""Path of the trait that says where the contact lives: an IANA name."""


def children(node: Node) -> tuple[Node, ...]:
    """The nodes right below; what ``where`` says of past facts is none of them."""
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
        case Decaying():
            return (node.field,)
        case Literal() | Field() | History():
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


def named_types(node: Node) -> frozenset[str]:
    """Every fact type that the condition asks about by name."""
    found = (_named_types(part) for part in walk(node) if isinstance(part, Compare))
    return frozenset[str]().union(*(types for types in found if types))


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
    (``segments`` or ``lists`` where not a literal name is asked for), ``id``, ``history.<id of a series>``, and
    ``fact.path``; ``clock`` where time alone changes it.
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
        match node:
            case Field():
                found.add(_path(node))
            case History(_, series, window):
                found.add(f"history.{series.id}")
                if window is not None:
                    found.add("clock")
                    if window.calendar:
                        found.add(ZONE)
            case Decaying() | Call("now" | "age"):
                found.add("clock")
            case Call("local"):
                found.add(ZONE)
            case _:
                pass
        stack.extend(children(node))
    return frozenset(found)


def _path(field: Field) -> str:
    if field.root != "contact":
        return ".".join((field.root, *field.path))
    match field.path:
        case ("id", *_):
            return "id"
        case ("scores", name, *_):
            return f"scores.{name}"
        case ("segments" | "lists" | "scores" as which, *_):
            return which
        case _:
            return f"traits.{field.path[0]}"
