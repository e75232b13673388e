"""``$erase``: nothing is left of a contact. What comes later under the same identifiers begins anew."""

from __future__ import annotations

from overture.decide import limits
from overture.decide.merge import ranked
from overture.model import Contact, Effect, Fact, Step, Trace

ERASE = "$erase"


def erase(contact: Contact, fact: Fact, now: int) -> Step:
    """The empty contact. The trace goes nowhere: that positions have ended is for whoever counts them."""
    trace = Trace(contact.seq, fact, abs(contact.program), now)
    trace.effects = [
        Effect("journey", p.journey, limits.shown(p.key), p.step, "end:erased", "contact.unknown")
        for p in contact.journeys
    ]
    ranks = dict.fromkeys(ranked(contact))
    return Step(Contact(contact.id), trace, scores=ranks, segments=set(contact.segments), kept=False, erases=True)
