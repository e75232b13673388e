"""What an ``expect`` says, read from YAML."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from overture.rules.reading import Reading
from overture.rules.report import Report
from overture.rules.yamltext import Mapping, Scalar, Sequence, YamlNode
from overture.trial.document import Claim, Kind
from overture.trial.values import plain

MESSAGE_KEYS = ("channel", "template", "purpose", "to", "rule", "subject", "text", "html")
"""What can be said of a message: ``to`` is where it went; ``text`` and ``html`` are a part of its body."""


class Claims(Reading):
    """Reads the mapping ``expect``."""

    def __init__(self, report: Report) -> None:
        super().__init__(report)
        self.readers: dict[str, Callable[[YamlNode], Iterator[Claim]]] = {
            "scores": self.scores,
            "traits": lambda node: self.each("traits", node, plain),
            "segments": lambda node: self.each("segments", node, self.flag),
            "lists": lambda node: self.each("lists", node, self.flag),
            "sent": self.sent,
            "facts": lambda node: self.each("facts", node, self.occurrences),
            "issued": lambda node: self.each("issued", node, self.occurrences),
            "suppressed": lambda node: self.each("suppressed", node, self.code),
            "error": lambda node: iter([_claim("error", (), self.code(node), node)]),
        }

    def read(self, node: YamlNode) -> tuple[Claim, ...] | None:
        if plain(node) in (None, {}):
            self.report.add("test.empty", "Nothing is expected here", node, "Say what, as in scores: {lead: 10}.")
            return None
        body = self.mapping(node, "expect")
        if body is None:
            return None
        if "journey" in body.keys:
            self.not_yet("journeys", body.keys["journey"])
        self.keys(body, (*self.readers, "journey"))
        found = (
            claim for kind, reader in self.readers.items() if kind in body.items for claim in reader(body.items[kind])
        )
        return tuple(sorted(found, key=lambda claim: (claim.place.line, claim.place.column)))

    def each(self, kind: Kind, node: YamlNode, value: Callable[[YamlNode], Any]) -> Iterator[Claim]:
        body = self.body(node, kind)
        for name, item in body.items.items() if body else ():
            yield _claim(kind, (name,), value(item), item)

    def scores(self, node: YamlNode) -> Iterator[Claim]:
        body = self.body(node, "scores")
        for name, item in body.items.items() if body else ():
            if isinstance(item, Mapping):
                for key, number in item.items.items():
                    yield _claim("scores", (name, key), self.a_number(number), number)
            else:
                yield _claim("scores", (name,), self.a_number(item), item)

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

    def sent(self, node: YamlNode) -> Iterator[Claim]:
        if not isinstance(node, Sequence):
            self.report.add("ruleset.shape", "sent is a list", node, "Write [{template: …}], or [] for nothing.")
            return
        expected: list[dict[str, str]] = []
        for item in node.items:
            message = self.body(item, "A message")
            if message is not None:
                self.keys(message, MESSAGE_KEYS)
                texts = {name: self.text(value, name) for name, value in message.items.items()}
                expected.append({name: text.text for name, text in texts.items() if text is not None})
        yield _claim("sent", (), expected, node)


def _claim(kind: Kind, path: tuple[str, ...], expected: Any, node: YamlNode) -> Claim:
    return Claim(kind, path, expected, node.place, node.pointer)
