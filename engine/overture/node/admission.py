"""What plugins do with facts before they are on record: who is meant, what else is known, what must not be stored."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from overture.intake import refused
from overture.intake.careful import identifiers
from overture.intake.fields import is_consent
from overture.model import Draft
from overture.model.errors import Overloaded, PluginFailed
from overture.plugin.enriching import HostedEnricher
from overture.plugin.hosted import NotAsked
from overture.plugin.presented import presented
from overture.plugin.redacting import HostedRedactor
from overture.plugin.resolving import HostedIdentity

ASKING = 32  # contacts of one request whose identity is asked for at once
PATIENCE = 5.0  # seconds that the identities of one request may take


def acceptable(draft: Draft) -> Draft:
    """The same; raises for what intake would have refused."""
    if draft.type == "consent" and not is_consent(draft.properties):
        raise refused("fact.consent_invalid")
    return msgspec.structs.replace(draft, ids=identifiers(draft.ids))


class Admitted(NamedTuple):
    """``context``: what of it the sender said, by which a repeat is known; what enrichers add may change."""

    draft: Draft
    context: dict[str, Any]


class Admission:
    """The plugins that facts pass on their way in: identity, enrichers, redactors, in this order."""

    def __init__(
        self,
        identities: Sequence[HostedIdentity] = (),
        enrichers: Sequence[HostedEnricher] = (),
        redactors: Sequence[HostedRedactor] = (),
    ) -> None:
        self._identities = identities
        self._enrichers = enrichers
        self._redactors = redactors

    async def admit(self, drafts: Sequence[Draft], source: str) -> list[Admitted | None]:
        """The drafts as they are to be stored; None for one that a redactor failed at, while it took others.

        Raises Overloaded 503: ``identity.failing``; ``redactor.failing`` where none of the drafts could be redacted, or
        a redactor is left alone for a while.
        """
        if self._identities:
            drafts = await self._identified(drafts)
        if self._enrichers:
            drafts = await self._enriched(drafts, source)
        if self._redactors:
            return self._redacted(drafts, source)
        return [self._admitted(draft) for draft in drafts]

    async def _identified(self, drafts: Sequence[Draft]) -> list[Draft]:
        """Each set of identifiers is asked for once."""
        keys = [msgspec.json.encode(draft.ids, order="sorted") for draft in drafts]
        found: dict[bytes, dict[str, Any]] = {}
        left = iter({key: draft.ids for key, draft in zip(keys, drafts, strict=True)}.items())
        try:
            async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
                for _ in range(min(ASKING, len(drafts))):
                    group.create_task(self._resolve(left, found))
        except TimeoutError:
            raise Overloaded(
                "identity.failing", "Identity plugins take too long. Nothing of the request was taken.", status=503
            ) from None
        except ExceptionGroup as errors:
            error = next(each for each in errors.exceptions)
            raise error from None
        return [
            draft if found[key] == draft.ids else msgspec.structs.replace(draft, ids=found[key])
            for key, draft in zip(keys, drafts, strict=True)
        ]

    async def _resolve(self, left: Iterator[tuple[bytes, dict[str, Any]]], found: dict[bytes, dict[str, Any]]) -> None:
        for key, ids in left:
            for identity in self._identities:
                try:
                    ids = await identity.resolve(ids)
                except PluginFailed as error:
                    raise Overloaded(
                        "identity.failing", f"{error.message} Nothing of the request was taken.", status=503
                    ) from None
            found[key] = ids

    async def _enriched(self, drafts: Sequence[Draft], source: str) -> list[Draft]:
        """What stands under an enricher's name is the enricher's word, never the sender's."""
        names = {enricher.name for enricher in self._enrichers}
        own = [
            msgspec.structs.replace(draft, context=_without(draft.context, names))
            if not names.isdisjoint(draft.context)
            else draft
            for draft in drafts
        ]
        facts = [presented(draft, source) for draft in own]
        answers = await asyncio.gather(*(enricher.about(facts) for enricher in self._enrichers))
        made: list[Draft] = []
        for i, draft in enumerate(own):
            said = {e.name: answer[i] for e, answer in zip(self._enrichers, answers, strict=True) if answer[i]}
            made.append(msgspec.structs.replace(draft, context={**draft.context, **said}) if said else draft)
        return made

    def _redacted(self, drafts: Sequence[Draft], source: str) -> list[Admitted | None]:
        made: list[Admitted | None] = []
        last: PluginFailed | None = None
        for draft in drafts:
            try:
                for redactor in self._redactors:
                    draft = redactor.redact(draft, presented(draft, source))
                made.append(self._admitted(draft))
            except NotAsked as error:  # it says nothing of this fact
                raise _unredacted(error) from None
            except PluginFailed as error:
                last = error
                made.append(None)
        if last is not None and not any(made):
            raise _unredacted(last)
        return made

    def _admitted(self, draft: Draft) -> Admitted:
        names = {enricher.name for enricher in self._enrichers}
        return Admitted(draft, draft.context if names.isdisjoint(draft.context) else _without(draft.context, names))


def _unredacted(error: PluginFailed) -> Overloaded:
    return Overloaded("redactor.failing", f"{error.message} Nothing of the request was taken.", status=503)


def _without(context: Mapping[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in context.items() if name not in names}
