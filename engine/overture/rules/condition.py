"""Conditions and values: text → checked tree."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from overture.rules.clocked import Decay, check_clock, comes_by_time
from overture.rules.infer import Checker, Types
from overture.rules.presence import Present
from overture.rules.reach import fact_types, walk
from overture.rules.report import Report
from overture.rules.satisfy import satisfiable
from overture.rules.scope import Scope
from overture.rules.syntax import parse_syntax
from overture.rules.tree import Compare, Field, Literal, Node, Place
from overture.rules.types import Type
from overture.rules.yamltext import Scalar


def check_rule(node: Node, scope: Scope, report: Report, pointer: str, place: Place) -> frozenset[str]:
    """Check the condition of a rule; the fact types on which it can fire (empty after an error)."""
    return check_part(node, node, {}, scope, report, pointer, place)


def check_part(
    whole: Node,
    own: Node,
    before: Mapping[str, frozenset[str]],
    scope: Scope,
    report: Report,
    pointer: str,
    place: Place,
) -> frozenset[str]:
    """`check_rule` for a part of a join: ``own`` are those of its terms that say nothing of the parts ``before``."""
    types = fact_types(own)
    if types is None:
        hint = 'Begin with fact.type == "…" and …'
        report.at("condition.no_fact_type", "The condition does not say on which facts", place, pointer, hint)
        _check_types_only(own, scope, report, pointer)
        return frozenset()
    Checker(scope, report, pointer, before).condition(whole, types)
    if not types or not satisfiable(own):
        message = "No fact can meet all parts of the condition"
        report.at("rule.never_fires", message, place, pointer, "Two parts exclude each other; did you mean `or`?")
        return frozenset()
    return types.intersection(scope.facts)


def _check_types_only(node: Node, scope: Scope, report: Report, pointer: str) -> None:
    """With the fact types unknown, the fields of the fact cannot be judged, but names of types can."""
    checker = Checker(scope, report, pointer)
    for part in walk(node):
        if isinstance(part, Compare):
            checker.fact_types(part)


def check_followed(node: Node, what: str, scope: Scope, report: Report, pointer: str) -> None:
    """Check the condition of a segment or a ``while``: it reads the contact only, names the segments and lists it asks
    for, and it can be told when time alone changes it. ``what`` it is the condition of, for messages.
    """
    for part in walk(node):
        if isinstance(part, Field) and part.root == "fact":
            hint = "Set a trait or a score in a rule, and read that."
            report.at(
                "segment.reads_fact", f"The condition of {what} reads only the contact", part.place, pointer, hint
            )
            return
    named = {
        id(part.right)
        for part in walk(node)
        if isinstance(part, Compare) and part.op in ("in", "not in") and isinstance(part.left, Literal)
    }
    for part in walk(node):
        if isinstance(part, Field) and part.path in (("segments",), ("lists",)) and id(part) not in named:
            message = f"The condition of {what} asks `contact.{part.path[0]}` for one name"
            report.at("segment.reads_all", message, part.place, pointer, f'Write "name" in contact.{part.path[0]}.')
    Checker(scope, report, pointer).condition(node, None)
    check_clock(Decay(scope.half_lives).node(node), report, pointer)
    if not satisfiable(node):
        report.at("rule.never_fires", "This holds for nobody, ever", node.place, pointer)


def check_inside(node: Node, scope: Scope, report: Report, pointer: str, *, followed: bool = False) -> None:
    """Check a condition of a journey, asked on whatever fact comes: it need not say on which. ``followed``: it is asked
    when time alone changes it, too.
    """
    Checker(scope, report, pointer).condition(node, fact_types(node))
    if followed and comes_by_time(when := Decay(scope.half_lives).node(node)):
        check_clock(when, report, pointer)
    if not satisfiable(node):
        report.at("rule.never_fires", "This never holds", node.place, pointer)


def expression(
    scalar: Scalar, skip: int, scope: Scope, report: Report, roots: Collection[str] | None = None
) -> Node | None:
    """The unchecked tree of the text of a scalar from its character ``skip`` on. Fields begin at ``roots``; None: at
    those of the scope.
    """
    locate = scalar.locator()
    return parse_syntax(
        scalar.text[skip:],
        lambda i: locate(i + skip),
        scope.consts,
        report,
        scalar.pointer,
        roots or scope.roots,
        scope.pure.functions,
        scope.owner,
    )


def check_value(
    node: Node, types: Types, scope: Scope, report: Report, pointer: str, present: Present = frozenset()
) -> Type:
    """Check an expression in an action; its type. ``present``: what is certainly there where the action runs."""
    return Checker(scope, report, pointer).value(node, types, present)
