"""The source ``rudderstack``: what its libraries need beside the paths that they share with Segment's.

Those are answered by the source ``segment`` where they stand for themselves, and below ``/in/rudderstack`` by this one.
"""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict

from overture.plugin import Answer, Endpoint, Incoming, Posted, PushSourcePlugin, hookimpl
from overture_sources.tracked import endpoints, read


class RudderStackConfig(BaseModel):
    """There is nothing to set."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class RudderStack:
    def __init__(self, config: RudderStackConfig) -> None: ...

    async def parse(self, request: Incoming) -> Posted | Answer:
        return Answer(body=CONFIG) if request.method == "GET" else await read(request)

    async def close(self) -> None: ...


_OFF = {"enabled": False}
CONFIG = {
    "source": {
        "id": "overture",
        "name": "Overture",
        "workspaceId": "overture",
        "enabled": True,
        "config": {"statsCollection": {"errors": _OFF, "metrics": _OFF}},
        "destinations": [],
        "updatedAt": "2026-01-01T00:00:00.000Z",
    },
    "updatedAt": "2026-01-01T00:00:00.000Z",
}
"""What its library for browsers asks for first: send to nobody else, and no figures about yourself."""


@hookimpl
def overture_sources() -> Iterable[PushSourcePlugin[RudderStackConfig]]:
    own = [
        each
        for prefix in ("", "~")
        for each in (
            Endpoint(method="GET", path=f"{prefix}/sourceConfig/", proof="source", browser=True),
            Endpoint(method="GET", path=f"{prefix}/sourceConfig", proof="source", browser=True),
            Endpoint(method="POST", path=f"{prefix}/beacon/v1/batch", browser=True),
        )
    ]
    yield PushSourcePlugin(
        name="rudderstack", config=RudderStackConfig, open=RudderStack, endpoints=[*own, *endpoints("~")]
    )
