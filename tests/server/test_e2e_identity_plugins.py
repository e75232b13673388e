"""Identity plugins in a real server: who is meant is asked before anything is stored, or nothing is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import hookkit
import pytest
from serverkit import WRITE, Server, fact

CARDS = """
class Cards(Closes):
    def __init__(self, config):
        if mode("open") == "raise":
            raise RuntimeError("it cannot be opened")

    async def resolve(self, identifiers):
        told("asked", dict(identifiers))
        match mode("resolve"):
            case "raise":
                raise RuntimeError("it is broken today")
            case "hang":
                await asyncio.sleep(30)
            case "wrong":
                return {"user_id": 7}
            case "nobody":
                return {}
        card = identifiers.get("external", {}).get("card")
        email = identifiers.get("email")
        known = {"user_id": "ada"} if card == "77" else {}
        address = {"email": email.replace("+news", "")} if email else {}
        return {**identifiers, **address, **known}


@hookimpl
def overture_identity():
    yield IdentityPlugin(name="cards", config=Config, open=Cards)
"""


def post(server: Server, *facts: Any) -> tuple[int, Any]:
    answer = server.call("POST", "/v1/facts?wait=true", facts[0] if len(facts) == 1 else list(facts), key=WRITE)
    return answer.status, answer.json


def test_what_it_answers_says_whose_a_fact_is(tmp_path: Path) -> None:
    with hookkit.server(tmp_path, CARDS) as server:
        server.facts(fact("bought", {"external": {"card": "77"}}), fact("bought", {"external": {"card": "77"}}))
        server.facts(fact("bought", {"external": {"card": "78"}}))
        assert len([m for m in server.timeline("ada") if m["fact"]["type"] == "bought"]) == 2
        assert server.contact("external:card:77")["id"] == "ada"  # what was presented leads there too
        assert server.contact("external:card:78")["id"] == "external:card:78"
        asked = (tmp_path / "asked").read_text().splitlines()
        assert len(asked) == 2  # once for each identity in a request
        server.facts(fact("read", {"email": "Bob+News@example.org"}), fact("read", {"email": "bob@example.org"}))
        assert len(server.timeline("email:bob@example.org")) == 2


@pytest.mark.parametrize("how", ["raise", "hang", "wrong", "nobody"])
def test_where_it_fails_nothing_of_the_request_is_taken(tmp_path: Path, how: str) -> None:
    (tmp_path / "resolve").write_text(how)
    with hookkit.server(tmp_path, CARDS) as server:
        facts = [fact("bought", {"external": {"card": "77"}}), fact("bought", "bob")]
        status, told = post(server, *facts)
        assert (status, told["code"]) == (503, "identity.failing")
        assert told["detail"].startswith("The identity plugin cards ")
        assert (server.find("bob"), server.find("external:card:77")) == (None, None)
        (tmp_path / "resolve").unlink()
        assert post(server, *facts)[0] == 200
        assert server.facts(*facts)["duplicates"] == 2
        assert server.contact("external:card:77")["id"] == "ada"


def test_one_that_cannot_be_opened_lets_nothing_in(tmp_path: Path) -> None:
    (tmp_path / "open").write_text("raise")
    with hookkit.server(tmp_path, CARDS) as server:
        status, told = post(server, fact("bought", "bob"))
        assert (status, told["code"]) == (503, "identity.failing")
        assert "could not be opened" in told["detail"]
