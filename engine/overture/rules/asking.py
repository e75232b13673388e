"""The text of a condition, or of a value that is asked for: read, parsed and checked alike in all sections."""

from __future__ import annotations

from collections.abc import Collection

from overture.rules.condition import check_inside, check_rule, expression
from overture.rules.reading import Reading
from overture.rules.scope import Scope
from overture.rules.tree import Node
from overture.rules.yamltext import Scalar, YamlNode


class Asking(Reading):
    """``scope``: what may be named."""

    def __init__(self, reading: Reading, scope: Scope) -> None:
        super().__init__(reading.report)
        self.scope = scope

    def parsed(
        self, node: YamlNode | None, what: str = "A condition", roots: Collection[str] | None = None
    ) -> tuple[Scalar, Node] | None:
        """The text and its tree, not checked; None where there is none, or none that parses (reported). ``roots``: see
        `expression`.
        """
        scalar = self.text(node, what)
        tree = expression(scalar, 0, self.scope, self.report, roots) if scalar else None
        return None if scalar is None or tree is None else (scalar, tree)

    def on_facts(self, node: YamlNode | None) -> tuple[Node | None, frozenset[str]]:
        """A condition that is asked on facts of the types that it names: it, and these types."""
        found = self.parsed(node)
        return (None, frozenset()) if found is None else (found[1], self.types(*found))

    def types(self, scalar: Scalar, when: Node) -> frozenset[str]:
        """Check a condition that is asked on facts of the types that it names; these types, none after an error."""
        return check_rule(when, self.scope, self.report, scalar.pointer, scalar.locator()(0))

    def asked(self, node: YamlNode | None, *, followed: bool = False) -> Node | None:
        """A condition that is asked on whatever fact comes; ``followed``: when time alone changes it, too."""
        found = self.parsed(node)
        if found is None:
            return None
        scalar, when = found
        check_inside(when, self.scope, self.report, scalar.pointer, followed=followed)
        return when
