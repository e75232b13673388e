"""The public API for plugins, and the manager that loads them."""

from overture.model.addresses import own_address
from overture.model.names import snake
from overture.model.scoring import ContactView, FactView, Scored, ScoreInput
from overture.plugin.agents import Agent, agent_of
from overture.plugin.checking import HealthCheck, HealthCheckPlugin
from overture.plugin.commanding import CommandPlugin
from overture.plugin.descriptors import (
    AmbiguousHandOff,
    Channel,
    ChannelPlugin,
    Inbox,
    Outgoing,
    Rejected,
    RetryLater,
    Sent,
)
from overture.plugin.egress import EgressRefused, guarded_connector
from overture.plugin.enriching import Enricher, EnricherPlugin
from overture.plugin.gating import Allow, DeliveryGate, DeliveryGatePlugin, Deny, Hold
from overture.plugin.guard import Limits
from overture.plugin.hookspecs import HOOK_API, hookimpl
from overture.plugin.host import Handed, HostedChannel
from overture.plugin.manager import PluginManager, PluginState
from overture.plugin.observing import Decided, MessageOutcome, Observer, ObserverPlugin
from overture.plugin.presented import Presented
from overture.plugin.pure import FunctionPlugin, Scorer, ScorerPlugin
from overture.plugin.redacting import Redactor, RedactorPlugin
from overture.plugin.resolving import Identity, IdentityPlugin
from overture.plugin.secret import Secret
from overture.plugin.sources import (
    Answer,
    Emit,
    Endpoint,
    Incoming,
    NoFact,
    Once,
    Posted,
    PullSource,
    PullSourcePlugin,
    PushSource,
    PushSourcePlugin,
    Refuse,
    Taken,
    Transform,
)

__all__ = [
    "HOOK_API",
    "Agent",
    "Allow",
    "AmbiguousHandOff",
    "Answer",
    "Channel",
    "ChannelPlugin",
    "CommandPlugin",
    "ContactView",
    "Decided",
    "DeliveryGate",
    "DeliveryGatePlugin",
    "Deny",
    "EgressRefused",
    "Emit",
    "Endpoint",
    "Enricher",
    "EnricherPlugin",
    "FactView",
    "FunctionPlugin",
    "Handed",
    "HealthCheck",
    "HealthCheckPlugin",
    "Hold",
    "HostedChannel",
    "Identity",
    "IdentityPlugin",
    "Inbox",
    "Incoming",
    "Limits",
    "MessageOutcome",
    "NoFact",
    "Observer",
    "ObserverPlugin",
    "Once",
    "Outgoing",
    "PluginManager",
    "PluginState",
    "Posted",
    "Presented",
    "PullSource",
    "PullSourcePlugin",
    "PushSource",
    "PushSourcePlugin",
    "Redactor",
    "RedactorPlugin",
    "Refuse",
    "Rejected",
    "RetryLater",
    "ScoreInput",
    "Scored",
    "Scorer",
    "ScorerPlugin",
    "Secret",
    "Sent",
    "Taken",
    "Transform",
    "agent_of",
    "guarded_connector",
    "hookimpl",
    "own_address",
    "snake",
]
