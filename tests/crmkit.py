"""The CRM of `tests/peers/crm.py`, and what people do there."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

TOKEN, APP = "pat-eu1-of-this-test-and-of-no-account", "4711"
PEER = Path(__file__).parent / "peers" / "crm.py"
FIELDS = """\
firstname = {owner = "crm"}
vip = {owner = "crm", type = "bool"}
phone = {owner = "latest"}
jobtitle = {owner = "latest", trait = "job"}
lead_score = {owner = "overture"}
"""
PATIENCE = 30.0  # seconds that an answer may take


class Crm:
    """What a test does at the CRM."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def ask(self, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        with urlopen(Request(self.url + path, data, {"Content-Type": "application/json"}), timeout=PATIENCE) as answer:
            return json.load(answer)

    def edit(self, email: str, /, **properties: str) -> int:
        """A person saves a contact; answers its id."""
        return self.ask("/_/edit", [{"properties": {"email": email, **properties}}])[0]

    def edits(self, edits: list[Any]) -> list[int]:
        return self.ask("/_/edit", edits)

    def now(self) -> int:
        """What time it is there (ms)."""
        return self.ask("/_/time")

    def behave(self, **how: Any) -> None:
        """``delay``: seconds until the search knows; ``throttle``: Retry-After of the next answers 429; ``lose``: so
        many writes are done, and their answers lost; ``heedless``: whether the search answers the same whatever it is
        asked for.
        """
        self.ask("/_/behave", how)

    def contact(self, email: str) -> dict[str, str]:
        found = self.ask("/_/state")["contacts"].get(email)
        return {} if found is None else found["properties"]

    def versions(self, email: str, name: str) -> list[Any]:
        """The values of a property and who wrote them, oldest first."""
        history = self.ask("/_/state")["contacts"][email]["propertiesWithHistory"][name]
        return [(each["value"], each["sourceType"]) for each in history[::-1]]

    def requests(self, what: str = "") -> int:
        """How many there were whose method and path begin so."""
        return sum(n for told, n in self.ask("/_/state")["requests"].items() if told.startswith(what))

    def writes(self) -> int:
        return self.requests("PATCH") + self.requests("POST /batch/upsert")


@contextmanager
def crm() -> Iterator[Crm]:
    process = subprocess.Popen([sys.executable, str(PEER), TOKEN, APP], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        yield Crm(json.loads(process.stdout.readline())["port"])
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(PATIENCE)


def account(peer: Crm, **more: Any) -> dict[str, Any]:
    """The settings with which it may be used."""
    base = {"base_url": peer.url, "egress_allow": ["127.0.0.0/8"], "access_token": TOKEN, "app_id": APP}
    return {**base, "fields": tomllib.loads(FIELDS), **more}
