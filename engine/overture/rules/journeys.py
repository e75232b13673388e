"""The section ``journeys``: how each one is entered, left and begun anew; its steps are read in `steps`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, cast

from overture.model.ids import digest
from overture.rules.actions import Actions
from overture.rules.asking import Asking
from overture.rules.condition import check_value
from overture.rules.journey import Do, Journey, expressions_of
from overture.rules.keys import JOURNEY, ON_REDEPLOY, REENTRY
from overture.rules.presence import certain
from overture.rules.reach import fact_types, walk
from overture.rules.reading import Reading, is_null
from overture.rules.routes import check_routes
from overture.rules.ruleset import Rule, Segment, SendAction, StartAction
from overture.rules.scope import Inside, Scope
from overture.rules.steps import Steps
from overture.rules.template import Use
from overture.rules.told import journey_told
from overture.rules.tree import Field, Node
from overture.rules.types import Type
from overture.rules.yamltext import Mapping as YamlMapping
from overture.rules.yamltext import Scalar, Sequence, YamlNode

Redeploy = Literal["finish_on_old", "migrate", "exit"]
Reentry = tuple[Literal["never", "always", "after"], int]


@dataclass(slots=True)
class _Begun:
    """The types of fact on which actions start a journey; ``open``: also where that is not known."""

    types: frozenset[str] = frozenset()
    open: bool = False


class Journeys(Asking):
    """``inside`` makes the reader of the actions of one journey; ``uses``: what templates read, by name."""

    def __init__(
        self,
        reading: Reading,
        scope: Scope,
        inside: Callable[[Scope], Actions],
        uses: Mapping[str, Iterable[Use]],
        named: tuple[str, str],
    ) -> None:
        super().__init__(reading, scope)
        self.inside = inside
        self.uses = uses
        self.ruleset, self.revision = named
        self.knows: dict[str, Inside] = {}  # by journey, for the templates that it sends

    def read(self, node: YamlNode | None, rules: Iterable[Rule], segments: Iterable[Segment]) -> dict[str, Journey]:
        begun = _begun_by(rules, segments, node)
        found: dict[str, Journey] = {}
        broken: set[str] = set()  # where they lead cannot be told
        for name, value, key in self.entries(node, "journeys"):
            body = self.body(value, f"The journey {name!r}")
            if body is not None:
                before = len(self.report.diagnostics)
                found[name] = self.journey(name, body, key, begun.get(name))
                if any(d.severity == "error" for d in self.report.diagnostics[before:]):
                    broken.add(name)
        check_routes({name: journey for name, journey in found.items() if name not in broken}, self.report)
        return found

    def journey(self, name: str, body: YamlMapping, key: Scalar, begun: _Begun | None) -> Journey:
        self.keys(body, JOURNEY)
        self.text(body.items.get("description"), "description")
        entered = body.items.get("enter_when")
        enter, types = (None, frozenset[str]()) if is_null(entered) else self.on_facts(entered)
        if begun is None and is_null(entered):
            hint = "Add enter_when, or an action start; to retire the journey, remove it."
            self.report.add("journey.never_entered", f"Nobody can enter the journey {name!r}", key, hint)
        starts = begun or _Begun()
        known = None if starts.open else types | starts.types
        value, kind = self.key(body.items.get("key"), known, enter)
        restart, again = self.restart(body.items.get("restart_when"), Inside(types | starts.types, starts.open, kind))
        knows = self.knows[name] = Inside(types | starts.types | again, starts.open, kind)
        asking = Asking(self, self.scope.within(knows))
        goal, leave = (asking.asked(body.items.get(which), followed=True) for which in ("goal", "exit_when"))
        reentry, after = self.reentry(body.items.get("reentry"))
        redeploy = self.one_of(body.items.get("on_redeploy"), "on_redeploy", ON_REDEPLOY, ON_REDEPLOY[0])
        journey = Journey(
            name,
            self.ruleset,
            self.revision,
            Steps(self, asking.scope, self.inside(asking.scope)).read(body.items.get("steps")),
            enter,
            types,
            value,
            reentry,
            after,
            leave,
            restart,
            goal,
            cast(Redeploy, redeploy),
            place=key.place,
        )
        return replace(journey, keeps=frozenset(self.kept(journey)), edition=_edition(journey))

    def key(
        self, node: YamlNode | None, types: frozenset[str] | None, enter: Node | None
    ) -> tuple[Node | None, Type | None]:
        found = self.parsed(node, "key")
        if found is None:
            return None, None
        scalar, key = found
        present = certain(enter) if enter is not None else frozenset[object]()
        kind = check_value(key, types, self.scope, self.report, scalar.pointer, present)
        if kind.group not in ("text", "any") and kind.kind not in ("int", "number"):
            self.report.add("value.type", f"A key is a text or an int, and this is {kind}", scalar)
        elif kind.optional:
            hint = "Ask has(…) in enter_when: nobody enters without a key."
            self.report.add("value.may_be_missing", "The key may be missing", scalar, hint)
        return key, Type(kind.kind)

    def restart(self, node: YamlNode | None, knows: Inside) -> tuple[Node | None, frozenset[str]]:
        """The condition, and the facts that can begin the journey anew: their fields it may read itself."""
        found = Asking(self, self.scope.within(knows)).parsed(node)
        if found is None:
            return None, frozenset()
        scalar, when = found
        types = (fact_types(when) or frozenset()) & self.scope.facts.keys()
        scope = self.scope.within(replace(knows, types=knows.types | types))
        return when, Asking(self, scope).types(scalar, when)

    def reentry(self, node: YamlNode | None) -> Reentry:
        if isinstance(node, YamlMapping):
            after = self.text(node.items.get("after"), "after") if self.keys(node, REENTRY) else None
            return ("after", self.duration(after, "condition.duration")) if after else ("never", 0)
        said = self.one_of(node, "reentry", ("never", "always"), "never", "Or {after: 30d}, not in quotes.")
        return ("always" if said == "always" else "never"), 0

    def kept(self, journey: Journey) -> Iterable[str]:
        """The fields of the fact that began it which its expressions and the templates that it sends read."""
        for node in expressions_of(journey):
            for part in walk(node):
                if isinstance(part, Field) and part.root == "journey" and part.path[0] == "fact":
                    yield part.path[1]
        for step in journey.steps.values():
            for action in step.then if isinstance(step, Do) else ():
                for template in action.templates if isinstance(action, SendAction) else ():
                    for use in self.uses.get(template, ()):
                        if use.root == "journey" and use.name.startswith("fact."):
                            yield use.name.removeprefix("fact.")


def _edition(journey: Journey) -> str:
    return digest("journey", json.dumps(journey_told(journey), sort_keys=True, ensure_ascii=False))[:6].hex()


def _begun_by(rules: Iterable[Rule], segments: Iterable[Segment], journeys: YamlNode | None) -> dict[str, _Begun]:
    """Which facts actions start journeys on: it is known for rules only."""
    found: dict[str, _Begun] = {}
    for rule in rules:
        for action in rule.then:
            if isinstance(action, StartAction):
                begun = found.setdefault(action.journey, _Begun())
                begun.types |= rule.types
    others = [a.journey for s in segments for a in (*s.on_enter, *s.on_leave) if isinstance(a, StartAction)]
    for name in (*others, *_started(journeys)):
        found.setdefault(name, _Begun()).open = True
    return found


def _started(node: YamlNode | None) -> Iterable[str]:
    """The journeys that steps start, before these are read: what they may ask of a journey depends on it."""
    if isinstance(node, Sequence):
        for item in node.items:
            yield from _started(item)
    elif isinstance(node, YamlMapping):
        for name, value in node.items.items():
            if name == "start" and isinstance(value, Scalar):
                yield value.text
            else:
                yield from _started(value)
