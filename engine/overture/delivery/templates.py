"""Templates by the revision that decided to send: a message says what its ruleset said then."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from overture.model import Message
from overture.model.pages import RenderRefused
from overture.model.pure import NO_PLUGINS, Pure
from overture.rules import Ruleset, load
from overture.rules.blocks import Unresolved, whole
from overture.rules.ruleset import TemplateDecl
from overture.state.registry import Registry

KEPT = 32  # revisions


class Templates:
    """Reads revisions from the registry, once each."""

    def __init__(self, registry: Registry, pure: Pure = NO_PLUGINS) -> None:
        """``pure``: what plugins add to the language of rulesets."""
        self._pure = pure
        self._registry = registry
        self._by_revision: dict[tuple[str, str], Ruleset | None] = {}
        self._whole: dict[tuple[str, ...], TemplateDecl] = {}

    async def get(self, message: Message) -> TemplateDecl:
        """With the blocks of other rulesets as they were at the decision. Raises RenderRefused ``template.unknown``
        where revision, template or block is gone.
        """
        ruleset = await self._ruleset(message.ruleset, message.revision)
        template = ruleset.templates.get(message.template) if ruleset is not None else None
        if ruleset is None or template is None:
            raise _unknown(message, f"no template {message.template}")
        if not template.blocks:
            return template
        pins = [name for pin in sorted(message.blocks.items()) for name in pin]
        key = (message.ruleset, message.revision, message.template, *pins)
        made = self._whole.get(key)
        if made is None:
            others = {name: await self._ruleset(name, revision) for name, revision in message.blocks.items()}
            made = _whole(message, template, ruleset, {n: other for n, other in others.items() if other is not None})
            _keep(self._whole, key, made)
        return made

    async def _ruleset(self, name: str, revision: str) -> Ruleset | None:
        key = name, revision
        if key not in self._by_revision:
            text = await self._registry.text(name, revision)
            _keep(self._by_revision, key, load(text, self._pure) if text is not None else None)
        return self._by_revision[key]


def _keep(cache: dict[Any, Any], key: tuple[str, ...], value: object) -> None:
    if len(cache) >= KEPT:
        del cache[next(iter(cache))]
    cache[key] = value


def _whole(message: Message, template: TemplateDecl, own: Ruleset, others: Mapping[str, Ruleset]) -> TemplateDecl:
    try:
        return whole(template, own, others)
    except Unresolved as error:
        raise _unknown(message, f"a template {message.template} that cannot be put together: {error}") from None


def _unknown(message: Message, what: str) -> RenderRefused:
    return RenderRefused("template.unknown", f"{message.ruleset} {message.revision} has {what}.")
