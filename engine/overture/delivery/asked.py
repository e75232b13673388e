"""What the delivery gates of plugins say of a message that our own gate lets go."""

from __future__ import annotations

from collections.abc import Sequence

from overture.model import Delivery
from overture.model.errors import PluginFailed
from overture.plugin.descriptors import Outgoing
from overture.plugin.gating import HostedGate, Judged

SOONEST, LATEST = 5_000, 600_000  # ms until a gate that failed is asked again: a tenth of how long the message waited


async def asked(gates: Sequence[HostedGate], message: Outgoing, delivery: Delivery, now: int) -> Judged | None:
    """None: all of them let it go. One after the other, until one does not; one that fails lets nothing go."""
    for gate in gates:
        try:
            judged = await gate.judge(message, now)
        except PluginFailed as error:
            waited = now - (delivery.queued_at or delivery.message.created_at)
            return Judged("gate.failing", error.message, now + min(max(waited // 10, SOONEST), LATEST))
        if judged is not None:
            return judged
    return None
