"""The plugins of this process as the routes see them: what they offer, the sources that are open, what was refused."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from overture.model.clock import to_text
from overture.node.reporting import about, message_of
from overture.plugin.host import HostedChannel
from overture.plugin.listening import HostedPush
from overture.plugin.manager import PluginManager
from overture.state.outbox import Outbox
from overture.state.refusals import Refusal, Refusals, shown
from overture.web.plugged import OfferView, PluginView, RefusalView, Unwanted


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
    ) -> None:
        self.sources = sources
        self._plugins = plugins
        self._channels = channels
        self._fetched = fetched
        self._refusals = refusals
        self._outbox = outbox

    def states(self) -> list[PluginView]:
        """In the order in which they were loaded."""
        states: dict[tuple[str, str], str] = {
            ("channel", name): channel.breaker.state for name, channel in self._channels.items()
        }
        states |= {("source", source.name): source.breaker.state for source in self.sources}
        states |= {("source", name): state for name, state in self._fetched.items()}
        return [
            PluginView(
                plugin.name,
                plugin.distribution,
                plugin.version,
                plugin.state,
                plugin.error,
                list(plugin.hooks),
                [
                    OfferView(kind, name, schema, {own: states.get((kind, own), "not open here") for own in names})
                    for kind, name, schema, names in self._plugins.offers(plugin)
                ],
            )
            for plugin in self._plugins.states()
        ]

    async def refused(self, limit: int) -> list[RefusalView]:
        """Newest first."""
        return [
            RefusalView(to_text(each.at), each.source, each.code, each.message, each.pointer, each.fact)
            for each in await self._refusals.last(limit)
        ]

    async def addressed(self, facts: Sequence[object]) -> list[object]:
        """The same; what names one of our messages as its contact is about that message and its contact."""
        asked = [message_of(fact) for fact in facts]
        if not any(asked):
            return list(facts)
        found = await self._outbox.find_all(sorted({id for id in asked if id}))
        known = {delivery.message.id: delivery for delivery in found}
        return [about(fact, known.get(id)) if id else fact for fact, id in zip(facts, asked, strict=True)]

    async def record(self, source: str, refused: Sequence[Unwanted], now: int) -> None:
        """Keep what was refused, with the fact as it was brought."""
        await self._refusals.record(
            [Refusal(now, source, r.code, r.message, r.pointer, shown(r.fact)) for r in refused]
        )
