"""Templates by the revision that decided to send: a message says what its ruleset said then."""

from __future__ import annotations

from overture.delivery.render import RenderRefused
from overture.model import Message
from overture.model.pure import NO_PLUGINS, Pure
from overture.rules import load
from overture.rules.ruleset import TemplateDecl
from overture.state.registry import Registry

KEPT = 32  # revisions


class Templates:
    """Reads revisions from the registry, once each."""

    def __init__(self, registry: Registry, pure: Pure = NO_PLUGINS) -> None:
        """``pure``: what plugins add to the language of rulesets."""
        self._pure = pure
        self._registry = registry
        self._by_revision: dict[tuple[str, str], dict[str, TemplateDecl]] = {}

    async def get(self, message: Message) -> TemplateDecl:
        """Raises RenderRefused ``template.unknown`` where revision or template is gone."""
        key = message.ruleset, message.revision
        templates = self._by_revision.get(key)
        if templates is None:
            text = await self._registry.text(*key)
            templates = dict(load(text, self._pure).templates) if text is not None else {}
            if len(self._by_revision) >= KEPT:
                del self._by_revision[next(iter(self._by_revision))]
            self._by_revision[key] = templates
        template = templates.get(message.template)
        if template is None:
            raise RenderRefused(
                "template.unknown", f"{message.ruleset} {message.revision} has no template {message.template}."
            )
        return template
