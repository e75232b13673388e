"""What ``docs/sources.md`` says of queues: the settings are the code's, its examples are good."""

from __future__ import annotations

import re
import tomllib

import pytest
from dockit import blocks, code, page, part, table

from overture_sources.redis_stream import StreamConfig

PART = part(page("sources.md"), "## Queues")


def test_the_settings_are_the_codes() -> None:
    rows = {code(row[0]): re.findall(r"`(\w+)`", row[2]) for row in table(PART, "source")}
    assert set(rows["redis_stream"]) == set(StreamConfig.model_fields)


def test_the_examples_are_good(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_REDIS_URL", "redis://shop.example.com/0")
    (example,) = [each for each in blocks(PART, "toml") if "[sources.redis_stream]" in each]
    for name, settings in tomllib.loads(example)["sources"].items():
        assert settings.pop("plugin", name) == "redis_stream"
        assert StreamConfig.model_validate(settings).key
