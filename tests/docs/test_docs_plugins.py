"""``docs/plugins.md`` is true: its package is installed as pip would leave it, loaded, and held to the contract."""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from importlib import import_module, invalidate_caches
from pathlib import Path

import pytest
from dockit import CODE, blocks, page, part, table
from ruamel.yaml import YAML

from overture.model import Contact
from overture.plugin import HOOK_API, Limits, Outgoing, PluginManager
from overture.rules import inspect

PAGE = page("plugins.md")
MODULES = ("overture_sms", "test_overture_sms")


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    project = tomllib.loads(blocks(PAGE, "toml")[0])["project"]
    for name, source in zip(MODULES, blocks(PAGE, "python"), strict=True):
        assert f"`{name}.py`" in PAGE
        (tmp_path / f"{name}.py").write_text(source)
    info = tmp_path / f"overture_sms-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    points = [f"{name} = {module}" for name, module in project["entry-points"]["overture"].items()]
    (info / "entry_points.txt").write_text("\n".join(["[overture]", *points]))
    monkeypatch.syspath_prepend(str(tmp_path))
    invalidate_caches()
    yield tmp_path
    for name in MODULES:
        sys.modules.pop(name, None)


@pytest.mark.usefixtures("installed")
def test_the_package_holds_the_contract():
    import_module("test_overture_sms").test_the_contract()


@pytest.mark.usefixtures("installed")
async def test_the_package_is_loaded_and_opened(monkeypatch: pytest.MonkeyPatch):
    manager = PluginManager()
    manager.load()
    state = next(state for state in manager.states() if state.name == "sms")
    assert (state.distribution, state.version, state.state, state.error) == ("overture-sms", "1.0.0", "active", "")
    monkeypatch.setenv("SMS_TOKEN", "s3cret")
    settings = tomllib.loads(blocks(PAGE, "toml")[1])["channels"]
    mail = {"url": "smtp://127.0.0.1:1", "sender": "news@example.org"}
    assert manager.configure_channels({**settings, "email": mail}) == []
    hosted = manager.open_channels()
    assert hosted["sms"].address_of(Contact("ada", traits={"phone": "+49"})) == "+49"
    assert hosted["sms"].address_of(Contact("ada")) is None
    for channel in hosted.values():
        await channel.close()


def test_its_ruleset_passes_the_checker():
    frame = {"apiVersion": "overture/v1", "kind": "Ruleset", "name": "sms"}
    facts = {"order_completed": {"order_id": "string"}}
    (fragment,) = blocks(PAGE, "yaml")
    ruleset, findings = inspect(json.dumps({**frame, "facts": facts, **YAML(typ="safe").load(fragment)}))
    assert findings == []
    assert ruleset is not None


def test_names_and_numbers_are_the_codes():
    text = part(PAGE, "## What `send` may do")
    assert {field.name for field in fields(Outgoing)} <= set(CODE.findall(text))
    said = {name for row in table(text, "it") for name in CODE.findall(row[0])}
    assert said == {"Sent", "Rejected", "RetryLater", "AmbiguousHandOff"}
    limits = Limits()
    assert f"longer than {limits.timeout:g} seconds" in text
    assert f"up to {limits.parallel} times at once" in text
    assert f"After {limits.failures} failures in a row the channel is left alone for {limits.pause:g} seconds" in text
    assert f"`OVERTURE_HOOK_API = {HOOK_API}`" in PAGE
