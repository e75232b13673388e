"""The send gate in the step: holdout, channel, approval, quiet hours, caps. What may go now goes, the rest waits or is
left out.

It judges all messages of a step together with those that have waited until now, the most important first, so that they
compete for the slots of a cap. Where anything was asked about a message, the verdict is an effect of the kind ``gate``:
``name`` is the template, ``key`` the message, ``after`` the channel of one that passed or until when one waits, and
``before`` what stood in the way. A message that needs approval waits for that first: its quiet hours and its slots are
those of when somebody agrees.

Consent and suppression on the channel are asked right before each hand-off (`overture.delivery.gate`); here only so
that a message which cannot go takes no slot.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import tzinfo

import msgspec

from overture.decide import limits, room
from overture.decide.approvals import PENDING, WAITING, note
from overture.decide.consent import NEEDS_NO_CONSENT, consent_verdict
from overture.decide.presence import Best, best_time, joined
from overture.decide.sendtimes import covers, free_at, in_quiet, kept_until, on_the_wall, quiet_end, remembered, told
from overture.decide.work import Work
from overture.match.zone import zone_of
from overture.model import Contact, Effect, Message, Sent, Waiting
from overture.model.addresses import own_address
from overture.model.ids import digest
from overture.rules.program import Program
from overture.rules.sending import Cap, Quiet, Sending

BEST = "best.held"


class Gate:
    """What the rulesets of a program say to the gate. ``holdouts``: percent by ruleset."""

    def __init__(self, sending: Sending, holdouts: Mapping[str, int]) -> None:
        self._sending = sending
        self._holdouts = holdouts

    @classmethod
    def of(cls, program: Program) -> Gate:
        """Where no ruleset says anything, all pass that need no approval."""
        rulesets = program.rulesets.values()
        sending = next((each.sending for each in rulesets if each.sending is not None), None)
        holdouts = {each.name: each.holdout for each in rulesets if each.holdout}
        return cls(sending or Sending(), holdouts)

    def judge(self, work: Work, *, every: bool = False) -> list[Effect]:
        """Leaves in ``work.messages`` those that pass. Judges those that wait once they are due or their journey was
        left, or all with ``every`` (another program may let them go earlier).
        """
        contact = work.contact
        now = contact.clock
        due: list[Waiting] = []
        later: list[Waiting] = []
        for each in contact.waiting:
            judged = every or 0 < each.due <= now or each.message.position in work.left
            (due if judged else later).append(each)
        if not due and not work.messages:
            return []
        new = [Waiting(each, 0, "", each.expires, each.priority) for each in work.messages]
        work.touched.add(WAITING)
        contact.waiting = later
        for each in due:
            room.drop_message(contact, each)
        work.messages = []
        judging = _Judging(self._sending, self._holdouts, work, zone_of(contact))
        if contact.sent:
            contact.sent = remembered(self._sending.caps, contact.sent, now, judging.zone)
        effects: list[Effect] = []
        for each in sorted([*due, *new], key=lambda w: (-w.priority, w.message.created_at)):
            effects += judging.verdict(each)
        return effects


class _Judging:
    """One round of verdicts about messages of one contact."""

    def __init__(self, sending: Sending, holdouts: Mapping[str, int], work: Work, zone: tzinfo) -> None:
        self.sending = sending
        self.holdouts = holdouts
        self.work = work
        self.contact = work.contact
        self.now = work.contact.clock
        self.zone = zone

    def verdict(self, waiting: Waiting) -> list[Effect]:
        message = waiting.message
        if waiting.reason and message.position in self.work.left:
            return [self.refused(waiting, "journey.left", self.work.left[message.position])]
        if waiting.expires and self.now > waiting.expires:
            return [self.refused(waiting, "late.expired", on_the_wall(waiting.expires, self.zone))]
        if not waiting.reason and (reason := self.held_out(message)):
            return [self.refused(waiting, "holdout", reason)]
        chosen = message
        if not message.channel:
            channel, reason, among = self.choose(message)
            if reason:
                return [self.refused(waiting, reason, among)]
            chosen = msgspec.structs.replace(message, channel=channel)
        elif lacking := message.channel in self.sending.channels and self.lacking(message):
            return [self.refused(waiting, "channel.needs", lacking)]
        if message.approval and not waiting.approved:
            return self.put_by(waiting, chosen, waiting.expires + 1 if waiting.expires else 0, PENDING)
        sending, purpose = self.sending, message.purpose
        quiets = [each for each in sending.quiet if covers(each.purposes, purpose)]
        if message.best_ms:
            waiting, until = self.at_best(waiting, quiets)
            if until is not None:
                return self.put_by(waiting, chosen, until.at, BEST, until.because, on_the_wall(until.at, self.zone))
        caps = [each for each in sending.caps if covers(each.purposes, purpose)]
        # What goes to somebody else has nobody's quiet hours, and nobody's caps.
        timed = not message.to and bool(quiets or caps)
        if timed and (verdict := self.in_time(waiting, chosen, quiets, caps)) is not None:
            return verdict
        quiet = [] if message.to else [(each.start, each.end) for each in quiets]
        # Its own context: the one that it waited with belongs to states of before, too.
        self.work.messages.append(msgspec.structs.replace(chosen, context=dict(message.context), quiet=quiet))
        if not (timed or waiting.reason or chosen is not message):
            return []  # nothing was asked about it
        return [Effect("gate", message.template, message.id, None, chosen.channel)]

    def refused(self, waiting: Waiting, reason: str, because: str) -> Effect:
        effect = Effect("gate", waiting.message.template, waiting.message.id, because, None, reason)
        if waiting.message.approval and waiting.reason:  # it has been shown as one that waits
            note(self.work, waiting.message, effect, "dropped")
        return effect

    # --- holdout, channel --------------------------------------------------------------------------------------------

    def held_out(self, message: Message) -> str:
        """What the contact is asked for by itself, and what goes to somebody else, is no part of the comparison."""
        percent = self.holdouts.get(message.ruleset, 0)
        if not percent or message.to or message.purpose == NEEDS_NO_CONSENT:
            return ""
        out = self.work.held_out.get(message.position)  # what was drawn for a journey stays so when contacts become one
        if out is None:
            out = held_out(self.contact, message.ruleset, percent)
        return f"{percent} % of {message.ruleset}" if out else ""

    def lacking(self, message: Message) -> str:
        carried = self.sending.channels[message.channel]
        return ", ".join(need for need in sorted(message.needs) if need not in carried)

    def choose(self, message: Message) -> tuple[str, str, str]:
        """The channel; or the reason, and what it is about."""
        able = [name for name, carried in self.sending.channels.items() if carried.issuperset(message.needs)]
        if not able:
            return "", "channel.needs", ", ".join(sorted(message.needs)) or "any"
        reachable = [name for name in able if message.to or self.address(name)]
        if not reachable:
            return "", "channel.no_address", ", ".join(able)
        agreed = [name for name in reachable if message.to or not self.refusal(name, message.purpose)]
        if not agreed:
            return "", "channel.no_consent", ", ".join(reachable)
        return max(agreed, key=lambda name: self.contact.habits.get(name, 0)), "", ""

    def address(self, channel: str) -> str:
        """Empty where there is none, or it is not to be written to."""
        address = own_address(self.contact, channel) or ""
        return "" if f"{channel}:{address}" in self.contact.suppressed else address

    def refusal(self, channel: str, purpose: str) -> str:
        return consent_verdict(self.contact, channel, purpose)

    # --- the best hour -----------------------------------------------------------------------------------------------

    def at_best(self, waiting: Waiting, quiets: list[Quiet]) -> tuple[Waiting, Best | None]:
        """What it waits for; None where that has come. It is looked for once: what keeps the message later does not
        lead to another day.
        """
        message, now = waiting.message, self.now
        if waiting.timed:  # another program asks before its time
            return waiting, Best(waiting.due, "") if waiting.reason == BEST and waiting.due > now else None
        latest = min(now + message.best_ms, waiting.expires or now + message.best_ms)
        best = best_time(self.contact.presence, now, latest, message.otherwise, quiets, self.zone)
        return msgspec.structs.replace(waiting, timed=True), best if best.at > now else None

    # --- quiet hours, caps -------------------------------------------------------------------------------------------

    def in_time(self, waiting: Waiting, chosen: Message, quiets: list[Quiet], caps: list[Cap]) -> list[Effect] | None:
        """None, and counted, if it may go now; these are the quiet hours and caps of its purpose."""
        purpose = chosen.purpose
        now = next((each for each in quiets if in_quiet(each, self.now, self.zone)), None)
        if now is not None:
            return self.kept(waiting, chosen, quiet_end(quiets, self.now, self.zone), "quiet", told(now))
        if not caps or not self.address(chosen.channel) or self.refusal(chosen.channel, purpose):
            return None
        sent = self.contact.sent
        free = {cap: free_at(cap, sent, self.now, self.zone) for cap in caps}
        latest = max(caps, key=lambda cap: free[cap])
        if free[latest] > self.now:
            rules = [each.rule for each in sent if covers(latest.purposes, each.purpose)][-latest.max :]
            because = f"{told(latest)}, taken by {', '.join(dict.fromkeys(rules[-3:]))}"
            return self.kept(waiting, chosen, quiet_end(quiets, free[latest], self.zone), "cap", because)
        self.contact.sent = [*sent, Sent(self.now, purpose, chosen.channel, chosen.rule)][-limits.SENT :]
        return None

    def kept(self, waiting: Waiting, chosen: Message, until: int | None, what: str, because: str) -> list[Effect]:
        """Keep it until then, if it may wait that long."""
        reason = kept_until(until, what, waiting.expires, at_once=waiting.message.at_once)
        if reason == "late.expired":
            return [self.refused(waiting, reason, on_the_wall(waiting.expires, self.zone))]
        if until is None or reason != f"{what}.held":
            return [self.refused(waiting, reason, because)]
        return self.put_by(waiting, chosen, until, reason, because, on_the_wall(until, self.zone))

    def put_by(
        self,
        waiting: Waiting,
        chosen: Message,
        until: int,
        reason: str,
        because: str | None = None,
        after: str | None = None,
    ) -> list[Effect]:
        """Let it wait, if there is room. Nothing to tell where it did already."""
        message = waiting.message
        if message.position in self.work.left:  # the same step has sent it and ended the journey
            return [self.refused(waiting, "journey.left", self.work.left[message.position])]
        held = msgspec.structs.replace(waiting, due=until, reason=reason)
        if full := room.keep_message(self.contact, held):
            return [self.refused(waiting, full, "")]
        effects = [Effect("gate", message.template, message.id, because, after, reason)]
        if (waiting.due, waiting.reason) == (until, reason):
            effects = []
        last = _one_too_many(self.contact, held)
        if last is held:
            return [self.refused(held, "gate.full", str(limits.KEPT_MESSAGES))]
        if effects and message.approval:
            note(self.work, chosen, effects[0], "held")
        return effects if last is None else [*effects, self.refused(last, "gate.full", str(limits.KEPT_MESSAGES))]


def waits(verdict: Effect) -> bool:
    """Whether a verdict says that the message is kept until later."""
    return verdict.reason.endswith(".held") or verdict.reason == PENDING


def next_release(contact: Contact) -> int | None:
    """When the next message that waits is to be judged again."""
    return min((each.due for each in contact.waiting if each.due), default=None)


def held_out(contact: Contact, ruleset: str, percent: int) -> bool:
    """Whether the contact is one of the ``percent`` that get no message of the ruleset; the same every time."""
    share = int.from_bytes(digest("holdout", ruleset, contact.id)[:8], "big")
    return share % 100 < percent


def _one_too_many(contact: Contact, added: Waiting) -> Waiting | None:
    """Gives up the least important of those that wait, of equal ones the one that goes last, if they are too many.

    Those that somebody has to agree to are counted by themselves: nobody may ever look at them.
    """
    asked = added.reason == PENDING
    alike = [each for each in contact.waiting if (each.reason == PENDING) == asked]
    if len(alike) <= limits.KEPT_MESSAGES:
        return None
    last = min(alike, key=lambda w: (w.priority, 0 if asked else -w.due, -w.message.created_at))
    contact.waiting = [each for each in contact.waiting if each is not last]
    room.drop_message(contact, last)
    return last


def take_over(work: Work, theirs: Contact) -> list[Effect]:
    """A weaker contact's messages that wait, what it got, and its habits become this one's."""
    mine = work.contact
    effects: list[Effect] = []
    for each in theirs.waiting:
        message = msgspec.structs.replace(each.message, contact=mine.id)
        waiting = msgspec.structs.replace(each, message=message)
        if message.approval:
            waiting.due = mine.clock  # judged in this step, so that it is shown here
        full = room.keep_message(mine, waiting)
        lost = waiting if full else _one_too_many(mine, waiting)
        if lost is not None:
            reason, before = (full, "") if full else ("gate.full", str(limits.KEPT_MESSAGES))
            effects.append(Effect("gate", lost.message.template, lost.message.id, before, None, reason))
            if lost.message.approval:
                note(work, lost.message, effects[-1], "dropped")
        work.touched.add(WAITING)
    mine.sent = sorted([*mine.sent, *theirs.sent], key=lambda sent: sent.at)[-limits.SENT :]
    for channel, n in theirs.habits.items():
        room.keep_habit(mine, channel, n)
    mine.presence = joined(mine.presence, theirs.presence)
    return effects
