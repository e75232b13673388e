"""A ruleset document: text → checked `Ruleset`, with everything that is wrong with it at once."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256

from overture.model.errors import Diagnostic, Refused
from overture.model.pure import NO_PLUGINS, Pure
from overture.rules import lint
from overture.rules.actionparts import Declared
from overture.rules.actions import Actions
from overture.rules.behaviour import Behaviour
from overture.rules.choices import Choices
from overture.rules.conflicts import check_derived, check_traits, segment_order
from overture.rules.echoes import check_echoes
from overture.rules.feedback import check_feedback
from overture.rules.forms import Forms
from overture.rules.journeys import Journeys
from overture.rules.keys import ON_ACTIVATE, RULESET
from overture.rules.models import Models
from overture.rules.program import expressions
from overture.rules.reading import NAME, RULESET_NAME, Reading
from overture.rules.report import Report, RulesetInvalid
from overture.rules.ruleset import Ruleset
from overture.rules.scope import Scope
from overture.rules.scripts import Scripts
from overture.rules.sections import Sections
from overture.rules.sendingdoc import SendingReader
from overture.rules.sends import Sends, senders
from overture.rules.series import RULESET_SERIES, beyond
from overture.rules.shadows import check_shadowed
from overture.rules.yamltext import Mapping, YamlNode, normalise, read


def load(text: str, pure: Pure = NO_PLUGINS) -> Ruleset:
    """The ruleset that a YAML or JSON document describes. ``pure``: what plugins add to the language.

    Raises `RulesetInvalid`, with every diagnostic, if anything is wrong with it; nothing else.
    """
    ruleset, diagnostics = inspect(text, pure=pure)
    if ruleset is None:
        raise RulesetInvalid(diagnostics)
    return ruleset


def require_name(ruleset: Ruleset, name: str) -> None:
    """Raises Refused ``ruleset.name_differs`` where the ruleset is not called what it was asked for by."""
    if ruleset.name != name:
        raise Refused(
            "ruleset.name_differs",
            f"The document says name: {ruleset.name}, the address says {name}.",
            "Make them equal.",
            "/name",
            422,
        )


def inspect(
    text: str, tests: Callable[[YamlNode, Report], None] | None = None, pure: Pure = NO_PLUGINS
) -> tuple[Ruleset | None, list[Diagnostic]]:
    """The ruleset, None where there are errors; and every diagnostic by line, warnings included.

    ``tests`` reads the section of that name, which says nothing about what the ruleset does. ``pure``: see `load`.
    """
    report = Report()
    ruleset: Ruleset | None = None
    with report.until_full():
        root = read(text, report)
        if root is not None:
            ruleset = _ruleset(root, normalise(text), report, pure)
            if tests is not None and isinstance(root, Mapping) and "tests" in root.items:
                tests(root.items["tests"], report)
    return (None if report.failed else ruleset), report.ordered()


def revision_of(text: str) -> str:
    """The content hash that names a revision: 16 hexadecimal digits, the same for every kind of line end."""
    return sha256(normalise(text).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _ruleset(root: YamlNode, text: str, report: Report, pure: Pure) -> Ruleset | None:
    reading = Reading(report)
    if not isinstance(root, Mapping):
        report.add("ruleset.shape", "A ruleset is a mapping", root, "Begin with apiVersion: overture/v1.")
        return None
    name, revision = _frame(root, reading), revision_of(text)
    scope = Scope(pure=pure, owner=name)
    sections = Sections(root, scope, reading)
    computed = _declare_segments(root.items.get("segments"), scope, report)
    scripts = Scripts(reading, scope, computed)
    scripts.read(root.items.get("scripts"))
    sections.read_templates(scripts)
    choices = Choices(reading, scope, name, revision).read(root.items.get("choices"))
    models = Models(reading, scope)
    models.read(root.items.get("models"), scripts.named)
    declared = Declared(
        frozenset(sections.requires.get("channels", ())),
        sections.scores,
        sections.lists,
        sections.templates,
        computed,
        scripts,
        _names(root.items.get("journeys")),
        {**dict.fromkeys(_names(root.items.get("choices"))), **choices},
        models,
    )
    behaviour = Behaviour(reading, scope, Actions(reading, scope, declared), name, revision)
    ways = Journeys(reading, scope, lambda inner: Actions(reading, inner, declared), sections.uses, (name, revision))
    sending = SendingReader(reading.report)
    rules, whiles = behaviour.rules(root.items.get("rules"))
    segments = behaviour.segments(root.items.get("segments"))
    journeys = ways.read(root.items.get("journeys"), rules, segments.values())
    scripts.check()
    ordered = len(segment_order(segments, report)) == len(segments)
    if check_derived(rules, segments.values(), report) and ordered:
        check_feedback(rules, segments.values(), whiles, report)
    check_traits(rules, whiles, report)
    check_shadowed(rules, report)
    check_echoes(rules, journeys, report)
    if extra := beyond(
        expressions(rules, whiles, segments.values(), journeys.values(), choices.values(), models.declared.values()),
        RULESET_SERIES,
    ):
        message = f"The ruleset asks for more than {RULESET_SERIES} series"
        hint = "Ask for fewer fact types, fields and `where`; the window makes no difference. Or split the ruleset."
        report.at("history.too_many", message, extra.place, "", hint)
    Sends(sections.uses, scope, report).check(senders(rules, segments.values(), journeys, ways.knows))
    sent = lint.actions_of(rules, segments.values(), journeys, ways.knows)
    lint.of_leaving(sections.templates, sections.places, sent, report)
    return Ruleset(
        name,
        revision,
        text,
        sections.facts,
        sections.traits,
        sections.scores,
        sections.lists,
        segments,
        rules,
        sections.templates,
        sections.requires,
        whiles,
        sections.sessions,
        sections.places,
        reading.one_of(root.items.get("on_activate"), "on_activate", ON_ACTIVATE) == "apply",
        journeys,
        sending.sending(root),
        sending.holdout(root.items.get("holdout")),
        Forms(report, scope, sections.places).read(root.items.get("forms")),
        scripts.declared,
        choices,
        models.declared,
        sections.blocks,
    )


def _frame(root: Mapping, reading: Reading) -> str:
    """Check apiVersion, kind and the keys; the ruleset's name."""
    report = reading.report
    reading.keys(root, RULESET)
    reading.text(root.items.get("description"), "description")
    kind, version = (
        reading.text(root.items.get("kind"), "kind"),
        reading.text(root.items.get("apiVersion"), "apiVersion"),
    )
    if kind and kind.text != "Ruleset":
        report.add("ruleset.kind", f"This is a {kind.text[:80]!r}, not a Ruleset", kind, "Write kind: Ruleset.")
    if version and version.text != "overture/v1":
        message = f"The version {version.text[:80]!r} is not known"
        report.add("ruleset.api_version", message, version, "Write apiVersion: overture/v1.")
    name = reading.text(root.items.get("name"), "name")
    return name.text if name and reading.name(name.text, name, RULESET_NAME) else ""


def _names(node: YamlNode | None) -> frozenset[str]:
    return frozenset(node.items) if isinstance(node, Mapping) else frozenset()


def _declare_segments(node: YamlNode | None, scope: Scope, report: Report) -> frozenset[str]:
    """Make the segments' names known before any condition is read; those with a condition of their own."""
    computed: set[str] = set()
    if isinstance(node, Mapping):
        for name, value in node.items.items():
            if not NAME.fullmatch(name):
                continue
            if name in scope.segments:
                report.add(
                    "link.duplicate",
                    f"The segment {name!r} is required and declared",
                    node.keys[name],
                    "Do one of the two.",
                )
            scope.segments.add(name)
            if isinstance(value, Mapping) and "when" in value.items:
                computed.add(name)
    return frozenset(computed)
