"""Several active rulesets as one program: what decides, indexed. `linking` makes it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from overture.model.artefact import Artefact
from overture.rules.blocklink import Whole
from overture.rules.form import Form
from overture.rules.journey import Journey, Split, Way, expressions_of
from overture.rules.learning import Model
from overture.rules.ruleset import (
    Choice,
    ListDecl,
    Rule,
    Ruleset,
    ScoreDecl,
    Segment,
    Sessions,
    TemplateDecl,
    While,
    values_of,
)
from overture.rules.series import SeriesDecl, Since
from overture.rules.tree import Node

Winners = Mapping[str, tuple[str, str]]
"""Of splits (``ruleset/journey.split``) that have a winner: the edition of the journey, and the name of the way."""
Learned = Mapping[str, Artefact]


@dataclass(frozen=True, slots=True)
class Program:
    """The linked active rulesets. Immutable; the same for every fact until the next activation.

    ``rules`` fire in their order: priority, highest first, then ruleset, then name. ``segments`` come after those that
    they read. ``segment_reads`` has, for each segment with a condition, the paths whose change can change it:
    ``scores.lead`` ``traits.country`` ``segments.vip`` ``lists.news`` ``id`` ``history.<series>``, and ``clock``.
    ``while_reads`` has the same by the id of the rule. ``series``: what contacts must remember of their facts, by id.
    ``since``: since when they do; one that is not there, always. ``types`` are those that rules, series or journeys are
    about. ``journeys`` are those of the active revisions, by id; ``older`` those of earlier revisions, by id and
    revision, on which contacts are still to finish, and ``older_rulesets`` what declared them, by name and revision.

    ``choices`` and ``older_choices`` are like ``journeys`` and ``older``.

    ``learned``: artefacts by the name of what they were learned for (``ruleset/model``); one of another edition than
    that now has decides nothing. ``base``: the version since which all but that is the same.

    ``whole``: the templates that have blocks, with these in them.

    In all conditions and values of a program a score that decays is a `Decaying`; in ``rulesets`` it is as written.
    """

    version: int
    rulesets: Mapping[str, Ruleset]
    rules: tuple[Rule, ...]
    rules_by_type: Mapping[str, tuple[Rule, ...]]
    segments: tuple[Segment, ...]
    segment_reads: Mapping[str, frozenset[str]]
    scores: Mapping[str, ScoreDecl]
    lists: Mapping[str, ListDecl]
    types: frozenset[str]
    whiles: tuple[While, ...]
    while_reads: Mapping[str, frozenset[str]]
    series: Mapping[str, SeriesDecl]
    sessions: Sessions | None
    since: Mapping[str, Since]
    journeys: Mapping[str, Journey]
    older: Mapping[tuple[str, str], Journey]
    older_rulesets: Mapping[tuple[str, str], Ruleset]
    forms: Mapping[str, Form]
    winners: Winners
    learned: Learned
    base: int
    choices: Mapping[str, Choice]
    older_choices: Mapping[tuple[str, str], Choice]
    models: Mapping[str, Model]
    whole: Whole

    def journey(self, id: str, revision: str = "") -> Journey | None:
        """As a revision has it; as the active one does where none is named."""
        active = self.journeys.get(id)
        return active if active is not None and revision in ("", active.revision) else self.older.get((id, revision))

    def evaluated(self) -> Iterator[Node]:
        """Every expression that is evaluated while facts are decided, those over past facts too."""
        journeys = (*self.journeys.values(), *self.older.values())
        choices = (*self.choices.values(), *self.older_choices.values())
        yield from expressions(self.rules, self.whiles, self.segments, journeys, choices, self.models.values())
        yield from (decl.key.where for decl in self.series.values() if decl.key.where is not None)

    def winner(self, journey: Journey, split: Split) -> Way | None:
        """The way of a split that has won: of this edition of the journey, otherwise it is another question."""
        edition, name = self.winners.get(f"{journey.id}.{split.id}", ("", ""))
        ways = split.ways if split.contest is not None and edition == journey.edition else ()
        return next((way for way in ways if way.name == name), None)

    def template(self, ruleset: str, revision: str, name: str) -> TemplateDecl | None:
        """A template of a revision that decides, whole; None where it no longer does or has no such template."""
        found = self.rulesets.get(ruleset)
        if found is None or found.revision != revision:
            found = self.older_rulesets.get((ruleset, revision))
        template = found.templates.get(name) if found is not None else None
        return self.whole.get((ruleset, revision, name)) if template is not None and template.blocks else template


def expressions(
    rules: Iterable[Rule],
    whiles: Iterable[While],
    segments: Iterable[Segment],
    journeys: Iterable[Journey],
    choices: Iterable[Choice],
    models: Iterable[Model],
) -> Iterator[Node]:
    """Every expression that is evaluated while facts are decided."""
    for rule in rules:
        yield rule.when
        if rule.once is not None and rule.once.key is not None:
            yield rule.once.key
        if rule.join is not None:
            yield from (part.relation for part in rule.join.parts if part.relation is not None)
    for rule in whiles:
        yield rule.when
    for segment in segments:
        if segment.when is not None:
            yield segment.when
    for then in (
        *(r.then for r in rules),
        *(w.then for w in whiles),
        *(e for s in segments for e in (s.on_enter, s.on_leave)),
    ):
        for action in then:
            yield from values_of(action)
    for journey in journeys:
        yield from expressions_of(journey)
    for choice in choices:
        yield from choice.conditions
    for model in models:
        yield model.predict
        yield from model.features.values()
