"""Putting the parts of one process together, by role."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from overture.attribution.asking import Questions
from overture.backtest import Jobs
from overture.delivery.attempt import Attempt
from overture.delivery.links import Links
from overture.delivery.loop import Deliverer
from overture.delivery.pace import Pace
from overture.delivery.templates import Templates
from overture.deploy.choices import Learning
from overture.deploy.contests import Contests
from overture.deploy.learners import Learners
from overture.deploy.settling import Settling
from overture.node.apikeys import Keys
from overture.node.approving import Approvals
from overture.node.backtesting import BacktestService
from overture.node.choosing import ChoiceService
from overture.node.claims import BrowserFacts
from overture.node.configured import tell_failures
from overture.node.erasing import Eraser
from overture.node.explaining import ExplainService
from overture.node.facts import FactService
from overture.node.fastforward import FastForward
from overture.node.forms import FormService
from overture.node.funnels import FunnelService
from overture.node.gauges import Gauges
from overture.node.health import Health
from overture.node.hooked import Hooked
from overture.node.inboxes import InboxKeeper, InboxService
from overture.node.models import ModelService
from overture.node.plugged import PluginService
from overture.node.previewing import PreviewService
from overture.node.privacy import PrivacyService
from overture.node.pulling import Pulling
from overture.node.reading import ContactService, MessageService, RankingService, RulesetService
from overture.node.scripts import ScriptService
from overture.node.subscribing import SubscriptionService
from overture.node.telling import Telling
from overture.node.trails import TrailService
from overture.plugin.host import HostedChannel
from overture.plugin.listening import HostedPush, OpenPull
from overture.plugin.manager import PluginManager
from overture.records import Past
from overture.sandbox.rendering.renderer import Renderer
from overture.settings import Settings
from overture.state.choices import ChoiceCounts
from overture.state.clicks import Clicks
from overture.state.contacts import Contacts
from overture.state.erasures import Erasures
from overture.state.funnel import Funnels
from overture.state.identity import Identity
from overture.state.inbox import Inboxes
from overture.state.lease import Leases
from overture.state.ledgers import Ledgers
from overture.state.linkkeys import LinkKeys
from overture.state.log import Log
from overture.state.outbox import Outbox
from overture.state.pages import Pages
from overture.state.probe import StoreFacts
from overture.state.purge import Suppressed
from overture.state.rates import Rates
from overture.state.refusals import Refusals
from overture.state.registry import Registry
from overture.state.samples import RuleSamples
from overture.state.turns import Turns
from overture.state.wire import Wire
from overture.state.words import Words
from overture.web import path_taken
from overture.web.services import Services
from overture.worker.loop import Worker
from overture.worker.plans import Plans
from overture.worker.replies import Replies

UNFENCED = "OVERTURE_UNSAFE_NO_FENCE"  # for bench/chaos only: shows that its bed detects what the fence prevents


@dataclass(slots=True)
class Parts:
    """The parts of one process; those of roles that it does not play are None."""

    wire: Wire
    reader: Wire
    replies: Replies
    gauges: Gauges
    keys: Keys
    link_keys: LinkKeys
    links: Links
    services: Services
    plugins: PluginManager
    channels: Mapping[str, HostedChannel]
    sources: Sequence[HostedPush]
    backtests: Jobs
    questions: Questions
    clock: FastForward
    settling: Settling
    pulling: Pulling
    hooked: Hooked
    telling: Telling
    eraser: Eraser
    renderer: Renderer
    scripts: ScriptService
    worker: Worker | None = None
    deliverer: Deliverer | None = None

    async def refresh_keys(self) -> None:
        """Those of the API and those that sign links, as the store has them now."""
        await self.keys.refresh()
        await self.link_keys.refresh()

    async def close(self) -> None:
        await self.services.trails.close()  # what it waits for goes through plugins that are closed below
        closing = [each.close() for each in (*self.channels.values(), *self.sources, self.pulling, self.hooked)]
        await asyncio.gather(*closing)  # each bounded: one after the other they would not be
        await asyncio.gather(self.backtests.close(), self.questions.close())
        await self.clock.close()
        await self.scripts.close()
        await self.renderer.close()
        await self.wire.close()
        await self.reader.close()


async def assemble(
    settings: Settings, url: str, store: StoreFacts, plugins: PluginManager, environ: Mapping[str, str]
) -> Parts:
    """Connect and build everything; nothing runs yet."""
    wire = await Wire.connect(url)
    reader = await Wire.connect(url)
    n = settings.partitions
    name = f"{os.getpid()}-{secrets.token_hex(4)}"
    log = Log(wire, n)
    registry = Registry(wire, n)
    contacts = Contacts(wire, n)
    outbox = Outbox(wire, n)
    inboxes = Inboxes(wire, n)
    replies = Replies(url, name)
    identity = Identity(wire, n, replies.expect)
    replies.on_erased = identity.forget
    gauges = Gauges(wire, n)
    keys = Keys(wire)
    pages = Pages(wire, n)
    ledgers = Ledgers(wire, n)
    link_keys = LinkKeys(wire)
    links = Links(link_keys, settings.public_url or settings.own_url())
    fenced = environ.get(UNFENCED) != "1"
    pure = plugins.pure()
    named = plugins.channel_names(settings.channels)
    renderer = Renderer(settings.locale)
    # Whatever the API asks: what is active, and versions of the past.
    asked = Plans(registry, "reference", plugins.pure(apart=True))
    timeout = settings.script_timeout_ms
    scripts = ScriptService(settings.script_workers, timeout, asked)
    allowed, engine = settings.plugins_allowed, renderer.engine()
    rulesets = RulesetService(registry, named, allowed, pure, engine, scripts.check, timeout)
    hooked = Hooked.open(plugins, settings)
    telling = Telling(hooked.observers)
    worker: Worker | None = None
    deciding: Leases | None = None
    deliverer: Deliverer | None = None
    channels: dict[str, HostedChannel] = {}
    if "worker" in settings.roles:
        leases = deciding = Leases(wire, "worker", name, n, settings.lease_seconds, fenced=fenced)
        plans = Plans(registry, settings.matcher, pure)
        archive = settings.data_dir / "archive"
        worker = Worker(wire, reader, leases, plans, log, replies, archive, scripts.run)
        if hooked.observers:
            worker.tell_of_decisions(telling.decided)
    if "delivery" in settings.roles:
        channels = plugins.open_channels(InboxKeeper(inboxes, contacts, identity))
        leases = Leases(wire, "delivery", name, n, settings.lease_seconds, fenced=fenced)
        read = Templates(registry, pure)
        suppressed, tracking = Suppressed(wire), settings.tracking
        attempt = Attempt(contacts, read, channels, ledgers, links, suppressed, renderer, tracking, hooked.gates)
        deliverer = Deliverer(leases, outbox, attempt, Pace(Rates(wire), settings.channel_rates))
        if worker is not None:
            worker.tell_of_messages(deliverer.wake)
    opened = plugins.open_sources()
    sources = await _pushed(opened.values(), plugins)
    fetching = {name: source for name, source in opened.items() if isinstance(source, OpenPull)}
    fetched = dict.fromkeys(fetching, "waiting")
    tell_failures(plugins)
    past = Past(wire, settings.data_dir / "archive", n, asked.program, scripts.ask)
    backtests = Jobs(settings.data_dir, registry, url, n, named, settings.plugins_allowed, pure, timeout)
    questions = Questions(wire, url, settings.data_dir, n)
    funnels = Funnels(wire, n)
    shown = ChoiceCounts(wire, n)
    learners = Learners(wire, deciding, registry, asked, n, int(settings.learn_seconds * 1000))
    settling = Settling(Contests(registry, funnels, asked), Learning(registry, shown, asked), learners)
    clock = FastForward(wire, url, settings, settling)
    facts = FactService(log, identity, replies, gauges, settings.max_lag, hooked.admission())
    people = ContactService(contacts, identity, asked)
    inbox = InboxService(links, inboxes, facts, contacts, identity, outbox)
    replies.on_kept = inbox.tell
    eraser = Eraser(wire, log, Erasures(wire), settings.data_dir, lambda: worker is not None and worker.holds(0))
    subscriptions = SubscriptionService(links, ledgers, facts, contacts, identity, asked)
    services = Services(
        facts=facts,
        contacts=people,
        rankings=RankingService(pages, asked),
        messages=MessageService(pages, outbox, Approvals(outbox, log, replies)),
        rulesets=rulesets,
        keys=keys,
        trails=TrailService(links, facts, contacts, identity, outbox, Clicks(wire, n)),
        inbox=inbox,
        key_ring=keys,
        browsers=BrowserFacts(identity),
        explanations=ExplainService(contacts, outbox, asked, past, RuleSamples(wire, n)),
        backtests=BacktestService(backtests),
        attribution=questions,
        previews=PreviewService(rulesets, people, asked, renderer, pure),
        forms=FormService(links, facts, contacts, identity, asked),
        subscriptions=subscriptions,
        journeys=FunnelService(funnels, registry, asked),
        models=ModelService(wire, registry, asked),
        choices=ChoiceService(shown, asked),
        clock=clock,
        scripts=scripts,
        plugins=PluginService(plugins, channels, sources, fetched, Refusals(wire), outbox, hooked.seen(), Words(wire)),
        privacy=PrivacyService(wire, settings.data_dir / "archive", n, people, identity, subscriptions, eraser.wake),
        health=Health(settings, store, gauges, rulesets, worker, deliverer, plugins, channels, sources, hooked.checks),
    )
    return Parts(
        wire,
        reader,
        replies,
        gauges,
        keys,
        link_keys,
        links,
        services,
        plugins,
        channels,
        sources,
        backtests,
        questions,
        clock,
        settling,
        Pulling(fetching, Turns(wire, name), services, fetched),
        hooked,
        telling,
        eraser,
        renderer,
        scripts,
        worker,
        deliverer,
    )


async def _pushed(opened: Iterable[HostedPush | OpenPull], plugins: PluginManager) -> list[HostedPush]:
    """The open sources that others call, but for those whose paths somebody else answers already."""
    pushed: list[HostedPush] = []
    for source in opened:
        if not isinstance(source, HostedPush):
            continue
        if (error := path_taken(source, pushed)) is None:
            pushed.append(source)
        else:
            plugins.withdraw(source.name, error)
            await source.close()
    return pushed
