"""Delivery gates: a plugin that says of each message, right before it is handed over, whether it may go."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from pydantic import BaseModel

from overture.model.errors import clean
from overture.plugin.descriptors import Outgoing
from overture.plugin.guard import Limits
from overture.plugin.hosted import Hosted

C = TypeVar("C", bound=BaseModel)
GATING = Limits(timeout=5.0, parallel=32)
LONGEST_HOLD = 30 * 86_400  # seconds; then it is asked again
_CODE = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)*")


@dataclass(frozen=True, slots=True)
class Allow:
    """The message may go, as far as this gate is concerned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Not now: it is asked again after so many seconds, or at an instant (ms since the epoch, UTC); in any case within
    30 days. ``text``: why, as a sentence for people.
    """

    text: str
    after: float | None = None
    until: int | None = None


@dataclass(frozen=True, slots=True)
class Deny:
    """Never: the message is dropped. ``code``: why, in lower case with dots, such as ``budget.spent``."""

    code: str
    text: str


class DeliveryGate(Protocol):
    """An open gate. Called concurrently, from one event loop; may be cancelled at any await."""

    async def allow(self, message: Outgoing) -> Allow | Hold | Deny:
        """Whether the message, rendered and addressed as it would go, may go now. Asked before each hand-off."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryGatePlugin(Generic[C]):
    """A gate that is asked about every message, on whichever channel. Where it fails, messages wait."""

    name: str
    config: type[C]
    open: Callable[[C], DeliveryGate]


@dataclass(frozen=True, slots=True)
class Judged:
    """Why a message does not go: a dotted code and a sentence. ``due``: when to ask again (ms); None: never."""

    code: str
    text: str
    due: int | None = None


class HostedGate(Hosted):
    """A gate under the host's limits; ``fault``: it could not be opened, and so lets nothing go."""

    def __init__(self, name: str, gate: DeliveryGate | None, fault: str = "") -> None:
        super().__init__(f"The delivery gate {name}", GATING, gate, fault)
        self.name = name

    async def judge(self, message: Outgoing, now: int) -> Judged | None:
        """None: it may go. Raises PluginFailed where the gate did not say."""

        def read(answer: Any) -> Judged | None:
            match answer:
                case Allow():
                    return None
                case Hold():
                    return Judged("gate.held", self._says(answer.text), _due(answer, now))
                case Deny():
                    if not _CODE.fullmatch(answer.code):
                        raise ValueError(f"the code {answer.code!r} is none")
                    return Judged(answer.code, self._says(answer.text))
                case _:
                    raise TypeError(f"{type(answer).__name__} is neither Allow nor Hold nor Deny")

        return await self.ask("allow", message, read=read)

    def _says(self, text: Any) -> str:
        return f"{self.what} says: {_line(text)}"


def _line(text: Any) -> str:
    if not isinstance(text, str) or not text.strip():
        raise ValueError("the text is empty")
    return clean(" ".join(text.split()))[:500]


def _due(hold: Hold, now: int) -> int:
    if (hold.after is None) == (hold.until is None):
        raise ValueError("a Hold has either after or until")
    asked = now + 1000 * hold.after if hold.after is not None else float(hold.until or 0)
    if not math.isfinite(asked):
        raise ValueError("the time is no number")
    return round(min(max(asked, now), now + 1000 * LONGEST_HOLD))
