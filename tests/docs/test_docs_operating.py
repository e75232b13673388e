"""``docs/operating.md`` is true: its tables of settings, metrics, files and readiness are those of the code."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest
import redis
from dockit import PATIENCE, Running, blocks, code, page, part, table
from prometheus_client.parser import text_string_to_metric_families

from overture.delivery.backoff import Backoff
from overture.model.environ import PREFIX
from overture.node.facts import PATIENCE as WAIT
from overture.plugin import Limits
from overture.sandbox.rendering.engine import LARGEST
from overture.settings import Settings
from overture.settings.sentences import TABLES
from overture.state import keys
from overture.state.contacts import TIMELINE
from overture.state.embedded import options
from overture.state.log import DEDUPE_MS
from overture.state.outbox import STATES
from overture.state.probe import OLDEST
from overture.web.body import MADE, Bodies
from overture.worker.batch import COMMIT_BYTES
from overture_channels.smtp import SmtpConfig
from overture_channels.webhook import WebhookConfig

PAGE = page("operating.md")
SETTINGS = table(part(PAGE, "## Settings"), "setting")


def test_the_settings_are_the_codes():
    shown = Settings().shown()
    assert [code(row[0]) for row in SETTINGS] == list(Settings.model_fields)
    for name, variable, default, what in SETTINGS:
        field = code(name)
        assert variable == ("" if field in TABLES else f"`{PREFIX}{field.upper()}`")
        if field != "rulesets":
            assert default == (f"`{shown[field]}`" if shown[field] else ""), field
        assert what


@pytest.mark.parametrize(("channel", "config"), [("email", SmtpConfig), ("webhook", WebhookConfig)])
def test_the_settings_of_the_channels_are_the_codes(channel: str, config: type[SmtpConfig | WebhookConfig]):
    found = re.search(rf"`\[channels\.{channel}\]` takes ((?:`\w+`(?:, | and )?)+)", PAGE)
    assert found
    assert re.findall(r"`(\w+)`", found[1]) == list(config.model_fields)


def test_numbers_are_the_codes():
    limits = dict(table(part(PAGE, "## Limits"), "what"))
    days = DEDUPE_MS // 86_400_000
    assert limits == {
        "facts in a contact's timeline": f"{TIMELINE}",
        "days that a fact's id is remembered": f"{days} to {2 * days}",
        "seconds that `?wait=true` waits": f"{WAIT:g}",
        "bytes of all bodies in flight": f"{Bodies()._budget}",
        f"bytes that sources make of large bodies, {MADE} times their own": f"{Bodies()._budget}",
        "bytes of states, effects and messages in one commit, about": f"{COMMIT_BYTES}",
        "calls of one channel at once": f"{Limits().parallel}",
        "seconds of one hand-off": f"{Limits().timeout:g}",
        "characters of a rendered text": f"{LARGEST}",
    }
    backoff, channel = Backoff(), Limits()
    text = " ".join(part(PAGE, "## Messages that did not go").split())
    assert f"after {backoff.first_ms // 1000} seconds" in text
    assert f"for {backoff.age_ms // 86_400_000} days since it was decided" in text
    assert f"{backoff.ambiguous} such attempts are enough" in text
    assert backoff.longest_ms == 3_600_000
    assert f"After {channel.failures} failures in a row a channel is left alone for {channel.pause:g} seconds" in text
    assert all(f"`{state}`" in text for state in STATES)
    assert f"Redis {OLDEST[0]}.{OLDEST[1]} or later" in PAGE


def test_the_configuration_of_an_own_redis_is_strong(running: Running):
    """The embedded store is run with exactly what the page asks of another."""
    asked = dict(line.split() for line in blocks(part(PAGE, "## Your own Redis"), "")[0].splitlines())
    given = options(Path("data"), Path("store.sock"), "always")
    for name, value in asked.items():
        assert given[given.index(f"--{name}") + 1] == value
    assert ready(running)["store"]["durability"] == "always"


def ready(running: Running) -> dict[str, object]:
    with urlopen(f"{running.url}/readyz") as answer:
        return json.load(answer)


def test_readyz_answers_what_the_page_says(running: Running):
    told = [code(row[0]) for row in table(part(PAGE, "## Is it well?"), "field")]
    assert set(told) == set(ready(running))


def test_the_metrics_are_those_of_the_page(running: Running):
    rows = table(part(PAGE, "## Is it well?"), "metric")
    told = {code(row[0]): set(re.findall(r"`(\w+)`", row[1])) for row in rows}
    with urlopen(f"{running.url}/healthz"), urlopen(f"{running.url}/metrics") as answer:
        found = {
            f"{family.name}_total" if family.type == "counter" else family.name: {
                label for sample in family.samples for label in sample.labels
            }
            - {"le"}
            for family in text_string_to_metric_families(answer.read().decode())
            if family.name.startswith("overture_") and not family.name.endswith("_created")
        }
    assert set(found) == set(told)
    for name, labels in found.items():
        assert labels <= told[name]


def test_the_data_directory_holds_what_the_page_says(running: Running):
    text = part(PAGE, "## The data directory")
    told = {code(row[0]) for row in table(text, "name")}
    found = {path.name for path in running.data.iterdir()}
    assert {"appendonlydir", "keys.json", "lock", "store.lock", "store.json", "store.log"} <= found
    assert found - {"store.log.1"} <= told


def test_a_manifest_looks_as_the_page_says(running: Running):
    (told,) = blocks(part(PAGE, "## The data directory"), "")
    found = (running.data / "appendonlydir" / "appendonly.aof.manifest").read_text()
    number = re.findall(r"seq (\d+)", found)[0]  # one more each time that the file was written anew, as an erasure does
    assert found.replace(f".{number}.", ".1.").replace(f"seq {number} ", "seq 1 ") == told


def run(running: Running, command: str, **environ: str) -> str:
    """What a command of the page prints, beside the data directory of the server."""
    words = shlex.split(command)
    assert words[0] == ".venv/bin/python"
    done = subprocess.run(
        [sys.executable, *words[1:]], cwd=running.data.parent, env={**os.environ, **environ},
        capture_output=True, text=True, timeout=PATIENCE, check=True,
    )  # fmt: skip
    return done.stdout


def test_a_key_is_made_and_revoked_as_the_page_says(running: Running):
    (commands,) = blocks(part(PAGE, "## Keys"), "")
    environ = {"OVERTURE_PORT": running.url.rpartition(":")[2]}
    new, listed, revoked = (
        run(running, f".venv/bin/python -m {line.replace('overture', 'overture.cli', 1)}", **environ)
        for line in commands.splitlines()
    )
    assert new.startswith("ov_shop_")
    assert "shop facts:track pages of https://shop.example.com; 1000 facts a second" in listed.splitlines()
    assert revoked == "The key shop is revoked.\n"


def test_dead_letters_are_seen_as_the_page_says(running: Running):
    (command,) = blocks(part(PAGE, "## Facts that could not be decided"), "")
    with redis.Redis.from_url(json.loads((running.data / "store.json").read_text())["url"]) as store:
        store.xadd(keys.dead(15), {"fact": b"x", "reason": "a test"})
        assert "a test" in run(running, command)
        store.delete(keys.dead(15))
    assert run(running, command) == ""
    assert f"range({Settings().partitions})" in command
