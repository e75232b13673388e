"""The plugins of this process as the routes see them: what they offer, the sources that are open, what was refused."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from overture.model import Refused, clock
from overture.node.hooked import Seen
from overture.node.reporting import about, message_of, of_none
from overture.plugin.breaker import Breaker
from overture.plugin.host import HostedChannel
from overture.plugin.listening import HostedPush
from overture.plugin.manager import PluginManager
from overture.plugin.sources import Posted
from overture.state.outbox import Outbox
from overture.state.refusals import Refusal, Refusals, shown
from overture.state.words import Words
from overture.web.plugged import OfferView, PluginView, RefusalView, Trouble, Unwanted


class Running(NamedTuple):
    """What is open, as people look at it."""

    state: str
    trouble: Trouble = Trouble()

    @classmethod
    def of(cls, breaker: Breaker, state: str = "") -> Running:
        return cls(state or breaker.state, Trouble(breaker.failures, breaker.last))

    @classmethod
    def seen(cls, each: Seen) -> Running:
        return cls(each.state, Trouble(each.failures, each.last, each.dropped))


def views(plugins: PluginManager, running: Mapping[tuple[str, str], Running]) -> list[PluginView]:
    """The plugins, in the order in which they were found. ``running``: by kind and name, what is open here."""

    def offer(kind: str, name: str, schema: dict[str, Any], names: list[str]) -> OfferView:
        here = {own: running.get((kind, own), Running("not open here")) for own in names}
        trouble = {own: each.trouble for own, each in here.items() if each.trouble != Trouble()}
        return OfferView(kind, name, schema, {own: each.state for own, each in here.items()}, trouble)

    return [
        PluginView(
            plugin.name,
            plugin.distribution,
            plugin.version,
            plugin.state,
            plugin.error,
            list(plugin.hooks),
            [offer(*each) for each in plugins.offers(plugin)],
        )
        for plugin in plugins.states()
    ]


class PluginService:
    """Implements `overture.web.plugged.Plugins`."""

    def __init__(
        self,
        plugins: PluginManager,
        channels: Mapping[str, HostedChannel],
        sources: Collection[HostedPush],
        fetched: Mapping[str, str],
        refusals: Refusals,
        outbox: Outbox,
        hooked: Mapping[tuple[str, str], Seen],
        words: Words,
    ) -> None:
        self.sources = sources
        self._plugins = plugins
        self._channels = channels
        self._fetched = fetched
        self._refusals = refusals
        self._outbox = outbox
        self._hooked = hooked
        self._words = words

    def states(self) -> list[PluginView]:
        """In the order in which they were loaded."""
        running: dict[tuple[str, str], Running] = {
            ("channel", name): Running.of(channel.breaker, channel.state) for name, channel in self._channels.items()
        }
        running |= {("source", source.name): Running.of(source.breaker, source.state) for source in self.sources}
        running |= {("source", name): Running(state) for name, state in self._fetched.items()}
        running |= {asked: Running.of(breaker) for asked, breaker in self._plugins.asked().items()}
        running |= {asked: Running.seen(each) for asked, each in self._hooked.items()}
        return views(self._plugins, running)

    async def refused(self, limit: int) -> list[RefusalView]:
        """Newest first."""
        return [
            RefusalView(clock.to_text(each.at), each.source, each.code, each.message, each.pointer, each.fact)
            for each in await self._refusals.last(limit)
        ]

    async def addressed(self, facts: Sequence[object]) -> list[object | Unwanted]:
        """The same; what names one of our messages as its contact is about that message and its contact."""
        asked = [message_of(fact) for fact in facts]
        if not any(asked):
            return list(facts)
        found = await self._outbox.find_all(sorted({id for id in asked if id}))
        known = {delivery.message.id: delivery for delivery in found}
        return [
            fact if not id else about(fact, known[id]) if id in known else of_none(fact)
            for fact, id in zip(facts, asked, strict=True)
        ]

    async def heard(self, plugin: str, source: str, posted: Posted) -> None:
        if posted.once is None or await self._words.bind(plugin, *posted.once):
            return
        error = Refused("source.signature", "What this request is signed with came with another one.", status=401)
        await self.record(source, [Unwanted(error.code, error.message, "", fact) for fact in posted.facts], clock.now())
        raise error

    async def record(self, source: str, refused: Sequence[Unwanted], now: int, key: str = "") -> None:
        """Keep what was refused, with the fact as it was brought."""
        bare = any(kind == "redactor" for kind, _ in self._hooked)  # nothing has taken out of these what must not stay
        await self._refusals.record(
            [Refusal(now, source, r.code, r.message, r.pointer, "" if bare else shown(r.fact, key)) for r in refused]
        )
