"""Choices: which variant a contact is shown, and whether that was a success. Pure, so that a replay shows the same.

What was learned is in the program, by the version at the fact's place in the log; the draw follows from that and from
the fact's id. A contact keeps its variant. Each impression counts once, when its time is over, whatever came of it, as
the outcomes of splits do (`overture.decide.exposures`); one that nobody saw, as the gate kept its message, does not.

An effect of the kind ``choice`` (``name``: its id, ``key``: the variant) has the version in ``before``, and in
``after`` the ``propensity`` of what was drawn, and whether it was ``kept`` from before. One of the kind ``result`` has
edition and propensity in ``before``, and in ``after`` what came of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from msgspec.structs import replace

from overture.decide import limits
from overture.decide.course import NOTHING
from overture.match import compile_condition
from overture.model import Contact, Effect, Fact
from overture.model.artefact import Artefact, Posterior, digest
from overture.model.chosen import Impression
from overture.model.sampler import beliefs, best_of, drawn, shares
from overture.rules.program import Program
from overture.rules.ruleset import Choice

if TYPE_CHECKING:
    from overture.decide.work import Work

CHOICES = "choices"
"""The path that changes where an impression is to be counted."""

REACHED, MISSED = "reached", "missed"
WITHDRAWN = "choice.withdrawn"
MADE = "choice.made"

Test = Callable[[Fact, Contact], bool]


def learned_as(choice: str) -> str:
    """Under which name an artefact says what was learned for a choice (its id)."""
    return f"choice:{choice}"


class Sampler:
    """What is known of the variants of a choice, and how often each is shown."""

    def __init__(self, choice: Choice, artefact: Artefact | None) -> None:
        known = artefact if isinstance(artefact, Posterior) and artefact.edition == choice.edition else None
        arms = known.arms if known is not None else {}
        self.version = digest(known) if known is not None else ""
        self.variants = tuple(each.name for each in choice.variants)
        self.explore = choice.explore
        self.beliefs = beliefs([arms.get(name, (0.0, 0.0)) for name in self.variants])
        best = known.best if known is not None else {}
        self._best = tuple(best[name] for name in self.variants) if best.keys() == {*self.variants} else None

    def shares(self, among: tuple[int, ...]) -> tuple[float, ...]:
        """Of these variants, by number."""
        if self._best is not None and len(among) == len(self.variants):
            return shares(self._best, self.explore)
        return shares(best_of(tuple(self.beliefs[i] for i in among)), self.explore)


class Chooser:
    """One choice compiled."""

    def __init__(self, choice: Choice, artefact: Artefact | None) -> None:
        self.choice = choice
        self.id = choice.id
        self.key = f"{choice.id}#{choice.edition}"
        self.reaches: Test = compile_condition(choice.goal)
        self.tests = tuple(None if each.when is None else compile_condition(each.when) for each in choice.variants)
        self.sampler = Sampler(choice, artefact)

    def learned(self, artefact: Artefact | None) -> Chooser:
        other = object.__new__(Chooser)
        other.choice, other.id, other.key = self.choice, self.id, self.key
        other.reaches, other.tests = self.reaches, self.tests
        other.sampler = Sampler(self.choice, artefact)
        return other

    def among(self, contact: Contact) -> tuple[int, ...]:
        """The variants that it may be shown, by number."""
        return tuple(i for i, test in enumerate(self.tests) if test is None or test(NOTHING, contact))

    def show(self, work: Work, message: str = "") -> Effect:
        """The variant for the contact now, remembered; ``message``: the id of the one that carries it."""
        contact, names = work.contact, self.sampler.variants
        among = self.among(contact)
        if not among:
            return Effect("choice", self.id, reason="choice.none_eligible")
        kept = self._kept(contact, {names[i] for i in among})
        if kept is None:
            parts = self.sampler.shares(among)
            at = drawn(parts, work.root.contact, work.root.id, self.key)
            due = contact.clock + self.choice.within_ms
            messages = [message] if message else []
            shown = Impression(
                self.key, names[among[at]], contact.clock, due, parts[at], self.sampler.version, messages
            )
            contact.choices.append(shown)
            _bound(contact)
            work.touched.add(CHOICES)
        else:
            shown = contact.choices[kept]
            if message:
                messages = [*shown.messages, message][-limits.CARRIED :] if shown.messages else []
                shown = contact.choices[kept] = replace(shown, messages=messages)
        work.derive_change(MADE, {"choice": self.choice.name, "variant": shown.variant, "message": message or None})
        after = {"propensity": shown.propensity, "kept": kept is not None, "edition": self.choice.edition}
        return Effect("choice", self.id, shown.variant, shown.version or None, after)

    def _kept(self, contact: Contact, among: set[str]) -> int | None:
        """Where the contact has the impression whose variant it keeps."""
        keep = self.choice.keep_ms
        for i, each in enumerate(contact.choices):
            if each.choice == self.key and each.variant in among and not 0 < keep <= contact.clock - each.at:
                return i
        return None


class Choosing:
    """All choices of a program. ``older``: those of revisions on whose journeys contacts are still to finish."""

    def __init__(self, active: Mapping[str, Chooser], older: Mapping[tuple[str, str], Chooser]) -> None:
        self.active = active
        self.older = older
        self.goals: dict[str, Chooser] = {asked.key: asked for asked in (*older.values(), *active.values())}
        self.types = frozenset[str]().union(*(asked.choice.types for asked in self.goals.values()))

    @classmethod
    def of(cls, program: Program) -> Choosing | None:
        """None where there are none: then no fact pays for them."""
        if not program.choices and not program.older_choices:
            return None
        learned = program.learned
        active = {id: Chooser(choice, learned.get(learned_as(id))) for id, choice in program.choices.items()}
        older = {key: Chooser(c, learned.get(learned_as(c.id))) for key, c in program.older_choices.items()}
        return cls(active, older)

    def learned(self, program: Program) -> Choosing:
        """The same for a program that differs in what was learned alone."""

        def again(asked: Chooser) -> Chooser:
            return asked.learned(program.learned.get(learned_as(asked.id)))

        active = {id: again(asked) for id, asked in self.active.items()}
        return Choosing(active, {key: again(asked) for key, asked in self.older.items()})

    def find(self, ruleset: str, revision: str, name: str) -> Chooser | None:
        """As a revision has it; None where it no longer decides."""
        id = f"{ruleset}/{name}"
        active = self.active.get(id)
        return active if active is not None and active.choice.revision == revision else self.older.get((id, revision))

    def named(self, name: str) -> Chooser | str:
        """The active choice of that name or id; else why there is none."""
        if (known := self.active.get(name)) is not None:
            return known
        found = [asked for asked in self.active.values() if asked.choice.name == name]
        return found[0] if len(found) == 1 else "choice.ambiguous" if found else "choice.unknown"

    def see(self, work: Work, fact: Fact) -> None:
        """What came of the impressions so far. What a mail program's proxy does is nobody's success, nor is what
        happened to another message than those that carried the variant.
        """
        contact, properties = work.contact, fact.properties
        if fact.type not in self.types or properties.get("machine") is True:
            return
        message = properties.get("message")
        for i, each in enumerate(contact.choices):
            if each.reached or each.counted or not each.at <= fact.occurred_at or contact.clock >= each.due:
                continue
            if each.messages and type(message) is str and message not in each.messages:
                continue
            asked = self.goals.get(each.choice)
            if asked is not None and fact.type in asked.choice.types and asked.reaches(fact, contact):
                contact.choices[i] = replace(each, reached=True)


def asked_for(work: Work, choosing: Choosing | None) -> list[Effect]:
    """What an app asked with the fact: a variant of each choice, or why there is none."""
    effects: list[Effect] = []
    for name in work.root.choices:
        found = choosing.named(name) if choosing is not None else "choice.unknown"
        if isinstance(found, str) or work.root.backfill:
            effects.append(Effect("choice", name, reason=found if isinstance(found, str) else "backfill"))
        else:
            effects.append(found.show(work))
    return effects


def count(work: Work, choosing: Choosing | None) -> list[Effect]:
    """Those whose time is over: each counts with what it has come to. Not one whose choice has another goal now."""
    contact, effects = work.contact, list[Effect]()
    for each in [each for each in contact.choices if not each.counted and each.due <= contact.clock]:
        choice, _, edition = each.choice.rpartition("#")
        work.touched.add(CHOICES)
        if choosing is None or each.choice not in choosing.goals:
            effects.append(_withdrawn(contact, each))
            continue
        came_to = REACHED if each.reached else MISSED
        before = {"edition": edition, "propensity": each.propensity}
        effects.append(Effect("result", choice, each.variant, before, came_to))
        contact.choices[contact.choices.index(each)] = replace(each, counted=True)
    return effects


def next_count(contact: Contact) -> int | None:
    """When the first of them counts."""
    return min((each.due for each in contact.choices if not each.counted), default=None)


def unseen(work: Work, messages: Iterable[str]) -> list[Effect]:
    """Messages that will not go: what only they carried was shown to nobody."""
    contact, effects = work.contact, list[Effect]()
    for message in messages:
        for each in [each for each in contact.choices if message in each.messages]:
            if len(each.messages) == 1 and not each.counted:
                effects.append(_withdrawn(contact, each))
                work.touched.add(CHOICES)
    return effects


def take_over(work: Work, theirs: Contact) -> list[Effect]:
    """Of who becomes known count all that it was shown, here or there; of two at the same time the first."""
    contact, effects = work.contact, list[Effect]()
    if not theirs.choices:
        return effects
    both, contact.choices = sorted([*contact.choices, *theirs.choices], key=lambda each: (each.at, each.variant)), []
    running: dict[str, Impression] = {}
    for each in both:
        first = running.get(each.choice)
        if first is not None and each.at < first.due:
            reached = first.reached or each.reached
            running[each.choice] = merged = replace(first, reached=reached, counted=first.counted or each.counted)
            contact.choices[contact.choices.index(first)] = merged
            if not (first.counted and each.counted):
                effects.append(_told_withdrawn(first if each.counted else each))
            continue
        running[each.choice] = each
        contact.choices.append(each)
    _bound(contact)
    work.touched.add(CHOICES)
    return effects


def _withdrawn(contact: Contact, impression: Impression) -> Effect:
    contact.choices.remove(impression)
    return _told_withdrawn(impression)


def _told_withdrawn(impression: Impression) -> Effect:
    choice, _, edition = impression.choice.rpartition("#")
    return Effect("choice", choice, impression.variant, edition, None, WITHDRAWN)


def _bound(contact: Contact) -> None:
    del contact.choices[: -limits.SHOWN_VARIANTS]
