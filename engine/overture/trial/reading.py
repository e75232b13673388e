"""Test documents: YAML → tests, with everything that is wrong at once. Names are looked up later, by `names`."""

from __future__ import annotations

from overture.model import Diagnostic
from overture.model.ids import IDENTIFIERS
from overture.model.pure import NO_PLUGINS, Pure
from overture.rules import Ruleset
from overture.rules.document import inspect as inspect_ruleset
from overture.rules.reading import RULESET_NAME
from overture.rules.report import Report
from overture.rules.yamltext import Sequence, YamlNode, plain, read
from overture.trial.document import Expect, Given, Knows, Trial
from overture.trial.keys import LEARNED, TEST, TEST_DOCUMENT
from overture.trial.steps import Steps
from overture.trial.values import instant, milliseconds_of, named

START = "2026-01-05T12:00:00Z"  # where the clock of a test without `at` starts: a Monday
CONTACT = "contact"  # the id of a contact that is given none


def inspect(text: str, pure: Pure = NO_PLUGINS) -> tuple[Ruleset | None, tuple[Trial, ...], list[Diagnostic]]:
    """A ruleset document and the tests in it, with every finding about both; no ruleset where there are errors.
    ``pure``: what plugins add to the language.
    """
    tests: list[Trial] = []
    ruleset, findings = inspect_ruleset(text, lambda node, report: tests.extend(_Tests(report).read(node)), pure)
    return ruleset, tuple(tests) if ruleset is not None else (), findings


def inspect_tests(text: str) -> tuple[tuple[Trial, ...], list[Diagnostic]]:
    """The tests of a document that holds nothing else, with every finding; no tests where there are errors."""
    report = Report()
    tests: list[Trial] = []
    with report.until_full():
        root = read(text, report)
        reader = _Tests(report)
        body = reader.body(root, "A test document")
        if body is not None and reader.keys(body, TEST_DOCUMENT):
            tests = reader.read(body.items["tests"])
    return () if report.failed else tuple(tests), report.ordered()


class _Tests(Steps):
    """Reads the list ``tests``."""

    def __init__(self, report: Report) -> None:
        super().__init__(report)
        self.names: set[str] = set()

    def read(self, node: YamlNode) -> list[Trial]:
        if not isinstance(node, Sequence):
            self.report.add("ruleset.shape", "tests is a list", node, "Write - name: …, once for each test.")
            return []
        return [test for item in node.items if (test := self.test(item)) is not None]

    def test(self, node: YamlNode) -> Trial | None:
        body = self.body(node, "A test")
        if body is None or not self.keys(body, TEST):
            return None
        name = self.text(body.items["name"], "name")
        at = instant(self, body.items["at"]) if "at" in body.items else milliseconds_of(START)
        given, contact = self.contact(body.items.get("contact"), at or 0)
        others = self.texts(body.items.get("rulesets"), "The name of a ruleset", RULESET_NAME)
        steps = self.steps(body.items["steps"], at or 0, contact)
        if name is None or at is None or steps is None:
            return None
        if name.text in self.names:
            self.report.add("test.name", f"There is another test named {name.text[:80]!r}", name, "Rename one.")
        self.names.add(name.text)
        if len(steps) == len(_items(body.items["steps"])) and not any(isinstance(step, Expect) for step in steps):
            self.report.add("test.empty", "The test expects nothing", name, "Add a step `expect`.")
        rulesets = tuple(named(other) for other in others)
        learned = self.learned(body.items.get("learned"))
        return Trial(name.text, at, contact, given, rulesets, tuple(steps), name.place, node.pointer, learned)

    def learned(self, node: YamlNode | None) -> tuple[Knows, ...]:
        found: list[Knows] = []
        for _, value, key in self.entries(node, "learned"):
            body = self.body(value, "What was learned")
            if body is None or not self.keys(body, LEARNED):
                continue
            intercept = self.number(body.items["intercept"], "intercept")
            given = self.mapping(body.items["weights"], "weights")
            weights = {n: self.number(w, n) for n, w in given.items.items()} if given is not None else {}
            told = {name: float(weight) for name, weight in weights.items() if weight is not None}
            found.append(Knows(named(key), float(intercept or 0), told))
        return tuple(found)

    def contact(self, node: YamlNode | None, at: int) -> tuple[Given | None, str]:
        """What is known before, and the contact's id."""
        body = self.mapping(node, "contact")
        if body is None:
            return None, CONTACT
        values = {name: plain(value) for name, value in body.items.items() if name != "consent"}
        who = {"user_id": CONTACT} | {name: value for name, value in values.items() if name in IDENTIFIERS}
        traits = {name: value for name, value in values.items() if name not in IDENTIFIERS or name == "email"}
        drafts = [self.draft({"type": "identify", "contact": who, "properties": traits}, at, body)]
        consent = self.mapping(body.items.get("consent"), "consent")
        for channel, purposes in consent.items.items() if consent else ():
            states = self.body(purposes, f"The consent on {channel!r}")
            for purpose, state in states.items.items() if states else ():
                said = {"channel": channel, "purpose": purpose, "state": plain(state)}
                drafts.append(self.draft({"type": "consent", "contact": who, "properties": said}, at, states or body))
        known = tuple(draft for draft in drafts if draft is not None)
        written = {name: named(key) for name, key in body.keys.items() if name in traits and name != "email"}
        return Given(known, written), known[0].ids["user_id"] if known else CONTACT


def _items(node: YamlNode) -> list[YamlNode]:
    return node.items if isinstance(node, Sequence) else []
