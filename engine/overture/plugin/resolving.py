"""Identity plugins: the identifiers that a fact presents, as they are to be understood, before its contact is found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, cast

from pydantic import BaseModel

from overture.model.scoring import View
from overture.plugin.guard import Limits
from overture.plugin.hosted import Hosted

C = TypeVar("C", bound=BaseModel)
RESOLVING = Limits(timeout=2.0, parallel=32, failures=5, pause=2.0)


class Identity(Protocol):
    """An open identity plugin. Called concurrently, from one event loop; may be cancelled at any await."""

    async def resolve(self, identifiers: Mapping[str, Any]) -> Mapping[str, Any]:
        """The identifiers to go by: ``user_id``, ``email``, ``anonymous_id``: text; ``external``: name → text.

        Of what it answers it must answer the same again. Where it knows more (whose loyalty number that is), it adds to
        what there is, so that both are linked to one contact; leaving an identifier out forgets it.
        """
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityPlugin(Generic[C]):
    """Asked about the identifiers of each fact, before Overture's own resolution. Where it fails, nothing of the
    request is taken.
    """

    name: str
    config: type[C]
    open: Callable[[C], Identity]


class HostedIdentity(Hosted):
    """An identity plugin under the host's limits; ``check`` raises ValueError for what are no identifiers."""

    def __init__(
        self, name: str, identity: Identity | None, check: Callable[[Any], dict[str, Any]], fault: str = ""
    ) -> None:
        super().__init__(f"The identity plugin {name}", RESOLVING, identity, fault)
        self.name = name
        self._check = check

    async def resolve(self, ids: dict[str, Any]) -> dict[str, Any]:
        """The identifiers to go by. Raises PluginFailed."""
        return await self.ask("resolve", View(ids), read=self._ids)

    def _ids(self, answer: Any) -> dict[str, Any]:
        if not isinstance(answer, Mapping):
            raise TypeError(f"{type(answer).__name__} is no mapping")
        return self._check(_plain(cast(Mapping[str, Any], answer)))


def _plain(value: Any) -> Any:
    """Without what makes it read only."""
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in cast(Mapping[Any, Any], value).items() if item is not None}
    return value
