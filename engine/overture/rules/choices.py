"""The section ``choices``: variants of content, of which those are shown more often that do better."""

from __future__ import annotations

from dataclasses import replace

from overture.model.ids import digest
from overture.rules.asking import Asking
from overture.rules.condition import check_inside
from overture.rules.durations import DAY
from overture.rules.keys import CHOICE, EXPLORE, VARIANT, VARIANTS
from overture.rules.reading import Reading, is_null
from overture.rules.ruleset import Choice, Variant
from overture.rules.scope import Scope
from overture.rules.spelling import spell
from overture.rules.tree import Node, Place
from overture.rules.yamltext import Mapping, Sequence, YamlNode

DEFAULT_EXPLORE = 0.05
LONGEST = 366 * DAY


class Choices(Asking):
    """``ruleset`` and ``revision`` are the document's."""

    def __init__(self, reading: Reading, scope: Scope, ruleset: str, revision: str) -> None:
        super().__init__(reading, scope)
        self.ruleset = ruleset
        self.revision = revision

    def read(self, node: YamlNode | None) -> dict[str, Choice]:
        found: dict[str, Choice] = {}
        for name, value, key in self.entries(node, "choices"):
            body = self.body(value, f"The choice {name!r}")
            if body is not None and (choice := self.choice(name, body, key.place)) is not None:
                found[name] = choice
        return found

    def choice(self, name: str, body: Mapping, place: Place) -> Choice | None:
        whole = self.keys(body, CHOICE)
        self.text(body.items.get("description"), "description")
        variants = self.variants(body.items["variants"]) if "variants" in body.items else ()
        goal, types = self.on_facts(body.items.get("goal"))
        within, keep = (self.span(body, which) for which in ("within", "keep"))
        if keep and keep < within:
            message = "A contact would get another variant before it is known what came of the first"
            self.report.add("choice.bounds", message, body.keys["keep"], "Let it keep it for `within` at least.")
        explore = self.number(body.items.get("explore"), "explore")
        if explore is not None and not EXPLORE[0] <= explore <= EXPLORE[1]:
            message = f"explore is from {EXPLORE[0]:g} to {EXPLORE[1]:g}"
            self.report.add("choice.bounds", message, body.items["explore"], "Write 0.05: one in twenty.")
        if not whole or goal is None:
            return None
        explored = DEFAULT_EXPLORE if explore is None else float(explore)
        choice = Choice(name, self.ruleset, self.revision, variants, goal, types, within, explored, keep, place=place)
        return replace(choice, edition=digest("choice", spell(goal), str(within))[:6].hex())

    def variants(self, node: YamlNode) -> tuple[Variant, ...]:
        found: list[Variant] = []
        if isinstance(node, Sequence):
            named = self.texts(node, "Each of variants")
            twice = next((each for i, each in enumerate(named) if each.text in {n.text for n in named[:i]}), None)
            if twice is not None:
                self.report.add(
                    "choice.variants", f"There are two variants {twice.text!r}", twice, "Rename one of them."
                )
            found = [Variant(each.text) for each in named]
        else:
            for name, value, _ in self.entries(node, "variants"):
                body = None if is_null(value) else self.mapping(value, f"The variant {name!r}")
                if body is not None:
                    self.keys(body, VARIANT)
                found.append(Variant(name, None if body is None else self.over_contact(body.items.get("if"))))
        if not VARIANTS[0] <= len(found) <= VARIANTS[1]:
            message = f"A choice has {VARIANTS[0]} to {VARIANTS[1]} variants, and this has {len(found)}"
            self.report.add("choice.variants", message, node)
        return tuple(found)

    def over_contact(self, node: YamlNode | None) -> Node | None:
        """Whom a variant may be shown: it is the same question whichever fact comes."""
        found = self.parsed(node, roots=("contact",))
        if found is None:
            return None
        scalar, when = found
        check_inside(when, self.scope, self.report, scalar.pointer)
        return when

    def span(self, body: Mapping, which: str) -> int:
        """In ms; 0 where it is not said."""
        text = self.text(body.items.get(which), which)
        ms = self.duration(text, "condition.duration") if text else 0
        if text and which == "within" and ms > LONGEST:
            self.report.add(
                "choice.bounds", "What came of it would be known after more than a year", text, "At most 366d."
            )
        return ms
