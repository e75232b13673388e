"""Health checks of plugins: named parts of whether the server is ready."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from pydantic import BaseModel

from overture.model import clock
from overture.model.errors import PluginFailed
from overture.plugin.guard import Limits
from overture.plugin.hosted import Hosted, NotAsked

C = TypeVar("C", bound=BaseModel)
TIMEOUT = 2.0  # seconds


class HealthCheck(Protocol):
    """An open health check."""

    async def check(self) -> None:
        """Raise where something is not well; the text of the error is shown to whoever asks for ``/readyz``."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheckPlugin(Generic[C]):
    """Shown in ``/readyz``, asked at most once in ``every`` seconds. ``required``: where it fails, the server is not
    ready; otherwise that is only told.
    """

    name: str
    config: type[C]
    open: Callable[[C], HealthCheck]
    required: bool = False
    every: float = 5.0


class HostedCheck(Hosted):
    """A health check with what it said last."""

    def __init__(
        self, name: str, plugin: HealthCheckPlugin[Any] | None, check: HealthCheck | None, fault: str = ""
    ) -> None:
        self._every = plugin.every if plugin is not None else 0.0
        # What fails is left alone at once, for as long as it would not be asked anyway: that it fails is its answer.
        limits = Limits(timeout=TIMEOUT, parallel=1, failures=1, pause=self._every)
        super().__init__(f"The health check {name}", limits, check, fault)
        self.name = name
        self.required = plugin is not None and bool(plugin.required)
        self._error = ""
        self._until = 0.0
        self._asking = asyncio.Lock()

    async def error(self) -> str:
        """A sentence about what is not well; empty where all is."""
        async with self._asking:  # who comes meanwhile waits for the same answer
            if clock.elapsed() >= self._until:
                try:
                    await self.ask("check", read=lambda answer: answer)
                    self._error = ""
                except NotAsked as error:
                    self._error = self._error or error.message
                except PluginFailed as error:
                    self._error = error.message
                self._until = clock.elapsed() + self._every
        return self._error
