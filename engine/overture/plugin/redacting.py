"""Redactors: what of a fact must never be stored is taken out before it is."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, cast

import msgspec
from pydantic import BaseModel

from overture.model.fact import Draft
from overture.plugin.guard import Limits
from overture.plugin.hosted import HostedNow
from overture.plugin.presented import Presented

C = TypeVar("C", bound=BaseModel)
# Facts that it fails at cost themselves, however many; only one that blocks the process is left alone for a while.
REDACTING = Limits(timeout=0.05, failures=sys.maxsize, pause=2.0)


class Redactor(Protocol):
    """An open redactor."""

    def redact(self, fact: Presented) -> Presented:
        """The fact as it may be stored; `dataclasses.replace` makes one with other ``properties``, ``context`` or
        ``contact``. Synchronous and quick, and the same for the same fact: a fact that is sent again is known by it.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RedactorPlugin(Generic[C]):
    """Shown each fact right before it is stored, with what enrichers added. Where it fails, the fact is not stored."""

    name: str
    config: type[C]
    open: Callable[[C], Redactor]


class HostedRedactor(HostedNow):
    """A redactor under the host's limits; ``check`` raises for what could not be accepted as a fact."""

    def __init__(self, name: str, redactor: Redactor | None, check: Callable[[Draft], Draft], fault: str = "") -> None:
        super().__init__(f"The redactor {name}", REDACTING, redactor, fault)
        self.name = name
        self._check = check

    def redact(self, draft: Draft, shown: Presented) -> Draft:
        """The draft as it may be stored. Raises PluginFailed."""

        def read(answer: Any) -> Draft:
            if not isinstance(answer, Presented):
                raise TypeError(f"{type(answer).__name__} is no fact")
            if (answer.id, answer.type) != (draft.id, draft.type):
                raise ValueError("the id and the type of a fact cannot be changed")
            if answer.occurred_at is not None and type(answer.occurred_at) is not int:
                raise TypeError("occurred_at is in milliseconds")
            return self._check(
                msgspec.structs.replace(
                    draft,
                    ids=_plain(answer.contact),
                    properties=_plain(answer.properties),
                    context=_plain(answer.context),
                    occurred_at=answer.occurred_at,
                )
            )

        return self.ask("redact", shown, read=read)


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """JSON values that are nobody else's. Raises for what is no JSON."""
    if not isinstance(values, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"{type(values).__name__} is no mapping")
    return msgspec.json.decode(msgspec.json.encode(_open(values)), type=dict[str, Any])


def _open(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _open(item) for name, item in cast(Mapping[Any, Any], value).items()}
    if isinstance(value, list | tuple):
        return [_open(item) for item in cast("list[Any]", value)]
    return value
