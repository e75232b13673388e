"""The working copy of one contact during one step: what rules change goes through it, so it is recorded."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from overture.decide import limits, room
from overture.decide.joins import Links
from overture.decide.limits import shown
from overture.model import Contact, Delivery, Effect, Fact, Held, Issued, Message, Position
from overture.model.decay import place, ranking, raw, remaining, tidy
from overture.model.example import Outcome
from overture.model.ids import digest, issued_code
from overture.model.numbers import NUMBER_LIMIT
from overture.model.script import Answers
from overture.rules.program import Program
from overture.rules.reach import ZONE

if TYPE_CHECKING:  # it is made of what actions are compiled by, and they work here
    from overture.decide.choosing import Choosing
    from overture.decide.examples import Learning


class Visit(NamedTuple):
    """A visit whose end is told. ``fired``: the rules that did something on it before, when it looked otherwise."""

    session: str
    fired: frozenset[str]


class Telling:
    """What rules do on the end of visits, noted down in case it has to be undone.

    ``visits`` has the facts that tell of one, and those derived from them. ``repeated``: the rule that acts has done so
    before on this visit.
    """

    def __init__(self) -> None:
        self.visits: dict[str, Visit] = {}
        self.earned: dict[str, list[Held]] = {}
        self.ledger: list[Held] | None = None  # of the rule that acts
        self.repeated = False

    def begin(self, visit: Visit, rule: str) -> None:
        """A rule is about to act."""
        self.ledger = self.earned.setdefault(visit.session, [])
        self.repeated = rule in visit.fired
        if not self.repeated:
            self.ledger.append(Held("rule", rule))

    def pause(self) -> None:
        self.ledger, self.repeated = None, False


class Scripts:
    """What scripts have answered, and how many were asked in this step, on all that was due before the fact too."""

    __slots__ = ("answers", "asked")

    def __init__(self, answers: Answers) -> None:
        self.answers = answers
        self.asked = 0


class Work:
    """A contact being changed by one fact, as of its clock.

    ``changed`` collects the paths that conditions of segments and of ``while`` may read; ``*`` stands for any.
    """

    __slots__ = (
        "changed",
        "choosing",
        "contact",
        "counts",
        "current",
        "derived",
        "edges",
        "effects",
        "half_lives",
        "held_out",
        "learning",
        "left",
        "links",
        "messages",
        "moved",
        "notes",
        "outcomes",
        "position",
        "program",
        "queue",
        "records",
        "root",
        "scores",
        "scripts",
        "segments",
        "starts",
        "telling",
        "touched",
    )

    def __init__(
        self,
        contact: Contact,
        root: Fact,
        program: Program,
        half_lives: Mapping[str, int],
        scripts: Scripts,
    ) -> None:
        self.scripts = scripts
        self.contact = contact
        self.root = root
        self.program = program
        self.half_lives = half_lives  # of the scores that decay, in ms
        self.choosing: Choosing | None = None  # the choices of the program
        self.learning: Learning | None = None  # its models
        self.outcomes: list[tuple[str, Outcome]] = []  # examples of which it is known now what came, by model
        self.current = root  # the fact being shown to the rules: the cause of what is derived
        self.edges: list[tuple[str, bool]] = []  # segments entered or left by actions, not yet followed up
        self.changed: set[str] = set()
        self.touched: set[str] = set()  # all that was in `changed`, and what only instants to come depend on
        self.scores: dict[str, float | None] = {}  # the contact's new places in rankings
        self.segments: set[str] = set()
        self.messages: list[Message] = []
        self.moved = False  # to another zone: the waits of journeys still go by the clocks of the one before
        self.records: list[Delivery] = []  # of messages that need approval and have not passed the gate
        self.queue: list[Fact] = []
        self.starts: list[tuple[str, Fact]] = []  # journeys that actions want begun, each with the fact they acted on
        self.position: Position | None = None  # of the journey whose step acts
        self.left: dict[str, str] = {}  # positions that ended before their last step, or began anew: id → how
        self.held_out: dict[str, bool] = {}  # of positions that acted, by id: whether their messages are left out
        self.telling: Telling | None = None  # where the end of a visit is told
        self.derived = 0  # bytes of what rules derived
        self.effects = 0  # that rules had in this step, firings among them
        self.links = Links()
        self.notes: list[Effect] = []  # rules that did not get to act, each with the reason
        self.counts: dict[str, int] = {}

    @property
    def repeated(self) -> bool:
        """Whether the rule that acts has done so before, on the same visit: what is out is not sent again."""
        return self.telling is not None and self.telling.repeated

    def number(self, what: str) -> int:
        """0, 1, 2 … for each thing of one kind in this step: makes its id deterministic."""
        n = self.counts.get(what, 0)
        self.counts[what] = n + 1
        return n

    # --- traits, lists, consent ---------------------------------------------------------------------------------

    def set_trait(self, name: str, value: Any) -> Effect | None:
        """Set a trait (None removes it); None if nothing changes."""
        before = self.contact.traits.get(name)
        if before == value and type(before) is type(value):
            return None
        if value is None:
            room.drop_trait(self.contact, name)
        elif reason := room.keep_trait(self.contact, name, value):
            return Effect("set", shown(name), reason=reason)
        self.changed.add(path := f"traits.{name}")
        self.moved = self.moved or path == ZONE
        self.derive_change("trait.changed", {"name": name, "before": before, "after": value})
        return Effect("unset" if value is None else "set", name, "", shown(before), shown(value))

    def move_list(self, name: str, add: bool) -> Effect | None:
        lists = self.contact.lists
        if (name in lists) == add:
            return None
        if add:
            lists[name] = self.contact.clock
        else:
            del lists[name]
        self.changed.add(f"lists.{name}")
        return Effect("list", name, "", not add, add)

    def set_consent(self, channel: str, purpose: str, state: str) -> Effect:
        before = self.contact.consent.get(channel, {}).get(purpose)
        if reason := room.keep_consent(self.contact, channel, purpose, state):
            return Effect("consent", channel, purpose, reason=reason)
        return Effect("consent", channel, purpose, before, state)

    # --- scores and segments ------------------------------------------------------------------------------------

    def set_score(self, name: str, key: str, value: float) -> Effect | None:
        """Set a score as of the clock, held within its declared bounds; None if nothing changes that anyone can see.

        One that would leave ±2^53, or has no room for its key, stays as it is, and the effect says why. Scores are kept
        to a millionth, those that decay without rounding.
        """
        contact = self.contact
        half_life = self.half_lives.get(name, 0)
        before = self.score(name, key)
        after = value
        if decl := self.program.scores.get(name):
            if decl.maximum is not None:
                after = min(after, decl.maximum)
            if decl.minimum is not None:
                after = max(after, decl.minimum)
        if not is_finite(after) or abs(after) > NUMBER_LIMIT:
            return Effect("score", name, shown(key), reason="value.too_large")
        if not half_life:
            after = tidy(after)
        if after == before:
            return None
        kept = contact.scores.get(name)
        if key:
            keyed = kept if type(kept) is dict else {}
            if key not in keyed and (reason := room.admit_key(contact, keyed, key)):
                return Effect("score", name, shown(key), reason=reason)
            keyed[key] = after
            contact.scores[name] = keyed
        else:
            contact.scores[name] = after
            if type(kept) is dict:  # it was kept per key before a deploy
                contact.weight = room.weigh(contact)
        self.scores[ranking(name, key)] = place(after, contact.clock, half_life)
        if self.telling is not None and self.telling.ledger is not None:
            self.telling.ledger.append(Held("score", name, key, after - before, None, contact.clock))
        self.changed.add(f"scores.{name}")
        if half_life:
            self._stamp(name, key)
            before, after = tidy(before), tidy(after)
            if before == after:
                return None
        self.derive_change("score.changed", {"name": name, "key": key or None, "before": before, "after": after})
        return Effect("score", name, key, before, after)

    def add_score(self, name: str, key: str, amount: float, since: int) -> Effect | None:
        """`set_score` to what it is and ``amount`` more. Where it decays, what was earned earlier has decayed too."""
        if abs(amount) > NUMBER_LIMIT:
            return Effect("score", name, shown(key), reason="value.too_large")
        if name in self.half_lives:
            amount = remaining(amount, since, self.contact.clock, self.half_lives[name])
        return self.set_score(name, key, self.score(name, key) + amount)

    def score(self, name: str, key: str) -> float:
        """As of the clock, not rounded."""
        if name in self.half_lives:
            return raw(self.contact, name, key, self.contact.clock, self.half_lives[name])
        value = self.contact.scores.get(name, 0)
        if type(value) is dict:
            return value.get(key, 0) if key else 0
        return 0 if key else value  # type: ignore[return-value]

    def _stamp(self, name: str, key: str) -> None:
        stamps, clock = self.contact.stamps, self.contact.clock
        if not key:
            stamps[name] = clock
            return
        keyed = stamps.get(name)
        if type(keyed) is not dict:
            keyed = stamps[name] = {}
        keyed[key] = clock

    def move_segment(self, name: str, enter: bool) -> Effect | None:
        segments = self.contact.segments
        if (name in segments) == enter:
            return None
        if enter:
            segments[name] = self.contact.clock
        else:
            del segments[name]
        self.segments.add(name)
        self.edges.append((name, enter))
        self.changed.add(f"segments.{name}")
        self.derive_change("segment.entered" if enter else "segment.left", {"name": name})
        return Effect("segment", name, "", not enter, enter)

    # --- codes and derived facts --------------------------------------------------------------------------------

    def issue(self, rule: str, kind: str, properties: dict[str, Any]) -> list[Effect]:
        code = issued_code(self.root.contact, self.root.id, rule, self.number(f"issue {rule}"))
        kept = room.keep_code(self.contact, Issued(kind, code, self.root.id, self.contact.clock, properties))
        left_out = [Effect("issue", kind, name, reason=room.FULL) for name in properties if not kept.properties]
        return [Effect("issue", kind, code, None, _shown(kept.properties)), *left_out]

    def derive(self, rule: str, cause: Fact, type: str, properties: dict[str, Any], length: int) -> Effect:
        """``length``: the `size` of the properties together."""
        if self.derived + length > limits.DERIVED_BYTES:
            return Effect("assert", type, reason="step.too_large")
        self.derived += length
        fact = self._derived(f"{self.root.id}:{rule}:{self.number(f'assert {rule}')}", type, properties, cause)
        if self.telling is not None and cause.id in self.telling.visits:
            self.telling.visits[fact.id] = self.telling.visits[cause.id]
        return Effect("assert", type, fact.id, None, properties if length <= limits.SHOWN_BYTES else _shown(properties))

    def derive_change(self, type: str, properties: dict[str, Any]) -> None:
        """Feed a state change back as a fact, if some rule listens to such facts."""
        if type in self.program.types:
            self._derived(f"{self.root.id}~{self.number('change')}", type, properties, self.current)

    def derive_end(self, visit: Visit, type: str, properties: dict[str, Any], at: int) -> None:
        """Tell of the end of a visit, as of ``at``."""
        cause = msgspec.structs.replace(self.root, occurred_at=at)
        fact = self._derived(f"{self.root.id}~{self.number('change')}", type, properties, cause)
        if self.telling is None:
            self.telling = Telling()
        self.telling.visits[fact.id] = visit

    def _derived(self, id: str, type: str, properties: dict[str, Any], cause: Fact) -> Fact:
        at, root = cause.occurred_at, self.root
        fact = Fact(id, type, root.contact, at, root.accepted_at, properties, {}, {}, root.backfill, "", "", cause.id)
        self.queue.append(fact)
        return fact

    # --- once_per -----------------------------------------------------------------------------------------------

    def remember(self, rule: str, at: int, window_ms: int) -> str:
        """Empty and remembered if the rule may fire at ``at``, else the reason. A window counts by occurred_at, from
        each firing to both sides: late and recorded facts come in any order.
        """
        fired = room.firings(self.contact, rule)
        if not window_ms:
            if fired:
                return "once_per.contact"
        elif any(abs(at - each) < window_ms for each in fired):
            return "once_per.window"
        elif len(fired) == limits.FIRINGS and at < fired[0]:
            return "once_per.forgotten"
        room.remember_firings(self.contact, rule, [at])
        return ""

    def remember_key(self, rule: str, key: Any, at: int) -> str:
        text = key_text(key)
        seen = self.contact.fired.get(rule)
        if type(seen) is dict and text in seen:
            return "once_per.key"
        room.remember(self.contact, rule, {text: at})
        return ""


def key_text(key: Any) -> str:
    """Under what a value of a ``once_per`` key is remembered."""
    return key if type(key) is str and len(key) <= 40 else digest(type(key).__name__, str(key))[:12].hex()


def _shown(properties: dict[str, Any]) -> dict[str, Any]:
    return {name: shown(value) for name, value in properties.items()}


def is_finite(value: Any) -> bool:
    """A finite number; a boolean is none."""
    return type(value) is int or (type(value) is float and math.isfinite(value))
