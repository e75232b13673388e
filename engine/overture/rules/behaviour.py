"""The acting sections of a ruleset: rules and segments."""

from __future__ import annotations

from overture.rules.actions import Actions
from overture.rules.asking import Asking
from overture.rules.condition import check_followed, check_value, expression
from overture.rules.durations import duration
from overture.rules.joins import Joins, condition_of
from overture.rules.keys import RULE, SEGMENT, WHILE
from overture.rules.reading import RULES_LIMIT, Reading
from overture.rules.ruleset import Holdable, Join, ListAction, Once, Rule, ScoreAction, Segment, SetAction, While
from overture.rules.scope import Scope
from overture.rules.tree import Node
from overture.rules.yamltext import Mapping, Scalar, YamlNode


class Behaviour(Asking):
    """Reads rules and segments. ``ruleset`` and ``revision`` are the document's."""

    def __init__(self, reading: Reading, scope: Scope, actions: Actions, ruleset: str, revision: str) -> None:
        super().__init__(reading, scope)
        self.actions = actions
        self.ruleset = ruleset
        self.revision = revision

    def rules(self, node: YamlNode | None) -> tuple[tuple[Rule, ...], tuple[While, ...]]:
        if isinstance(node, Mapping) and len(node.items) > RULES_LIMIT:
            hint = "Split the ruleset."
            self.report.add("document.too_large", f"A ruleset has at most {RULES_LIMIT} rules", node, hint)
            return (), ()
        rules: list[Rule] = []
        whiles: list[While] = []
        for name, value, key in self.entries(node, "rules"):
            body = self.body(value, f"The rule {name!r}")
            if body is None:
                continue
            if "while" in body.items:
                if held := self.held(name, body, key):
                    whiles.append(held)
            elif rule := self.rule(name, body, key):
                rules.append(rule)
        return tuple(rules), tuple(whiles)

    def rule(self, name: str, body: Mapping, key: Scalar) -> Rule | None:
        self.keys(body, RULE)
        self.text(body.items.get("description"), "description")
        when, types, join = self.when(body.items.get("when"))
        then = self.actions.read(body.items.get("then"), types, when)
        once = self.once(body.items.get("once_per"), types)
        priority = self.priority(body.items.get("priority"))
        if when is None or not types:
            return None
        return Rule(name, self.ruleset, self.revision, when, types, then, priority, once, key.place, join)

    def when(self, node: YamlNode | None) -> tuple[Node | None, frozenset[str], Join | None]:
        if isinstance(node, Mapping) and node.items:
            join = Joins(self, self.scope).read(node)
            if join is None:
                return None, frozenset(), None
            return condition_of(join, node.place), frozenset[str]().union(*(p.types for p in join.parts)), join
        return *self.on_facts(node), None

    def held(self, name: str, body: Mapping, key: Scalar) -> While | None:
        """A rule with ``while``."""
        self.keys(body, WHILE)
        self.text(body.items.get("description"), "description")
        when = self.followed(body.items["while"], "a `while`")
        held: list[Holdable] = []
        for action, item in self.actions.placed(body.items.get("then"), None, when):
            match action:
                case ScoreAction(add=add) if add is not None and action.name not in self.scope.half_lives:
                    held.append(action)
                case SetAction() | ListAction(add=True):
                    held.append(action)
                case _:
                    hint = "Score (add, of a score that does not decay), set, list (add)."
                    self.report.add("while.action", "A `while` only does what can be taken back", item, hint)
        priority = self.priority(body.items.get("priority"))
        if when is None:
            return None
        return While(name, self.ruleset, self.revision, when, tuple(held), priority, key.place)

    def followed(self, node: YamlNode | None, what: str) -> Node | None:
        """A condition over the contact that is followed without any fact."""
        found = self.parsed(node)
        if found is None:
            return None
        scalar, when = found
        check_followed(when, what, self.scope, self.report, scalar.pointer)
        return when

    def once(self, node: YamlNode | None, types: frozenset[str]) -> Once | None:
        if node is None:
            return None
        scalar = self.text(node, "once_per")
        if scalar is None:
            return None
        if scalar.text == "contact":
            return Once()
        window = duration(scalar.text)
        if window is not None:
            if not window:
                self.report.add("rule.once_per", "The duration is zero", scalar)
            return Once(window_ms=window)
        if "." not in scalar.text:
            hint = "Write contact, a duration such as 30m, 12h, 1d, or a field such as fact.order_id."
            self.report.add("rule.once_per", f"{scalar.text[:80]!r} is not a once_per", scalar, hint)
            return None
        key = expression(scalar, 0, self.scope, self.report)
        if key is not None:
            kind = check_value(key, types, self.scope, self.report, scalar.pointer) if types else None
            if kind is not None and kind.group in ("list", "object", "names"):
                self.report.add("rule.once_per", f"A key is a text or a number, and this is {kind}", scalar)
        return Once(key=key) if key is not None else None

    def segments(self, node: YamlNode | None) -> dict[str, Segment]:
        found: dict[str, Segment] = {}
        for name, value, key in self.entries(node, "segments"):
            body = self.mapping(value, f"The segment {name!r}")
            when: Node | None = None
            enter = leave = ()
            if body is not None:
                self.keys(body, SEGMENT)
                self.text(body.items.get("description"), "description")
                when = self.followed(body.items.get("when"), "a segment")
                enter = self.actions.read(body.items.get("on_enter"), None, when)
                leave = self.actions.read(body.items.get("on_leave"), None)
            found[name] = Segment(name, self.ruleset, self.revision, when, enter, leave, key.place)
        return found
