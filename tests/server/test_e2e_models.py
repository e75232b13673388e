"""A model learns on a real server who buys, scores apart who does and who does not, and says why."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

from serverkit import Server, eventually, fact

SHOP = """\
apiVersion: overture/v1
kind: Ruleset
name: shop
facts: {visited: {}, basket: {}, bought: {}}
traits: {country: "string?"}
scores: {likely: {min: 0, max: 1}}
models:
  buys:
    predict: fact.type == "bought"
    within: 7d
    features:
      baskets: count("basket", within="30d")
      country: contact.country
rules:
  score: {when: fact.type == "visited", then: [{score: {name: likely, by: buys}}]}
segments:
  about-to-buy: {when: contact.scores.likely >= 0.5}
"""


def scored(server: Server, contact: str) -> dict[str, Any]:
    """What the model says of a contact now, and which version of it."""
    decision = server.facts(fact("visited", contact))["decisions"][0]
    effects = [effect for firing in decision["firings"] for effect in firing["effects"]]
    return next(effect for effect in effects if effect["kind"] == "scorer")


def test_a_model_learns_and_everything_agrees_on_its_version(tmp_path: Path) -> None:
    with Server(tmp_path, RULESETS="", MOVABLE_CLOCK="true") as server:
        server.deploy("shop", SHOP)
        keen, idle = ([f"{kind}{n}" for n in range(80)] for kind in ("keen", "idle"))
        assert scored(server, "first")["reason"] == "model.nothing_learned"
        server.facts(*(fact("basket", c) for c in keen for _ in range(3)))
        server.facts(*(fact("visited", c) for c in (*keen, *idle)))
        server.facts(*(fact("bought", c) for c in (*keen[:70], *idle[:6])))
        (state,) = server.get("/v1/models")
        assert (state["version"], state["examples"]) == (None, 0), "nothing counts before a week has passed"

        server.advance("8d")
        state = eventually(lambda: (found := server.get("/v1/models")[0])["version"] and found, "it has learned")
        assert (state["examples"], state["yes"], state["waits"]) == (161, 76, "")
        assert state["measured"]["log_loss"] < state["measured"]["base_log_loss"]
        server.facts(*(fact("basket", "ada") for _ in range(3)))
        ada, bob = scored(server, "ada"), scored(server, "bob")
        assert ada["after"]["value"] > 0.7 > 0.3 > bob["after"]["value"]
        assert ada["after"]["contributions"]["baskets"] > 0 > bob["after"]["contributions"]["baskets"]
        assert ada["before"] == bob["before"] == state["version"]
        assert [server.contact(c)["segments"] for c in ("ada", "bob")] == [["about-to-buy"], []]

        told = server.get("/v1/contacts/ada/explain?rule=score")
        value = f"{ada['after']['value']:.2f}".rstrip("0")
        assert f"likely is {value} by buys, version {state['version']}, because baskets +" in told["sentence"]
        assert told["state"] == "then"

        answer = server.call("POST", "/v1/rulesets/shop/backtest", SHOP.replace(">= 0.5", ">= 0.999").encode())
        job = eventually(lambda: (j := server.get(answer.headers["Location"]))["state"] == "done" and j, "it is done")
        (ada_twice,) = (
            each for each in server.pages(f"/v1/backtests/{job['id']}/contacts?limit=500") if each["contact"] == "ada"
        )
        assert "likely" not in str(ada_twice.get("scores", "")), "both sides score her alike"

        server.stop(signal.SIGKILL)
        server.start()
        assert scored(server, "ada")["before"] == state["version"]
        assert server.get("/v1/models")[0] == state
        pinned = server.call("POST", "/v1/models/shop/buys/pin", b'{"pinned": true}')
        assert pinned.json["version"] == state["version"]
        assert server.get("/v1/models")[0]["pinned"]
        server.deploy("shop", SHOP.replace(">= 0.5", ">= 0.6"))
        assert scored(server, "ada")["before"] == state["version"], "it asks the same"
        server.deploy("shop", SHOP.replace("within: 7d", "within: 6d"))
        assert scored(server, "ada")["reason"] == "model.nothing_learned", "it asks something else"
