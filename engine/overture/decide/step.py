"""The pure step: (contact state, fact, plan) → (new state, effects, trace).

It reads no clock, no network, no store; the same arguments give the same answer. Live traffic, tests under a virtual
clock, backtests and explanations all go through here, and nothing else decides. What time it is, the contact's own
clock says, which facts move on; ``now`` is only noted down.

Order within a step: first what became due until the fact's instant, in order, each at its own instant, so that it does
not matter how late anybody looks. For each of these instants, and then for the fact:

1. what an activation has changed since the contact's last fact, in silence;
2. who came to a split that looks for a winner, was shown a variant of a choice or scored by a model, and is
   to be counted now;
3. what the fact itself says (identify, consent, outcome of a message), and its place in visits;
4. the rules on it, all against the state as it stood before the first of them acted; then segments and ``while`` whose
   inputs changed; then journeys: who is on one goes on, then who may begins one; then what an app asks to be chosen;
5. the facts derived on the way, one by one, each as in 4, until nothing fires;
6. the send gate, over all messages of the step and those that have waited until now;
7. when something is due next.
"""

from __future__ import annotations

from overture.decide import choosing, examples, exposures, room
from overture.decide.approvals import APPROVAL
from overture.decide.carried import named
from overture.decide.catchup import catch_up, go_on, settle
from overture.decide.chain import chain, witness
from overture.decide.clockwork import begin, pass_time, reschedule, tick
from overture.decide.context import context_of
from overture.decide.deploys import PROGRAM, arriving, shown
from overture.decide.erasure import ERASE, erase
from overture.decide.gatekeeping import waits
from overture.decide.intrinsic import admitted, apply_fact
from overture.decide.limits import MESSAGE_BYTES, TICK_WORK, TICKS
from overture.decide.merge import forward, link, told
from overture.decide.plan import Plan
from overture.decide.visits import observe, remember_effects
from overture.decide.work import Scripts, Work
from overture.model import ChainTooDeep, Contact, Effect, Fact, Step, Trace
from overture.model.pure import noting
from overture.model.script import NO_ANSWERS, Answers


def step(contact: Contact, fact: Fact, plan: Plan, now: int, answers: Answers = NO_ANSWERS) -> Step:
    """Decide one fact for one contact (a new one is ``Contact(id)``). ``contact`` itself is not changed.

    ``now`` is when this is decided, in ms; nothing but `Trace.at` depends on it. ``answers``: of scripts. Raises
    Awaiting where it needs those of others: then nothing is decided.

    If derived facts do not come to rest, everything that rules did is rolled back: the trace carries the error, and
    only what the fact itself says is kept, and the segments that follow from it.
    """
    if fact.type == ERASE:
        return erase(contact, fact, now)
    if fact.type in (PROGRAM, APPROVAL) and not contact.seq:
        return Step(contact, Trace(0, fact, 0, now), kept=False)  # neither brings a contact into being
    if fact.type == PROGRAM or (fact.type == "$link" and fact.backfill):
        fact = arriving(contact, fact)
    scripts = Scripts(answers)
    if contact.due and contact.due <= (at := max(contact.clock, fact.instant)):
        passed = _ticks(contact, at, fact, plan, now, scripts)
        last = passed[-1].contact
        here = _arrive(last, fact, plan, now) if fact.type == "$tick" else _step(last, fact, plan, now, scripts)
        outcome = _joined(passed, here)
    elif fact.type == "$tick":
        return Step(contact, Trace(contact.seq, fact, contact.program, now), kept=False)
    else:
        outcome = _step(contact, fact, plan, now, scripts)
    if contact.due or outcome.contact.due:
        outcome.wakes = outcome.contact.wake != contact.wake
    return outcome


def _ticks(contact: Contact, at: int, root: Fact, plan: Plan, now: int, scripts: Scripts) -> list[Step]:
    """Everything due up to ``at``, one after the other. Where it is more than `TICKS` or `TICK_WORK`, the last one is
    ``at`` itself: then some instants are passed over, but the state is right.
    """
    passed: list[Step] = []
    full = False
    work = 0
    while 0 < contact.due <= at and not full:
        full = len(passed) == TICKS or work >= TICK_WORK
        outcome = _step(contact, tick(contact, at if full else contact.due, root), plan, now, scripts)
        if full:
            outcome.trace.effects.append(Effect("tick", "passed_over", reason="ticks.too_many"))
        work += len(plan.changes) + sum(len(firing.effects) for firing in outcome.trace.firings)
        contact = outcome.contact
        if not outcome.trace.tells:
            contact.seq -= 1
        passed.append(outcome)
    return passed


def _joined(passed: list[Step], outcome: Step) -> Step:
    """The outcome of a fact together with that of the instants before it."""
    outcome.ticks = [step.trace for step in passed if step.trace.tells]
    outcome.messages = [message for step in (*passed, outcome) for message in step.messages]
    outcome.records = [record for step in (*passed, outcome) for record in step.records]
    outcome.scores = {name: place for step in (*passed, outcome) for name, place in step.scores.items()}
    outcome.outcomes = [found for step in (*passed, outcome) for found in step.outcomes]
    outcome.segments = outcome.segments.union(*(step.segments for step in passed))
    return outcome


def _arrive(contact: Contact, fact: Fact, plan: Plan, now: int) -> Step:
    """A ``$tick`` after what was due: nothing else is until then, so the clock may go there."""
    contact.clock = max(contact.clock, fact.instant)
    return Step(contact, Trace(contact.seq, fact, plan.version, now))


def _step(contact: Contact, fact: Fact, plan: Plan, now: int, scripts: Scripts) -> Step:
    if fact.type == "$link":
        return link(contact, fact, now)
    if contact.merged_into:
        return forward(contact, fact, now)
    try:
        return _decide(contact, fact, plan, now, scripts, rules=True)
    except ChainTooDeep as error:
        outcome = _decide(contact, fact, plan, now, scripts, rules=False)
        outcome.trace.error = f"{error.code}: {error.message}"
        return outcome


def _decide(before: Contact, fact: Fact, plan: Plan, now: int, scripts: Scripts, *, rules: bool) -> Step:
    if not plan.asks_plugins:
        return _decided(before, fact, plan, now, scripts, rules=rules)
    with noting() as failures:
        outcome = _decided(before, fact, plan, now, scripts, rules=rules)
    outcome.trace.effects += (Effect("function", f.function, f.asker, None, f.message, f.code) for f in failures)
    return outcome


def _decided(before: Contact, fact: Fact, plan: Plan, now: int, scripts: Scripts, *, rules: bool) -> Step:
    contact = begin(before, fact)
    carried, left_out = fact, list[Effect]()
    if fact.type == PROGRAM:
        fact = shown(fact)
    elif fact.type == "identify":
        fact, left_out = admitted(contact, fact)
    work = Work(contact, fact, plan.program, plan.half_lives, scripts)
    work.choosing, work.learning = plan.choosing, plan.learning
    trace = Trace(contact.seq, told(fact) if fact.type == "$merge" else fact, plan.version, now)
    if not contact.created_at:
        contact.created_at = contact.clock
    if not contact.weight:
        contact.weight = room.weigh(contact)
    if contact.program != plan.base:
        if before.seq:
            trace.effects = _catch_up(before, work, plan, carried)
        else:
            work.changed.add("*")
        contact.program = plan.base
    elif fact.type == PROGRAM:
        trace.effects = go_on(work, plan, carried)
    if fact.type == "$tick":
        pass_time(work, plan)
    if contact.exposures:
        trace.effects += exposures.count(work)
    if contact.choices:
        trace.effects += choosing.count(work, plan.choosing)
    if contact.examples:
        examples.count(work)
    trace.effects += left_out + apply_fact(work, fact)
    trace.seq = contact.seq
    if plan.sessions is not None:
        trace.effects += observe(work, plan.sessions, fact, rules=rules)
    if rules:
        chain(work, plan, trace.firings)
        trace.effects += work.notes
        if work.telling is not None:
            remember_effects(contact, work.telling.earned)
    else:
        witness(work, plan, fact)
        given_up = [] if plan.journeys is None else plan.journeys.give_up(work)
        trace.effects += given_up + settle(work, plan, "rolled_back")
    if contact.waiting or work.messages:
        verdicts = plan.gate.judge(work, every=before.program != plan.base)
        trace.effects += verdicts
        if contact.choices:
            trace.effects += choosing.unseen(work, (e.key for e in verdicts if e.reason and not waits(e)))
    reschedule(work, plan)
    if work.messages:
        seen = context_of(contact, plan.program.scores)
        for message in work.messages:
            template = plan.program.template(message.ruleset, message.revision, message.template)
            if template is not None and contact.weight > MESSAGE_BYTES:
                message.context.update(named(seen, template))
            else:
                message.context.update(seen)
    if fact.type == PROGRAM and not trace.tells:
        contact.seq, contact.updated_at = before.seq, before.updated_at
    records, made = work.records, not before.seq
    return Step(
        contact, trace, [], work.messages, records, [], work.scores, work.segments, made=made, outcomes=work.outcomes
    )


def _catch_up(before: Contact, work: Work, plan: Plan, fact: Fact) -> list[Effect]:
    """Before the instant that has come: what is due right then is not to pass in silence."""
    contact, clock = work.contact, work.contact.clock
    if work.root.type == "$tick":
        contact.clock = max(before.clock, clock - 1)
    effects = catch_up(work, plan, fact)
    contact.clock = clock
    return effects
