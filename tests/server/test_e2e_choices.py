"""Choices, live: asked for over HTTP, counted, learned from, there after a kill; and a message at its best hour."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

from serverkit import Server, eventually, fact

SHOP = """\
apiVersion: overture/v1
kind: Ruleset
name: shop
facts:
  viewed: {}
  bought: {}
traits: {country: "string?"}
choices:
  hero:
    variants: {plain: , code: , local: {if: contact.country == "DE"}}
    goal: fact.type == "bought"
    within: 3d
"""


def ask(server: Server, contact: str, id: str, *names: str) -> Any:
    body = fact("viewed", contact, id=id) | {"choices": list(names or ("hero",))}
    return server.call("POST", "/v1/decide", body).json


def hero(server: Server) -> Any:
    (only,) = server.get("/v1/choices")
    return only


def test_what_does_better_is_shown_more_and_each_impression_counts_once(tmp_path: Path) -> None:
    with Server(tmp_path, RULESETS="", MOVABLE_CLOCK="true") as server:
        server.deploy("shop", SHOP)
        answers = {c: ask(server, c, f"v{c}") for c in (f"early{n}" for n in range(60))}
        shown = {c: answer["choices"]["hero"]["variant"] for c, answer in answers.items()}
        assert {*shown.values()} == {"plain", "code"}, "nobody is known to live in Germany"
        first = answers["early0"]["choices"]["hero"]
        assert (first["propensity"], first["version"], first["kept"]) == (0.5, None, False)

        again = ask(server, "early0", "vearly0")
        assert again["status"] == "duplicate"
        assert again["choices"]["hero"] == first | {"kept": True}
        assert ask(server, "early0", "other")["choices"]["hero"] == first | {"kept": True}
        nothing = ask(server, "early0", "nothing", "hero", "nothing")["choices"]["nothing"]
        assert nothing == {"variant": None, "reason": "choice.unknown"}
        assert sum(arm["shown"] for arm in hero(server)["arms"]) == 60

        server.facts(*(fact("bought", c) for c, variant in shown.items() if variant == "code"))
        before = hero(server)
        assert (before["version"], before["best"], before["regret"]) == (None, None, None)
        assert [arm["counted"] for arm in before["arms"]] == [0, 0, 0], "nobody counts before three days have passed"
        server.advance("4d")
        after = eventually(lambda: (found := hero(server))["version"] and found, "something was learned")
        n = sum(variant == "code" for variant in shown.values())
        arms = {arm["variant"]: arm for arm in after["arms"]}
        assert {name: (arm["counted"], arm["reached"]) for name, arm in arms.items()} == {
            "plain": (60 - n, 0), "code": (n, n), "local": (0, 0)
        }  # fmt: skip
        assert (after["best"], after["examples"], arms["code"]["rate"]["value"]) == ("code", 60, 1.0)
        assert abs(after["lost"] - (60 - n)) < 1, "all others would have bought, as far as anybody can tell"
        assert arms["code"]["share"] > 0.9 > arms["local"]["share"] > arms["plain"]["share"] > 0.016

        server.stop(signal.SIGKILL)
        server.start()
        assert hero(server) == after
        assert ask(server, "early0", "later")["choices"]["hero"]["variant"] == shown["early0"], "it keeps its own"
        later = [ask(server, f"late{n}", f"vlate{n}")["choices"]["hero"] for n in range(20)]
        assert [c["version"] for c in later] == [after["version"]] * 20
        assert sum(c["variant"] == "code" for c in later) >= 17

        told = server.get("/v1/contacts/late0/explain?choice=hero")
        percent = f"{100 * later[0]['propensity']:.3g} %"
        known = (
            f"Variant {later[0]['variant']} was chosen: {percent} by what was learned until version {after['version']}"
        )
        assert (told["outcome"], told["sentence"].startswith(known)) == ("shown", True)
        server.facts(fact("identify", "greta", country="DE"))
        told = server.get("/v1/contacts/greta/explain?choice=shop/hero")
        assert (told["outcome"], "local with" in told["sentence"]) == ("not_shown", True)
        answer = server.call("GET", "/v1/contacts/greta/explain?choice=heros")
        assert (answer.status, answer.json["code"]) == (404, "choice.unknown")
        refused = server.call("POST", "/v1/decide", fact("viewed", "ada") | {"choices": ["a b"]})
        assert (refused.status, refused.json["code"]) == (400, "fact.choices_invalid")
