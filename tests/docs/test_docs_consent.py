"""``docs/consent.md`` is true: its states, links and numbers are the code's, its ruleset is good, its command works."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys

import redis
from dockit import PATIENCE, Running, blocks, code, page, part, table

from overture.decide import consent_verdict
from overture.delivery.links import CONFIRM_DAYS, HEADER, PATH
from overture.intake import Caps, parse
from overture.intake.fields import CONSENT_STATES
from overture.model import Contact
from overture.rules.document import inspect
from overture.rules.template import LINKS
from overture.state import keys
from overture.state.ledger import SAID

PAGE = page("consent.md")
NOW = 1_774_605_600_000


def test_the_states_are_the_codes() -> None:
    rows = {row[0].strip("`"): row[2].strip("`") for row in table(PAGE, "state")}
    assert set(rows) == {"", *CONSENT_STATES}
    for state, reason in rows.items():
        consent = {"email": {"marketing": state}} if state else {}
        assert consent_verdict(Contact("ada", consent=consent), "email", "marketing") == reason


def test_the_fact_is_good_and_what_it_says_is_kept() -> None:
    (block,) = blocks(PAGE, "json")
    (draft,) = parse(block.encode(), NOW, Caps(), "", "application/json").drafts
    assert set(draft.properties) - {"channel", "purpose", "state"} == set(SAID) - {"message"}


def test_the_links_and_their_numbers_are_the_codes() -> None:
    assert {code(row[0]) for row in table(PAGE, "variable")} == {f"links.{name}" for name in LINKS}
    assert f"good for {CONFIRM_DAYS} days" in PAGE
    assert f"longer than {HEADER} characters" in " ".join(PAGE.split())
    assert f"`{PATH}`" in PAGE


def test_the_ruleset_of_the_double_opt_in_is_good() -> None:
    (block,) = blocks(part(PAGE, "## Double opt-in"), "yaml")
    head = "apiVersion: overture/v1\nkind: Ruleset\nname: opt-in\nrequires: {channels: [email]}\n"
    ruleset, findings = inspect(head + block)
    assert ruleset is not None
    assert findings == []


def test_the_key_is_changed_as_the_page_says(running: Running) -> None:
    (command,) = blocks(part(PAGE, "## Keys"), "")
    with redis.Redis.from_url(json.loads((running.data / "store.json").read_text())["url"]) as store:
        before: dict[bytes, bytes] = store.hgetall(keys.LINK_KEYS)  # type: ignore[assignment]
        words = shlex.split(command)
        subprocess.run(
            [sys.executable, *words[1:]], cwd=running.data.parent, env=os.environ, timeout=PATIENCE, check=True
        )
        after: dict[bytes, bytes] = store.hgetall(keys.LINK_KEYS)  # type: ignore[assignment]
        assert {number: after[number] for number in before} == before
        (new,) = set(after) - set(before)
        assert int(new) > max(map(int, before))
        assert len(after[new]) == 32
        store.hdel(keys.LINK_KEYS, new)
