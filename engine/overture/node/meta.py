"""What is fixed when a store is created."""

from __future__ import annotations

from overture.model import StartupRefused
from overture.settings import Settings
from overture.state import keys
from overture.state.wire import Wire

FORMAT = 1  # of everything in the store; a store of another format is refused


async def settle(wire: Wire, settings: Settings) -> None:
    """Fix format and partitions on the first start. Raises StartupRefused where the store has others."""
    await wire.call("HSETNX", keys.META, "format", FORMAT)
    await wire.call("HSETNX", keys.META, "partitions", settings.partitions)
    format, partitions = await wire.call("HMGET", keys.META, "format", "partitions")
    if int(format) != FORMAT:
        raise StartupRefused(
            "store.format",
            f"The store has format {int(format)}, this Overture reads {FORMAT}.",
            "Use the matching version.",
        )
    if int(partitions) != settings.partitions:
        raise StartupRefused(
            "store.partitions",
            f"The store was made with {int(partitions)} partitions, the settings say {settings.partitions}.",
            f"Set OVERTURE_PARTITIONS={int(partitions)}.",
        )
