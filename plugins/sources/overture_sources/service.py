"""A service that posts signed JSON: where things stand in what it says, and the fact that they make.

The id of a fact follows from what is signed: from the event's own id in the body, else from the body itself. Headers
are not, neither ids nor types: a request sent again with another one would count twice.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from overture.plugin import Answer, Incoming, Posted, Refuse, Secret, Transform
from overture_sources.fitting import fitted
from overture_sources.names import fact_type
from overture_sources.paths import first, look
from overture_sources.reports import at_text, digest, fact_id, json_object, text
from overture_sources.signing import Scheme, verify

Facts = Callable[[Mapping[str, Any], Incoming], "dict[str, Any] | None"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """Where things stand in what a service posts, as `paths.look` takes them; of several places the first with a value.

    ``properties`` by name; without any, all of the body. ``known`` makes the facts of types that have a mapping of
    their own: the fact without ``id`` and ``context``, or None for what it does not know. ``ping``: whether a request
    is none of an event, and may come unsigned. ``literal``: the type is the fact's as it stands in the settings.
    ``transform``: the script that makes the facts, in place of all that.
    """

    name: str
    scheme: Scheme
    type: tuple[str, ...]
    id: tuple[str, ...] = ()
    at: tuple[str, ...] = ()
    contact: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    external: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    properties: Mapping[str, str] = field(default_factory=dict[str, str])
    about: str = "$"
    known: Facts | None = None
    ping: Callable[[Incoming], bool] = lambda request: False
    literal: bool = False
    transform: str = ""


class Signed(BaseModel):
    """``secret``: what the service signs with; ``old_secret``: the one before, while it is being changed;
    ``tolerance``: seconds that a signature with a time counts.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    secret: Secret
    old_secret: Secret | None = None
    tolerance: int = Field(default=300, ge=1)

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if not all(each.get_secret_value() for each in self.secrets()):
            raise ValueError("an empty secret signs nothing")
        return self

    def secrets(self) -> list[SecretStr]:
        return [self.secret, *([self.old_secret] if self.old_secret is not None else [])]


class Business:
    """An open source for one service."""

    def __init__(self, config: Signed, service: Service) -> None:
        self._config = config
        self._service = service

    async def parse(self, request: Incoming) -> Posted | Transform | Answer:
        service = self._service
        if service.ping(request):
            return Answer(body={"pong": service.name})
        verify(request, service.scheme, self._config.secrets(), self._config.tolerance)
        if service.transform:
            return transformed(service, request)
        return Posted(facts=[made(service, json_object(request.inflated), request)])

    async def close(self) -> None: ...


def _no_number(name: str) -> Any:
    raise ValueError(name)


def transformed(service: Service, request: Incoming) -> Transform:
    """What the script is given; its seed follows from what is signed."""
    try:
        text = request.inflated.decode()
    except UnicodeDecodeError:
        raise Refuse("source.body", "The body is no text in UTF-8.") from None
    try:
        body: Any = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError):
        body = None
    hidden = {service.scheme.header, "authorization", "cookie"}
    given = {
        "method": request.method,
        "path": request.path,
        "query": dict(request.query),
        "headers": {name: value for name, value in request.headers.items() if name not in hidden},
        "body": body,
        "text": text if body is None else "",
    }
    seed = digest("transform", request.source, request.body.decode("latin-1"))
    return Transform(script=service.transform, request=given, seed=seed, answer=Answer(status=200))


def made(service: Service, body: Mapping[str, Any], request: Incoming) -> dict[str, Any]:
    """The fact in a request; raises `Refuse` where it does not even say what it is about."""
    said = text(first(service.type, body, request))
    if not said:
        raise Refuse("source.body", "It does not say what has happened.")
    own = text(first(service.id, body, request))
    key = own or digest(request.body.decode("latin-1"))
    about = look(service.about, body, request)
    found: Mapping[str, Any] = about if isinstance(about, Mapping) else body
    if service.properties:
        named = {name: look(where, body, request) for name, where in service.properties.items()}
        found = {name: value for name, value in named.items() if value is not None}
    given: dict[str, Any] = {
        "type": said if service.literal else fact_type(said, service.name),
        "contact": _contact(service, body, request),
        "properties": found,
    }
    mapped = service.known(body, request) if service.known is not None else None
    if mapped is not None:
        given |= mapped
    given["properties"] = fitted(given["properties"])
    moment = _moment(first(service.at, body, request))
    when = {} if moment is None else {"occurred_at": moment.isoformat()}
    # Two shops, or two services of no name, may call different things by the same id.
    id = fact_id(request.source or service.name, key)
    return {"id": id, **given, **when, "context": {"source": service.name, "event": said[:200]}}


def _contact(service: Service, body: Mapping[str, Any], request: Incoming) -> dict[str, Any]:
    found = {name: text(first(where, body, request)) for name, where in service.contact.items()}
    external = {name: text(first(where, body, request)) for name, where in service.external.items()}
    who: dict[str, Any] = {name: value for name, value in found.items() if value}
    # A shop calls whoever has no account number 0.
    if named := {name: value for name, value in external.items() if value not in ("", "0")}:
        who["external"] = named
    return who


def _moment(value: object) -> datetime | None:
    """RFC 3339, or Unix time in seconds or milliseconds; None where it is neither."""
    told = text(value)
    try:
        if told.replace(".", "", 1).isdigit():
            seconds = float(told)
            return datetime.fromtimestamp(seconds / 1000 if seconds > 1e11 else seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return at_text(told)
