"""The source ``segment``: Segment's libraries, pointed here unchanged; those of RudderStack post to the same paths."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict

from overture.plugin import Answer, Endpoint, Incoming, Posted, PushSourcePlugin, hookimpl
from overture_sources.tracked import endpoints, read


class SegmentConfig(BaseModel):
    """There is nothing to set."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Segment:
    def __init__(self, config: SegmentConfig) -> None: ...

    async def parse(self, request: Incoming) -> Posted | Answer:
        return Answer(body=settings(request)) if request.method == "GET" else await read(request)

    async def close(self) -> None: ...


def settings(request: Incoming) -> dict[str, object]:
    """What the library for browsers asks for first: post to us, to nobody else, and no figures about itself."""
    host = request.headers.get("x-forwarded-host") or request.headers.get("host", "")
    above, _, _ = request.path.rpartition("/projects/")
    own = {
        "apiKey": request.parts["key"],
        "apiHost": f"{host}{above}",
        "protocol": request.headers.get("x-forwarded-proto", "http"),
        "unbundledIntegrations": list[str](),
        "addBundledMetadata": False,
        "type": "browser",
    }
    return {
        "integrations": {"Segment.io": own},
        "plan": {"track": {"__default": {"enabled": True, "integrations": {}}}},
        "metrics": {"sampleRate": 0},
        "remotePlugins": list[object](),
        "legacyVideoPluginsEnabled": False,
    }


@hookimpl
def overture_sources() -> Iterable[PushSourcePlugin[SegmentConfig]]:
    asked = [
        Endpoint(method="GET", path=f"{prefix}/v1/projects/{{key}}/settings", proof="source", browser=True)
        for prefix in ("", "~")
    ]
    yield PushSourcePlugin(
        name="segment", config=SegmentConfig, open=Segment, endpoints=[*endpoints(""), *endpoints("~"), *asked]
    )
