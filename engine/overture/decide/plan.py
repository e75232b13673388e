"""A program made ready to run: its matcher, and every action and segment condition compiled once."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from functools import partial
from typing import Literal

from overture.decide.actions import Act, compile_action
from overture.decide.approvals import WAITING
from overture.decide.choosing import CHOICES, Choosing
from overture.decide.choosing import next_count as next_result
from overture.decide.course import NOTHING
from overture.decide.examples import EXAMPLES, Learning
from overture.decide.examples import next_count as next_example
from overture.decide.exposures import EXPOSURES, next_count
from overture.decide.gatekeeping import Gate, next_release
from overture.decide.history import recorders
from overture.decide.holds import Holding
from overture.decide.joins import Joining
from overture.decide.journeys import Journeys
from overture.decide.positions import JOURNEYS, next_due
from overture.decide.visits import next_end
from overture.decide.work import Work
from overture.match import Matcher, asks_plugins, build, compile_followed, compile_value
from overture.match.clock import compile_next_change
from overture.match.nearly import NearMisses
from overture.model import Contact, Fact
from overture.rules.program import Program
from overture.rules.reach import ZONE
from overture.rules.ruleset import Rule, Segment, half_lives_of

Key = Callable[[Fact, Contact], object]


class Plan:
    """What `step` needs of the active rulesets. Immutable after construction; one thread at a time.

    ``changes`` tell when what follows the clock may change next, each with the paths it reads; ``timed`` are all those.
    Where a test of ``computed`` answers None, a function of a plugin has failed, and the segment stays as it is.
    """

    def __init__(self, program: Program, kind: Literal["durable", "reference"] = "durable") -> None:
        self.program = program
        self.kind: Literal["durable", "reference"] = kind
        self.version = program.version
        self.base = program.base
        self.types = program.types
        self.half_lives = half_lives_of(program.scores)
        self.recorders = recorders(program.series)
        self.matcher: Matcher = build(kind, program.rules)
        self.near_misses = NearMisses(program.rules_by_type)
        self.actions: dict[str, tuple[Act, ...]] = {
            rule.id: tuple(compile_action(a, program) for a in rule.then) for rule in program.rules
        }
        self.once_keys: dict[str, Key] = {
            rule.id: compile_value(rule.once.key) for rule in program.rules if rule.once and rule.once.key is not None
        }
        self.computed: list[tuple[Segment, Callable[[Fact, Contact], bool | None], frozenset[str]]] = [
            (segment, compile_followed(segment.when), program.segment_reads[segment.name])
            for segment in program.segments
            if segment.when is not None
        ]
        self.joins = {rule.id: Joining(rule, rule.join) for rule in program.rules if rule.join is not None}
        self.holdings = {rule.id: Holding(rule, program) for rule in program.whiles}
        self.following = tuple(self.holdings.values())
        self.asks_plugins = any(map(asks_plugins, program.evaluated()))
        self.sessions = program.sessions
        self.gate = Gate.of(program)
        self.journeys = Journeys.of(program)
        self.choosing = Choosing.of(program)
        self.learning = Learning.of(program)
        self.changes: list[tuple[frozenset[str], Callable[[Contact], int | None]]] = []
        self.timed: frozenset[str] = frozenset()
        self._follow_the_clock()
        self.segments: dict[str, Segment] = {segment.name: segment for segment in program.segments}
        self.applied = frozenset(s.name for s in program.segments if program.rulesets[s.ruleset].applies)
        self.edges: dict[tuple[str, bool], tuple[Act, ...]] = {}
        for segment in program.segments:
            self.edges[segment.name, True] = tuple(compile_action(a, program) for a in segment.on_enter)
            self.edges[segment.name, False] = tuple(compile_action(a, program) for a in segment.on_leave)

    def learned(self, program: Program) -> Plan:
        """The same plan for a program that differs in what was learned alone: nothing is compiled again."""
        other = copy(self)
        other.program, other.version = program, program.version
        other.choosing = None if self.choosing is None else self.choosing.learned(program)
        other.learning = None if self.learning is None else self.learning.learned(program)
        return other

    def _follow_the_clock(self) -> None:
        program = self.program
        followed = [(s.when, program.segment_reads[s.name]) for s in program.segments if s.when is not None]
        followed += [(w.when, program.while_reads[w.id]) for w in program.whiles]
        for when, reads in followed:
            if "clock" in reads:
                self._follow(reads, partial(compile_next_change(when), NOTHING))
        if (sessions := program.sessions) is not None:
            self._follow(frozenset({"clock", "sessions"}), lambda contact: next_end(contact, sessions))
        self._follow(frozenset({WAITING}), next_release)
        if self.choosing is not None:
            self._follow(frozenset({CHOICES}), next_result)
        if self.learning is not None:
            self._follow(frozenset({EXAMPLES}), next_example)
        if self.journeys is not None:
            self._follow(frozenset({JOURNEYS, ZONE}), next_due)
            if self.journeys.contested:
                self._follow(frozenset({EXPOSURES}), next_count)
            if self.journeys.reads:
                self._follow(self.journeys.reads | {JOURNEYS}, self.journeys.next_change)

    def _follow(self, reads: frozenset[str], change: Callable[[Contact], int | None]) -> None:
        self.changes.append((reads, change))
        self.timed |= reads

    def remember_firing(self, rule: Rule, fact: Fact, work: Work) -> str:
        """Remember that the rule fires, where ``once_per`` asks for it; empty, else the reason why it must not fire."""
        once = rule.once
        if once is None:
            return ""
        key_of = self.once_keys.get(rule.id)
        if key_of is None:
            return work.remember(rule.id, fact.occurred_at, once.window_ms)
        key = key_of(fact, work.contact)
        if key is None:
            return "once_per.no_key"
        return work.remember_key(rule.id, key, fact.occurred_at)
