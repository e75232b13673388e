"""The embedded store: a Valkey (or Redis) server process of our own, in the data directory."""

from overture.state.embedded.binary import Durability, find_server, options
from overture.state.embedded.store import EmbeddedStore

__all__ = ["Durability", "EmbeddedStore", "find_server", "options"]
