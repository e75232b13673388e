"""Small readers over positioned YAML: the right shape or a diagnostic, never an exception."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from overture.model.numbers import NUMBER_LIMIT
from overture.rules.durations import duration
from overture.rules.report import Report, did_you_mean
from overture.rules.shapes import Shape
from overture.rules.tree import Items, Literal, Node
from overture.rules.yamltext import Mapping, Scalar, Sequence, YamlNode

RULESET_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
PRIORITY_LIMIT = 1000
RULES_LIMIT = 500  # conflicts are looked for pair by pair
BLOCK_NAME = re.compile(rf"{RULESET_NAME.pattern}/{NAME.pattern}")  # of another ruleset
FIELD_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")


class Reading:
    """Readers that report to one report."""

    def __init__(self, report: Report) -> None:
        self.report = report

    def mapping(self, node: YamlNode | None, what: str) -> Mapping | None:
        """A mapping; None where there is nothing (an empty section is no mistake) or something else (reported)."""
        if isinstance(node, Mapping):
            return node
        if node is not None and not is_null(node):
            self.report.add("ruleset.shape", f"{what} is a mapping", node, "Write name: value, one a line.")
        return None

    def body(self, node: YamlNode | None, what: str) -> Mapping | None:
        """A mapping that must be there; None where there is nothing or something else (both reported)."""
        if node is not None and is_null(node):
            self.report.add("ruleset.shape", f"{what} is empty", node, "Write name: value, one a line.")
            return None
        return self.mapping(node, what)

    def entries(
        self, node: YamlNode | None, what: str, names: re.Pattern[str] = NAME
    ) -> Iterator[tuple[str, YamlNode, Scalar]]:
        """Name, value and key of each entry whose name can be used."""
        mapping = self.mapping(node, what)
        if mapping is None:
            return
        for name, value in mapping.items.items():
            key = mapping.keys[name]
            if self.name(name, key, names):
                yield name, value, key

    def name(self, name: str, where: Scalar, names: re.Pattern[str] = NAME) -> bool:
        if names.fullmatch(name):
            return True
        self.report.add("ruleset.name", f"The name {name[:80]!r} cannot be used", where, f"Names match {names.pattern}")
        return False

    def keys(self, mapping: Mapping, shape: Shape) -> bool:
        """Refuse keys that mean nothing here and miss those that must be there; True if all that must be there is."""
        for name, key in mapping.keys.items():
            if name in shape.later:
                self.not_yet(name, key)
            elif name not in shape.keys and shape.rest is None:
                hint = did_you_mean(name, shape.keys)
                self.report.add("ruleset.unknown_key", f"The key {name[:80]!r} means nothing here", key, hint)
        missing = [name for name in shape.required if name not in mapping.items]
        for name in missing:
            self.report.add("ruleset.missing_key", f"The key {name!r} is missing", mapping)
        return not missing

    def not_yet(self, what: str, key: Scalar) -> None:
        self.report.add("ruleset.not_yet", f"This version of Overture has no {what} yet", key, "Remove it.")

    def text(self, node: YamlNode | None, what: str) -> Scalar | None:
        """A text scalar; None where there is none or something else (reported)."""
        if node is None:
            return None
        if isinstance(node, Scalar) and isinstance(node.value, str):
            return node
        hint = "Put it in quotes." if isinstance(node, Scalar) and node.text else ""
        self.report.add("ruleset.shape", f"{what} is a text", node, hint)
        return None

    def duration(self, text: Scalar, code: str) -> int:
        """Milliseconds; 0 where it is no duration, or none at all (reported)."""
        ms = duration(text.text)
        if not ms:
            self.report.add(code, f"{text.text[:80]!r} is not a duration", text, "Write 30m, 12h, 7d.")
        return ms or 0

    def number(self, node: YamlNode | None, what: str) -> float | None:
        if node is None:
            return None
        if isinstance(node, Scalar) and type(node.value) in (int, float) and abs(node.value) <= NUMBER_LIMIT:  # type: ignore[arg-type,operator]
            return node.value  # type: ignore[return-value]
        self.report.add("ruleset.shape", f"{what} is a number within ±2^53", node)
        return None

    def whole(self, node: YamlNode, what: str, least: int, most: int, finding: str = "ruleset.shape") -> int | None:
        value = node.value if isinstance(node, Scalar) else None
        # JSON Schema has it that 1.0 is a whole number.
        if (type(value) is int or type(value) is float) and least <= value <= most and value == int(value):
            return int(value)
        self.report.add(finding, f"{what} is a whole number from {least} to {most}", node)
        return None

    def priority(self, node: YamlNode | None) -> int:
        return 0 if node is None else self.whole(node, "priority", -PRIORITY_LIMIT, PRIORITY_LIMIT) or 0

    def switch(self, node: YamlNode | None, what: str) -> bool:
        if node is None:
            return False
        if isinstance(node, Scalar) and type(node.value) is bool:
            return node.value
        self.report.add("ruleset.shape", f"{what} is true or false", node)
        return False

    def one_of(
        self, node: YamlNode | None, what: str, known: Collection[str], default: str = "", hint: str = ""
    ) -> str:
        """One of the known words; the default where there is none, or another (reported, with a hint)."""
        said = self.text(node, what)
        if said is not None and said.text not in known:
            hint = did_you_mean(said.text, known, hint)
            self.report.add("ruleset.shape", f"{what} is {' or '.join(known)}", said, hint)
        return said.text if said is not None and said.text in known else default

    def texts(self, node: YamlNode | None, what: str, names: re.Pattern[str] = NAME) -> list[Scalar]:
        """A list of names; a single one may stand without the list."""
        if node is None:
            return []
        items: list[YamlNode] = node.items if isinstance(node, Sequence) else [node]
        found = [text for item in items if (text := self.text(item, what))]
        return [scalar for scalar in found if self.name(scalar.text, scalar, names)]


def literal(node: YamlNode) -> Node | None:
    """A text, number, boolean, or a list of these; None for anything else."""
    if isinstance(node, Scalar):
        value = node.value
        if value is None or (type(value) in (int, float) and not abs(value) <= NUMBER_LIMIT):  # type: ignore[arg-type,operator]
            return None
        if isinstance(value, str) and len(value) > 1000:
            return None
        return Literal(value, node.place)
    if isinstance(node, Sequence) and len(node.items) <= 500:
        items = [literal(item) for item in node.items]
        if all(isinstance(item, Literal) for item in items):
            return Items(tuple(item for item in items if item is not None), node.place)
    return None


def is_null(node: YamlNode | None) -> bool:
    """Whether nothing stands there; ``null`` is nothing."""
    return node is None or (isinstance(node, Scalar) and node.value is None)
