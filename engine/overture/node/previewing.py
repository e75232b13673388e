"""Templates shown with the data of contacts, or with made-up data."""

from __future__ import annotations

import asyncio

from overture.decide.context import context_of
from overture.model import Refused
from overture.model.pages import RenderRefused
from overture.model.pure import Pure
from overture.node.reading import ContactService, RulesetService
from overture.rules import Ruleset, RulesetInvalid, load
from overture.sandbox.rendering.renderer import Renderer
from overture.trial.preview import Preview, chosen, context_for, shown, unsent
from overture.web.previewed import PreviewRequest
from overture.worker.plans import Plans


class PreviewService:
    def __init__(
        self, rulesets: RulesetService, people: ContactService, plans: Plans, renderer: Renderer, pure: Pure
    ) -> None:
        self._rulesets = rulesets
        self._people = people
        self._plans = plans
        self._renderer = renderer
        self._pure = pure

    async def preview(self, asked: PreviewRequest) -> Preview:
        """Raises Refused ``preview.malformed``, ``ruleset.unknown``, ``template.unknown``, ``contact.unknown``,
        ``preview.data``, ``block.…``; RulesetInvalid; Overloaded ``template.no_renderer``.
        """
        active = await self._plans.active()
        ruleset = await self._ruleset(asked)
        template = chosen(ruleset, asked.template, {**active.rulesets, ruleset.name: ruleset})
        known = None
        if asked.contact:
            contact = await self._people.find(asked.contact)
            if contact is None:
                raise Refused("contact.unknown", f"There is no contact {asked.contact[:80]!r}.", status=404)
            known = context_of(contact, active.scores)
        context = context_for(template, ruleset, known, asked.data)
        try:
            return shown(template, await self._renderer.render(template.page(), context))
        except RenderRefused as error:
            return unsent(template, error)

    async def _ruleset(self, asked: PreviewRequest) -> Ruleset:
        if bool(asked.document) == bool(asked.ruleset):
            hint = "Name a ruleset, or send a document."
            raise Refused("preview.malformed", "A preview is of a ruleset or of a document.", hint, status=422)
        if asked.document:
            ruleset, findings = await self._rulesets.check(asked.document)
            if ruleset is None:
                raise RulesetInvalid(findings)
            return ruleset
        revision = asked.revision or (await self._rulesets.active())[1].get(asked.ruleset)
        if revision is None:
            raise Refused("ruleset.unknown", f"No revision of {asked.ruleset[:80]} is active.", status=404)
        text = await self._rulesets.text(asked.ruleset, revision)
        return await asyncio.to_thread(load, text, self._pure)
