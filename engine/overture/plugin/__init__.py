"""The public API for plugins, and the manager that loads them."""

from overture.model.addresses import own_address
from overture.model.scoring import ContactView, FactView, Scored, ScoreInput
from overture.plugin.agents import Agent, agent_of
from overture.plugin.descriptors import AmbiguousHandOff, Channel, ChannelPlugin, Outgoing, Rejected, RetryLater, Sent
from overture.plugin.egress import EgressRefused, guarded_connector
from overture.plugin.guard import Limits
from overture.plugin.hookspecs import HOOK_API, hookimpl
from overture.plugin.host import Handed, HostedChannel
from overture.plugin.manager import PluginManager, PluginState
from overture.plugin.pure import FunctionPlugin, Scorer, ScorerPlugin
from overture.plugin.secret import Secret
from overture.plugin.sources import (
    Answer,
    Emit,
    Endpoint,
    Incoming,
    NoFact,
    Posted,
    PullSource,
    PullSourcePlugin,
    PushSource,
    PushSourcePlugin,
    Refuse,
    Taken,
)

__all__ = [
    "HOOK_API",
    "Agent",
    "AmbiguousHandOff",
    "Answer",
    "Channel",
    "ChannelPlugin",
    "ContactView",
    "EgressRefused",
    "Emit",
    "Endpoint",
    "FactView",
    "FunctionPlugin",
    "Handed",
    "HostedChannel",
    "Incoming",
    "Limits",
    "NoFact",
    "Outgoing",
    "PluginManager",
    "PluginState",
    "Posted",
    "PullSource",
    "PullSourcePlugin",
    "PushSource",
    "PushSourcePlugin",
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
    "agent_of",
    "guarded_connector",
    "hookimpl",
    "own_address",
]
