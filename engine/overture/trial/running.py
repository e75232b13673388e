"""Running one test: the same pure step as on the server, under a clock that only the test moves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

from overture.decide import Plan, step
from overture.decide.asked import step_asking
from overture.delivery.gate import verdict
from overture.delivery.links import examples
from overture.model import Contact, Draft, Fact, Message
from overture.model.addresses import own_address
from overture.model.pages import RenderRefused
from overture.model.script import Ask, unavailable
from overture.rules import link
from overture.sandbox.rendering.atonce import renderer_now
from overture.trial.coverage import Covered
from overture.trial.document import Advance, Expect, Given, Show, Trial
from overture.trial.happening import Happening, Ways, note_ways
from overture.trial.judging import judge
from overture.trial.results import Failure, Outcome
from overture.trial.text import shown

Addresses = Mapping[str, Callable[[Contact], str | None]]
"""Channel → the contact's own address on it."""


class Run:
    """One test on its way."""

    def __init__(
        self, trial: Trial, plan: Plan, addresses: Addresses, covered: Covered, ask: Ask = unavailable
    ) -> None:
        self.ask = ask  # scripts
        self.trial = trial
        self.plan = plan
        self.addresses = addresses
        self.covered = covered
        self.clock = trial.at
        self.contact = Contact(trial.contact)
        self.since = Happening()
        self.ways: Ways = {}
        self.taken: set[str] = set()
        self.steps = 0

    def outcome(self) -> Outcome:
        """Run it to its end, or to the first ``expect`` that does not hold."""
        trial = self.trial
        if trial.given is not None:
            self._know(trial.given)
        failures: list[Failure] = []
        for each in trial.steps:
            self.steps += 1
            match each:
                case Show():
                    self._show(each)
                case Advance():
                    self._advance(each.to)
                case Expect():
                    failures = self._failures(each)
                    if failures:
                        break
                    self.since = Happening()
        if not failures and self.since.errors:
            failures = [self._rolled_back(trial.place.line, trial.place.column)]
        told = self.since.told() if failures else []
        return Outcome(trial.name, not failures, trial.place.line, trial.place.column, self.steps, failures, told)

    def _know(self, given: Given) -> None:
        """What is given was said when nothing was active; then a deploy brings the contact up to date, silently."""
        for n, draft in enumerate(given.drafts):
            self.contact = step(self.contact, self._fact(draft, f"given-{n}"), _nothing(), self.clock).contact
        deploy = Fact("given", "$given", self.contact.id, self.clock, self.clock)
        self.contact = step_asking(self.contact, deploy, self.plan, self.clock, self.ask).contact

    def _show(self, show: Show) -> None:
        draft = show.draft
        if draft.id in self.taken:
            return  # the log takes a fact once
        self.taken.add(draft.id)
        self._decide(self._fact(draft, draft.id if draft.dedupe else f"fact-{self.steps}", show.backfill))

    def _advance(self, to: int) -> None:
        """What became due on the way happens each at its own instant; `step` sees to that."""
        self.clock = to
        self._decide(Fact(f"tick:{to}", "$tick", self.contact.id, to, to))

    def _fact(self, draft: Draft, id: str, backfill: bool = False) -> Fact:
        at = self.clock if draft.occurred_at is None else draft.occurred_at
        properties, context = draft.properties, draft.context
        return Fact(id, draft.type, self.contact.id, at, self.clock, properties, context, draft.ids, backfill)

    def _decide(self, fact: Fact) -> None:
        outcome = step_asking(self.contact, fact, self.plan, self.clock, self.ask)
        if not outcome.kept:
            return
        self.contact = outcome.contact
        self.since.add(outcome)
        note_ways(outcome, self.ways)
        self.covered.note(outcome)
        for message in outcome.messages:
            self._hand_over(message)

    def _hand_over(self, message: Message) -> None:
        """As delivery does: the gate, then the template; what passes both is sent."""
        address_of = self.addresses.get(message.channel)
        own = address_of(self.contact) if address_of else own_address(self.contact, message.channel)
        allowed = verdict(message, self.contact, own, message.created_at)  # handed over as soon as it is decided
        if not allowed.passed:
            self.since.dropped.append((message.template, allowed.reason))
            return
        template = self.plan.program.template(message.ruleset, message.revision, message.template)
        assert template is not None  # the checker lets no other be sent
        try:
            context = {**message.context, "links": {} if message.to else examples()}
            rendered = renderer_now().render(template.page(), context)
        except RenderRefused as error:
            self.since.dropped.append((message.template, error.code))
            return
        self.since.sent.append(
            {
                "channel": message.channel,
                "template": message.template,
                "purpose": message.purpose,
                "to": message.to or own or "",
                "rule": message.rule,
                "subject": rendered.subject,
                "text": rendered.text,
                "html": rendered.html,
            }
        )

    def _failures(self, expect: Expect) -> list[Failure]:
        found = [judge(claim, self.contact, self.since, self.plan, self.clock, self.ways) for claim in expect.claims]
        failures = [failure for failure in found if failure is not None]
        if self.since.errors and all(claim.kind != "error" for claim in expect.claims):
            failures.append(self._rolled_back(expect.place.line, expect.place.column))
        return failures

    def _rolled_back(self, line: int, column: int) -> Failure:
        return Failure(line, column, "error", "null", shown(self.since.errors[0]))


@cache
def _nothing() -> Plan:
    """The plan of no rulesets at all."""
    return Plan(link([], 0), "reference")
