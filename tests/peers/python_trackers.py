"""Makes the calls on standard input with a tracker's own library: ``python_trackers.py PACKAGE URL KEY [VARIANT]``.

Each call is ``[method, arguments]``, as its documentation has them.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from datetime import datetime
from importlib.metadata import version
from typing import Any

Calls = list[tuple[str, dict[str, Any]]]


def posthog(url: str, key: str, calls: Calls, variant: str) -> list[str]:
    from posthog import Posthog

    lost: list[str] = []
    client = Posthog(
        key, host=url, flush_at=20, flush_interval=0.2, max_retries=1 if variant == "impatient" else 12, gzip=True,
        on_error=lambda error, batch: lost.append(f"{error}: {batch}"),
        capture_mode="v1" if variant == "v1" else "v0",
    )  # fmt: skip
    for name, said in calls:
        if when := said.pop("timestamp", None):
            said["timestamp"] = datetime.fromisoformat(when)
        getattr(client, name)(**said)
    client.flush()
    client.shutdown()
    return lost


def snowplow_tracker(url: str, key: str, calls: Calls, variant: str) -> list[str]:
    import snowplow_tracker as library

    host = url.removeprefix("http://")
    emitter = library.Emitter(host, protocol="http", method=variant or "post", batch_size=20 if variant != "get" else 1)
    tracker = library.Tracker("t", emitter, app_id=key, encode_base64=True)
    for name, said in calls:
        who = library.Subject()
        for setter, value in said.pop("subject").items():
            getattr(who, setter)(value)
        for each in ("event_json",):
            if each in said:
                said[each] = library.SelfDescribingJson(*said[each])
        said["context"] = [library.SelfDescribingJson(*one) for one in said.get("context", [])]
        tracker.track(getattr(library, name)(**said, event_subject=who))
    while True:
        with emitter.lock:
            emitter.flush()
            if not emitter.event_store.size() and not emitter.retry_timer.is_active():
                return []
        time.sleep(0.1)


def cloudevents(url: str, key: str, calls: Calls, variant: str) -> list[str]:
    """The library writes and reads messages; sending them is the app's, and so is sending them again."""
    import requests
    from cloudevents.core.bindings.http import HTTPMessage, to_binary_event, to_structured_event
    from cloudevents.core.formats.json import JSONFormat
    from cloudevents.core.v1.event import CloudEvent

    lost: list[str] = []

    def post(message: HTTPMessage) -> None:
        for _ in range(100):
            try:
                headers = {**message.headers, "Authorization": f"Bearer {key}"}
                answer = requests.post(f"{url}/v1/facts", data=message.body, headers=headers, timeout=30)
            except requests.RequestException:
                time.sleep(0.2)
                continue
            if answer.status_code == 200:
                return lost.extend(map(str, answer.json()["rejected"]))
            if answer.status_code < 500 and answer.status_code != 429:
                return lost.append(answer.text)
            time.sleep(0.2)
        lost.append("nobody there")

    events: list[CloudEvent] = []
    for _, said in calls:
        data, at = said.pop("data"), datetime.fromisoformat(said.pop("time"))
        events.append(CloudEvent({**said, "time": at}, data))
    if variant == "batch":
        for n in range(0, len(events), 20):
            body = b"[" + b",".join(JSONFormat().write(event) for event in events[n : n + 20]) + b"]"
            post(HTTPMessage({"content-type": "application/cloudevents-batch+json"}, body))
    else:
        for event in events:
            post((to_binary_event if variant == "binary" else to_structured_event)(event))
    return lost


RUNS = {"posthog": posthog, "snowplow-tracker": snowplow_tracker, "cloudevents": cloudevents}

if __name__ == "__main__":
    logging.basicConfig(level=logging.CRITICAL, stream=sys.stderr)
    package, *more, url, key = sys.argv[1:]
    lost = RUNS[package](url, key, json.load(sys.stdin), *(more or [""]))
    print(json.dumps({"version": version(package), "lost": lost}))
