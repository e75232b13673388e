"""Conditions executed: which rules hold for a fact and a contact.

One syntax tree, two executions that must agree: `Reference` (closures, the definition) and `Durable` (durable-rules).
A matcher is for one thread: durable-rules keeps its working memory between calls and has no locks.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Literal, Protocol

from overture.match.closures import (
    asks_plugins,
    compile_condition,
    compile_followed,
    compile_relation,
    compile_value,
    holds,
)
from overture.match.reference import Reference
from overture.model import Contact, Fact
from overture.rules.ruleset import Rule

__all__ = [
    "Matcher",
    "Reference",
    "asks_plugins",
    "available",
    "build",
    "compile_condition",
    "compile_followed",
    "compile_relation",
    "compile_value",
    "holds",
]


class Matcher(Protocol):
    def match(self, fact: Fact, contact: Contact) -> list[Rule]:
        """The rules whose condition holds, in the order in which the rules were given."""
        ...


def available() -> bool:
    """Whether durable-rules is installed; its last release does not build on Python 3.13."""
    return find_spec("durable_rules_engine") is not None


def build(kind: Literal["durable", "reference"], rules: Sequence[Rule]) -> Matcher:
    """A matcher for these rules; ``durable`` is the reference where durable-rules is not installed.

    Raises:
        Refused: a condition has an unknown function, a wrong number of arguments, or a pattern that is not valid.
    """
    if kind == "durable" and available():
        from overture.match.durable import Durable

        return Durable(rules)
    return Reference(rules)
