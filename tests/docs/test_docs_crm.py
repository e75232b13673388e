"""``docs/crm.md`` is the code's: settings, owners, and the examples that work."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import get_args

import pytest
from dockit import ROOT, blocks, code, page, part, table
from pydantic import BaseModel

from overture.rules import inspect
from overture_channels.crm import CrmField, Owner, theirs
from overture_channels.hubspot import HubspotConfig
from overture_channels.hubspot_api import AccountConfig
from overture_sources.hubspot import HubspotConfig as SourceConfig

PAGE = page("crm.md")
SETTING_UP = part(PAGE, "## Setting it up")


def held(rows: list[list[str]], config: type[BaseModel]) -> None:
    for name, _, default in rows:
        field = config.model_fields[code(name)]
        if default == "must be set":
            assert field.is_required(), name
        elif default.startswith("`"):
            assert default == f"`{field.default}`", name


def test_the_settings_are_the_codes() -> None:
    common, channel, source = (
        table(text, "setting") for text in SETTING_UP.replace("and the source", "The channel").split("The channel")
    )
    shared = {code(row[0]) for row in common}
    assert shared == set(AccountConfig.model_fields)
    for rows, config in ((channel, HubspotConfig), (source, SourceConfig)):
        assert {code(row[0]) for row in rows} | shared == set(config.model_fields)
        held([*common, *rows], config)
    parts = table(SETTING_UP, "part")
    assert {code(row[0]) for row in parts} | {"owner"} == set(CrmField.model_fields)


def test_the_owners_are_the_codes() -> None:
    assert [code(row[0]) for row in table(PAGE, "`owner`")] == list(get_args(Owner))
    assert theirs("<trait>") == ("crm_<trait>", "crm_<trait>_at")
    for name in theirs("<trait>"):
        assert f"`{name}`" in PAGE


def test_the_examples_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUBSPOT_TOKEN", "s")
    monkeypatch.chdir(tmp_path)
    settings, fields = blocks(PAGE, "toml")
    (tmp_path / "crm-fields.toml").write_text(fields)
    told = tomllib.loads(settings)
    made = [
        SourceConfig.model_validate(told["sources"]["hubspot"]),
        HubspotConfig.model_validate(told["channels"]["hubspot"]),
    ]
    assert {each.owner for config in made for each in config.fields.values()} == set(get_args(Owner))
    (text,) = blocks(PAGE, "yaml")
    ruleset, findings = inspect(text)
    assert ruleset is not None
    assert findings == []


def test_the_reasons_are_the_codes() -> None:
    source = (ROOT / "plugins" / "channels" / "overture_channels" / "hubspot.py").read_text("utf-8")
    for row in table(PAGE, "reason"):
        reason = code(row[0])
        assert reason == "hubspot.400" or f'"{reason}"' in source, reason
