"""The public API for plugins, and the manager that loads them."""

from overture.model.addresses import own_address
from overture.plugin.descriptors import AmbiguousHandOff, Channel, ChannelPlugin, Outgoing, Rejected, RetryLater, Sent
from overture.plugin.egress import EgressRefused, guarded_connector
from overture.plugin.hookspecs import HOOK_API, hookimpl
from overture.plugin.host import Handed, HostedChannel, Limits
from overture.plugin.manager import PluginManager, PluginState
from overture.plugin.secret import Secret

__all__ = [
    "HOOK_API",
    "AmbiguousHandOff",
    "Channel",
    "ChannelPlugin",
    "EgressRefused",
    "Handed",
    "HostedChannel",
    "Limits",
    "Outgoing",
    "PluginManager",
    "PluginState",
    "Rejected",
    "RetryLater",
    "Secret",
    "Sent",
    "guarded_connector",
    "hookimpl",
    "own_address",
]
