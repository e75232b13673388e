"""The source ``posthog``: its libraries, pointed here unchanged. There are no flags, surveys or recordings here."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from overture.plugin import Answer, Endpoint, Incoming, Posted, PushSourcePlugin, hookimpl
from overture_sources import normal
from overture_sources.bodies import json_of, listed, no_object
from overture_sources.fitting import clean
from overture_sources.normal import parted, query_of
from overture_sources.posthog_events import facts_of
from overture_sources.reports import at_text, table, text

V1 = "/i/v1/analytics/events"
EVENTS = ("/batch", "/e", "/i/v0/e", "/capture", V1)
FLAGS = ("/flags", "/decide")

_NO_FLAGS = {"flags": {}, "featureFlags": {}, "featureFlagPayloads": {}, "errorsWhileComputingFlags": False}
_CONFIG = {
    "supportedCompression": ["gzip", "gzip-js"], "hasFeatureFlags": False, "sessionRecording": False, "surveys": False,
    "heatmaps": False, "capturePerformance": False, "captureDeadClicks": False, "siteApps": [],
}  # fmt: skip


class PostHogConfig(BaseModel):
    """There is nothing to set."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class PostHog:
    def __init__(self, config: PostHogConfig) -> None: ...

    async def parse(self, request: Incoming) -> Posted | Answer:
        path = request.endpoint.removeprefix("~").rstrip("/")
        if path in FLAGS:
            return Answer(body=_NO_FLAGS | _CONFIG)
        if request.method == "GET":
            return _config(request.parts["key"], script=path.endswith(".js"))
        return await normal.beside(len(request.inflated), lambda: _read(request, path))

    async def close(self) -> None: ...


def _config(key: str, *, script: bool) -> Answer:
    if not script:
        return Answer(body={"token": key, **_CONFIG})
    known = json.dumps({key: {"config": {"token": key, **_CONFIG}, "siteApps": []}}).replace("<", "\\u003c")
    body = f"window._POSTHOG_REMOTE_CONFIG=Object.assign(window._POSTHOG_REMOTE_CONFIG||{{}},{known})"
    return Answer(body=body.encode(), content_type="application/javascript")


def _read(request: Incoming, path: str) -> Posted:
    body = _body(request.inflated)
    around: Mapping[str, Any] = table(body)
    if not around and not isinstance(body, list):
        raise no_object()
    events: Sequence[Any] = [around]
    if isinstance(body, list) or "batch" in around:
        events = listed(around.get("batch") if around else body, "batch")
    sent = at_text(around.get("sent_at") or request.headers.get("posthog-request-timestamp"))
    facts, refused = parted(made for event in events for made in facts_of(event, sent, request.at))
    first = table(events[0]) if events else {}
    ours = table(first.get("properties"))
    keys = (around.get("api_key"), around.get("token"), first.get("api_key"), ours.get("token"))
    return Posted(
        facts=facts,
        refused=refused,
        answer=Answer(body=_results(events) if path == V1 else {"status": 1}),
        key=next(filter(None, map(text, keys)), ""),
        backfill=around.get("historical_migration") is True,
    )


def _results(events: Sequence[Any]) -> dict[str, Any]:
    """What `V1` wants to know of each event. None is to be sent again: what was refused would be refused again."""
    return {"results": {clean(text(table(event).get("uuid"))): {"result": "ok"} for event in events}}


def _body(raw: bytes) -> Any:
    """JSON; as a page sends it that is left, the same as base64 in the field ``data`` of a form."""
    if not raw.startswith(b"data="):
        return json_of(raw)
    data = query_of(raw.decode("utf-8", "replace")).get("data", "")
    try:
        return json_of(base64.b64decode(data.replace(" ", "+")))
    except (binascii.Error, ValueError):
        return json_of(data)


@hookimpl
def overture_sources() -> Iterable[PushSourcePlugin[PostHogConfig]]:
    endpoints: list[Endpoint] = []
    for prefix in ("", "~"):
        for slash in ("", "/"):
            endpoints += [Endpoint(method="POST", path=f"{prefix}{path}{slash}", browser=True) for path in EVENTS]
            endpoints += [
                Endpoint(method="POST", path=f"{prefix}{path}{slash}", proof="source", browser=True) for path in FLAGS
            ]
        endpoints += [
            Endpoint(method="GET", path=f"{prefix}/array/{{key}}/{path}", proof="source", browser=True)
            for path in ("config", "config.js")
        ]
    yield PushSourcePlugin(name="posthog", config=PostHogConfig, open=PostHog, endpoints=endpoints)
