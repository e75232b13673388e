"""The pure step: (contact state, fact, plan) → (new state, effects, trace).

It reads no clock, no network, no store; the same arguments give the same answer. Live traffic, tests under a virtual
clock, backtests and explanations all go through here, and nothing else decides. What time it is, the contact's own
clock says, which facts move on; ``now`` is only noted down.

Order within a step: what the fact itself says (identify, consent, outcome of a message), then the rules on it, all
against the state as it stood before the first of them acted; then the segments whose inputs changed; then, one by
one, the facts derived on the way, until nothing fires.
"""

from __future__ import annotations

from overture.decide import holdings
from overture.decide.carried import named
from overture.decide.catchup import catch_up, settle
from overture.decide.chain import chain
from overture.decide.clockwork import begin
from overture.decide.context import context_of
from overture.decide.intrinsic import apply_fact
from overture.decide.limits import MESSAGE_BYTES
from overture.decide.merge import forward, link, told
from overture.decide.plan import Plan
from overture.decide.work import Work
from overture.model import ChainTooDeep, Contact, Fact, Step, Trace


def step(contact: Contact, fact: Fact, plan: Plan, now: int) -> Step:
    """Decide one fact for one contact (a new one is ``Contact(id)``). ``contact`` itself is not changed.

    ``now`` is when this is decided, in ms; nothing but `Trace.at` depends on it.

    If derived facts do not come to rest, everything that rules did is rolled back: the trace carries the error, and
    only what the fact itself says is kept, and the segments that follow from it.
    """
    if fact.type == "$tick":
        return Step(contact, Trace(contact.seq, fact, contact.program, now), kept=False)
    if fact.type == "$link":
        return link(contact, fact, now)
    if contact.merged_into:
        return forward(contact, fact, now)
    try:
        return _decide(contact, fact, plan, now, rules=True)
    except ChainTooDeep as error:
        outcome = _decide(contact, fact, plan, now, rules=False)
        outcome.trace.error = f"{error.code}: {error.message}"
        return outcome


def _decide(before: Contact, fact: Fact, plan: Plan, now: int, *, rules: bool) -> Step:
    contact = begin(before, fact)
    work = Work(contact, fact, plan.program)
    trace = Trace(contact.seq, told(fact) if fact.type == "$merge" else fact, plan.version, now)
    if not contact.created_at:
        contact.created_at = contact.clock
    if not contact.weight:
        contact.weight = holdings.weigh(contact)
    if contact.program != plan.version:
        if before.seq:
            trace.effects = catch_up(work, plan)
        else:
            work.changed.add("*")
        contact.program = plan.version
    trace.effects += apply_fact(work, fact)
    trace.seq = contact.seq
    if rules:
        chain(work, plan, trace.firings)
    else:
        for recorder in plan.recorders.get(fact.type, ()):
            recorder.record(work, fact)
        trace.effects += settle(work, plan, "rolled_back")
    if work.messages:
        seen = context_of(contact, plan.program.scores)
        for message in work.messages:
            template = plan.program.template(message.ruleset, message.revision, message.template)
            if template is not None and contact.weight > MESSAGE_BYTES:
                message.context.update(named(seen, template))
            else:
                message.context.update(seen)
    return Step(contact, trace, work.messages, [], work.scores, work.segments)
