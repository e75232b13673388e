"""Why and why not: finds the moment that is asked about, in the record if it is there, and gives an account of it."""

from __future__ import annotations

from collections.abc import Callable

from overture.model import Contact, Refused, Trace, clock
from overture.model.clock import to_text
from overture.node import account, underway
from overture.node.account import Lasting, Scene
from overture.node.reading import shown
from overture.node.shown import of_choice
from overture.records import Found, Moment, Past, Sight
from overture.rules.program import Program
from overture.rules.report import did_you_mean
from overture.rules.ruleset import Rule
from overture.state.contacts import TIMELINE, Contacts
from overture.state.outbox import Outbox
from overture.state.samples import RuleSamples
from overture.web.explained import ExplainQuery, Explanation, Samples, SamplesQuery, SampleView
from overture.web.shapes import FactView
from overture.worker.plans import Plans

Types = Callable[[Program], frozenset[str]]
Find = Callable[[Program], Lasting | None]

GONE = "What this contact was at that moment is no longer recorded; shown is the contact as it is now."
DIFFERS = "What is recorded does not lead to what was decided then; shown is the contact as it is now."


class ExplainService:
    """Implements `overture.web.services.Explanations`."""

    def __init__(self, contacts: Contacts, outbox: Outbox, plans: Plans, past: Past, samples: RuleSamples) -> None:
        self._contacts = contacts
        self._outbox = outbox
        self._plans = plans
        self._past = past
        self._samples = samples

    async def explain(self, contact: Contact, query: ExplainQuery) -> Explanation:
        """Raises Refused ``explain.question``; 404 ``rule.unknown``, ``segment.unknown``, ``journey.unknown``,
        ``choice.unknown``, ``fact.unknown``.
        """
        if [bool(each) for each in (query.rule, query.segment, query.journey, query.choice)].count(True) != 1:
            message = "The question is about one rule, one segment, one journey or one choice."
            raise Refused("explain.question", message, "Pass rule, segment, journey or choice.")
        active = await self._plans.active()
        contact = contact.copy()
        contact.clock = max(contact.clock, clock.now())  # what decays and what a window holds, as of this moment
        if query.choice:
            return of_choice(contact, f"{query.ruleset}/{query.choice}" if query.ruleset else query.choice, active)
        if query.segment:
            explanation = await self._lasting(contact, query, active, _segment_in(query))
        elif query.journey:
            explanation = await self._journey(contact, query, active)
        else:
            explanation = await self._rule(contact, query, active)
        ids = [e.key for e in explanation.effects if e.kind == "send" and not e.reason]
        timeline = await self._contacts.timeline(contact.id, None, TIMELINE) if ids or query.segment else []
        if query.segment:
            ids = list(dict.fromkeys([*ids, *account.sent_at(query.segment, timeline)]))
        found = {d.message.id: shown(d) for d in await self._outbox.find_all(ids)} if ids else {}
        for verdict in account.verdicts([id for id in ids if id not in found], timeline):
            found[verdict["id"]] = verdict
        return account.with_messages(explanation, [found[id] for id in ids if id in found])

    async def samples(self, rule: str, query: SamplesQuery) -> Samples:
        """Some of the last decisions of a rule. Raises Refused 404 ``rule.unknown``."""
        active = await self._plans.active()
        if all(known.id != rule for known in (*active.rules, *active.whiles)):
            raise _unknown_rule(rule, active)
        found = await self._samples.newest(rule, query.outcome, query.limit)
        return Samples([SampleView(s.contact, s.fact, to_text(s.at), s.failed) for s in found])

    # --- rules -----------------------------------------------------------------------------------------------------

    async def _rule(self, contact: Contact, query: ExplainQuery, active: Program) -> Explanation:
        id = _rule_id(query, active)
        if _while_in(id)(active) is not None:
            return await self._lasting(contact, query, active, _while_in(id))
        now = _rule_of(active, id)
        if now is None and not query.fact:
            raise _unknown_rule(id, active)

        def types(program: Program) -> frozenset[str]:
            rule = _rule_of(program, id) or now
            return rule.types if rule is not None else frozenset()

        if query.fact:
            found = await self._past.of_fact(contact.id, query.fact)
        else:
            found = await self._past.newest(contact.id, types)
        scene = await self._scene(contact, query.fact, found, types)
        if scene is None:
            assert now is not None or query.fact
            return _nothing(contact, id, query, found, sorted(types(active)), active)
        rule = _rule_of(scene.program, id) or now
        if rule is None:
            raise _unknown_rule(id, active)
        return account.of_rule(contact.id, id, rule, scene, active)

    async def _scene(self, contact: Contact, id: str, found: Found, types: Types) -> Scene | None:
        """The moment as it was, if the record leads there; as far as the timeline has it otherwise."""
        timeline = await self._contacts.timeline(found.contact, None, TIMELINE)
        if found.moment is not None:
            sight = _sight(found.moment, id, types(found.moment.program))
            trace = found.moment.trace_of(sight.fact.id)
            kept = next((t for t in timeline if t.fact.id == trace.fact.id and t.seq == trace.seq), None)
            if not found.missing and (kept is None or _same(kept, trace)):
                after = found.moment.step.contact if trace is found.moment.step.trace else _after(sight, trace)
                return Scene(sight.fact, sight.contact, after, trace, found.moment.program, found.contact)
        if id:
            traces = [t for t in timeline if t.fact.id == id or any(f.fact == id for f in t.firings)]
        else:
            traces = [t for t in timeline if t.fact.type in types(await self._plans.program(t.program))]
        if not traces:
            return None
        trace = traces[0]
        note = GONE if found.missing or found.moment is None else DIFFERS
        program = await self._plans.program(trace.program)
        return Scene(trace.fact, contact, contact, trace, program, found.contact, note)

    # --- journeys --------------------------------------------------------------------------------------------------

    async def _journey(self, contact: Contact, query: ExplainQuery, active: Program) -> Explanation:
        """With ``fact``: what became of it there. Otherwise where it stands, how it ended, why it never began."""
        asked = f"{query.ruleset}/{query.journey}" if query.ruleset else query.journey
        known = {*active.journeys, *contact.ended, *(position.journey for position in contact.journeys)}
        id = underway.journey_id(asked, known, active)
        timeline = await self._contacts.timeline(contact.id, None, TIMELINE)
        if not query.fact and any(position.journey == id for position in contact.journeys):
            return underway.of_standing(contact, id, active, timeline)
        end = None if query.fact else underway.last_end(id, timeline)
        now = active.journey(id)

        def types(program: Program) -> frozenset[str]:
            journey = program.journey(id) or now
            return journey.enter_types if journey is not None else frozenset()

        if end is not None:
            found = await self._past.of_fact(contact.id, end[1])
            return underway.of_end(contact, id, active, end, await self._scene(contact, end[1], found, _none))
        if not query.fact and contact.ended.get(id):
            return underway.of_end(contact, id, active, None, None)
        if query.fact:
            found = await self._past.of_fact(contact.id, query.fact)
        else:
            found = await self._past.newest(contact.id, types)
        scene = await self._scene(contact, query.fact, found, types)
        if scene is None and query.fact:
            raise _unknown_fact(query.fact, found)
        journey = now if scene is None else scene.program.journey(id) or now
        if journey is None:
            raise underway.unknown_journey(id, active)
        if scene is None:
            return underway.nothing(contact, id, journey, active)
        return underway.of_entry(contact, id, journey, scene, active)

    # --- segments, and rules with `while` --------------------------------------------------------------------------

    async def _lasting(self, contact: Contact, query: ExplainQuery, active: Program, find: Find) -> Explanation:
        scene: Scene | None = None
        program = active
        if query.fact:
            found = await self._past.of_fact(contact.id, query.fact)
            scene = await self._scene(contact, query.fact, found, _none)
            if scene is None:
                raise _unknown_fact(query.fact, found)
            program = scene.program
        now = find(active)
        what = find(program) or now
        if what is None:
            names = sorted({s.name for s in (*program.segments, *active.segments)})
            message = f"No active ruleset declares the segment {query.segment}."
            raise Refused("segment.unknown", message, did_you_mean(query.segment, names), status=404)
        moved = None if scene is not None else await self._last_move(contact, what)
        return account.of_lasting(contact, what, scene, moved, None if now is None else now.revision)

    async def _last_move(self, contact: Contact, what: Lasting) -> Trace | None:
        traces = await self._contacts.timeline(contact.id, None, TIMELINE)
        return next((trace for trace in traces if what.moves(trace)), None)


def _segment_in(query: ExplainQuery) -> Find:
    def find(program: Program) -> Lasting | None:
        found = [s for s in program.segments if s.name == query.segment and query.ruleset in ("", s.ruleset)]
        return Lasting.of(found[0]) if found else None

    return find


def _while_in(id: str) -> Find:
    def find(program: Program) -> Lasting | None:
        found = [rule for rule in program.whiles if rule.id == id]
        return Lasting.of(found[0]) if found else None

    return find


def _none(_: Program) -> frozenset[str]:
    return frozenset()


def _rule_of(program: Program, id: str) -> Rule | None:
    return next((rule for rule in program.rules if rule.id == id), None)


def _rule_id(query: ExplainQuery, active: Program) -> str:
    """``ruleset/name``. Raises Refused ``rule.ambiguous``, ``rule.unknown``."""
    if "/" in query.rule:
        return query.rule
    if query.ruleset:
        return f"{query.ruleset}/{query.rule}"
    ids = [rule.id for rule in (*active.rules, *active.whiles) if rule.name == query.rule]
    if not ids:
        raise _unknown_rule(query.rule, active)
    if len(ids) > 1:
        message = f"Several rules are called {query.rule}: {', '.join(ids)}."
        raise Refused("rule.ambiguous", message, "Write ruleset/rule.")
    return ids[0]


def _unknown_rule(name: str, active: Program) -> Refused:
    ids = sorted(rule.id for rule in (*active.rules, *active.whiles))
    return Refused("rule.unknown", f"No active ruleset has the rule {name}.", did_you_mean(name, ids), status=404)


def _unknown_fact(id: str, found: Found) -> Refused:
    message = f"No fact {id} was decided for this contact"
    if found.missing:
        message += ", as far as it is still recorded"
    hint = "GET /v1/contacts/{id}/timeline lists the last ones; one just accepted is decided a moment later."
    return Refused("fact.unknown", f"{message}.", hint, status=404)


def _nothing(
    contact: Contact, id: str, query: ExplainQuery, found: Found, types: list[str], active: Program
) -> Explanation:
    """There is no moment to explain. Raises Refused ``fact.unknown``."""
    if query.fact and found.set_aside is None:
        raise _unknown_fact(query.fact, found)
    if found.set_aside is not None:
        outcome, sentence = "set_aside", "Nothing could decide this fact: it was set aside in the dead letters."
    else:
        kind = " or ".join(types)
        recorded = " as far as it is still recorded" if found.missing else ""
        outcome, sentence = "no_fact", f"No fact of type {kind} was ever decided for this contact{recorded}."
    ruleset = active.rulesets.get(id.partition("/")[0])
    return Explanation(
        contact=contact.id,
        decided_for=contact.id,
        rule=id,
        segment="",
        outcome=outcome,
        sentence=sentence,
        state="now",
        fact=None if found.set_aside is None else FactView.of(found.set_aside),
        active_revision=None if ruleset is None else ruleset.revision,
    )


def _sight(moment: Moment, id: str, types: frozenset[str]) -> Sight:
    """Of what the rules were shown at that moment, what the question is about."""
    root = moment.recorded.fact
    asked = next((s for s in moment.shown if s.fact.id == id), None)
    if asked is not None and (asked.fact.type in types or id != root.id):
        return asked
    fired = {firing.fact for firing in moment.step.trace.firings}
    listened = [s for s in moment.shown if s.fact.type in types]
    listened.sort(key=lambda s: s.fact.id in fired)
    if listened:
        return listened[-1]
    return asked or Sight(root, moment.step.contact)


def _after(sight: Sight, trace: Trace) -> Contact:
    """In which segments a contact was when a moment on the way to another fact was over."""
    after = sight.contact.copy()
    for effect in trace.all_effects:
        if effect.kind == "segment" and effect.after:
            after.segments[effect.name] = after.clock
        elif effect.kind == "segment":
            after.segments.pop(effect.name, None)
    return after


def _same(kept: Trace, again: Trace) -> bool:
    """Whether what was decided then is what comes out now."""
    return (kept.program, kept.firings, kept.error) == (again.program, again.firings, again.error)
