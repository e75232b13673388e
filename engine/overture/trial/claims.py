"""What an ``expect`` says, read from YAML."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from overture.rules.reading import Reading
from overture.rules.report import Report
from overture.rules.yamltext import Mapping, Scalar, Sequence, YamlNode, plain
from overture.trial.document import Claim, Kind, Named
from overture.trial.keys import EXPECT, MESSAGE
from overture.trial.values import named


class Claims(Reading):
    """Reads the mapping ``expect``."""

    def __init__(self, report: Report) -> None:
        super().__init__(report)
        self.values: dict[str, tuple[Kind, Callable[[YamlNode], Any]]] = {
            "traits": ("traits", plain),
            "segments": ("segments", self.flag),
            "lists": ("lists", self.flag),
            "facts": ("facts", self.occurrences),
            "issued": ("issued", self.occurrences),
            "held": ("held", self.code),
            "suppressed": ("suppressed", self.code),
        }

    def read(self, node: YamlNode) -> tuple[Claim, ...] | None:
        if plain(node) in (None, {}):
            self.report.add("test.empty", "Nothing is expected here", node, "Say what, as in scores: {lead: 10}.")
            return None
        body = self.mapping(node, "expect")
        if body is None:
            return None
        self.keys(body, EXPECT)
        return tuple(claim for name, value in body.items.items() for claim in self.about(name, value, body.keys[name]))

    def about(self, what: str, node: YamlNode, key: Scalar) -> Iterator[Claim]:
        if what in self.values:
            kind, value = self.values[what]
            for name, item, about in self.pairs(node, what):
                yield Claim(kind, (name,), value(item), item.place, about)
        elif what == "scores":
            yield from self.scores(node)
        elif what == "journey":
            yield from self.journeys(node)
        elif what == "sent":
            expected = self.sent(node)
            if expected is not None:
                yield Claim("sent", (), expected, node.place, named(key))
        elif what == "error":
            yield Claim("error", (), self.code(node), node.place, named(key))

    def pairs(self, node: YamlNode, what: str) -> Iterator[tuple[str, YamlNode, Named]]:
        body = self.body(node, what)
        if body is not None:
            for name, item in body.items.items():
                yield name, item, named(body.keys[name])

    def scores(self, node: YamlNode) -> Iterator[Claim]:
        for name, item, about in self.pairs(node, "scores"):
            if isinstance(item, Mapping):
                for key, number in item.items.items():
                    yield Claim("scores", (name, key), self.a_number(number), number.place, about)
            else:
                yield Claim("scores", (name,), self.a_number(item), item.place, about)

    def journeys(self, node: YamlNode) -> Iterator[Claim]:
        for name, item, about in self.pairs(node, "journey"):
            if isinstance(item, Mapping):
                for key, step in item.items.items():
                    yield Claim("journey", (name, key), self.code(step), step.place, about)
            else:
                yield Claim("journey", (name,), self.code(item), item.place, about)

    def a_number(self, node: YamlNode) -> float:
        return self.number(node, "A score") or 0

    def flag(self, node: YamlNode) -> bool:
        if isinstance(node, Scalar) and isinstance(node.value, bool):
            return node.value
        self.report.add("ruleset.shape", "This is true (in it) or false (not in it)", node)
        return False

    def occurrences(self, node: YamlNode) -> int | list[dict[str, Any]]:
        if isinstance(node, Scalar) and type(node.value) is int and node.value >= 0:
            return node.value
        if isinstance(node, Sequence) and all(isinstance(item, Mapping) for item in node.items):
            return [plain(item) for item in node.items]
        self.report.add("ruleset.shape", "This is how many, or a list with the properties of each", node)
        return 0

    def code(self, node: YamlNode) -> str | None:
        if isinstance(node, Scalar) and (node.value is None or isinstance(node.value, str)):
            return node.value
        self.report.add("ruleset.shape", "This is a code such as consent.missing, or null for none", node)
        return None

    def sent(self, node: YamlNode) -> list[dict[str, str]] | None:
        if not isinstance(node, Sequence):
            self.report.add("ruleset.shape", "sent is a list", node, "Write [{template: …}], or [] for nothing.")
            return None
        expected: list[dict[str, str]] = []
        for item in node.items:
            message = self.body(item, "A message")
            if message is not None:
                self.keys(message, MESSAGE)
                texts = {name: self.text(value, name) for name, value in message.items.items()}
                expected.append({name: text.text for name, text in texts.items() if text is not None})
        return expected
