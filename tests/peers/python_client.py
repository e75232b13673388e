"""Makes the calls on standard input with a library of Segment or RudderStack: ``python_client.py PACKAGE URL KEY``."""

from __future__ import annotations

import importlib
import json
import logging
import sys
from datetime import datetime


def main(package: str, url: str, key: str) -> None:
    logging.basicConfig(level=logging.ERROR, stream=sys.stderr)
    client_of = importlib.import_module(f"{package}.analytics.client").Client
    lost: list[str] = []
    client = client_of(
        key,
        host=url,
        on_error=lambda error, items: lost.append(f"{error}: {items}"),
        upload_size=20,
        upload_interval=0.2,
        gzip=True,
    )
    for each in json.load(sys.stdin):
        call, at = each.pop("call"), datetime.fromisoformat(each.pop("timestamp"))
        getattr(client, call)(timestamp=at, **{SAID.get(name, name): value for name, value in each.items()})
    client.flush()
    client.shutdown()
    version = importlib.import_module(f"{package}.analytics.version").VERSION
    print(json.dumps({"version": version, "lost": lost}))


SAID = {"userId": "user_id", "anonymousId": "anonymous_id", "previousId": "previous_id", "groupId": "group_id"}

if __name__ == "__main__":
    main(*sys.argv[1:])
