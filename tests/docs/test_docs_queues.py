"""What ``docs/sources.md`` says of queues: the settings are the code's, its examples are good."""

from __future__ import annotations

import re
import tomllib

import pytest
from dockit import blocks, code, page, part, table

from overture_sources.kafka import KafkaConfig
from overture_sources.postgres import PostgresConfig
from overture_sources.records import RecordConfig
from overture_sources.redis_stream import StreamConfig

PART = part(page("sources.md"), "## Queues")
CONFIGS: dict[str, type[RecordConfig]] = {
    "redis_stream": StreamConfig,
    "kafka": KafkaConfig,
    "postgres": PostgresConfig,
}


def test_the_settings_are_the_codes() -> None:
    rows = {code(row[0]): re.findall(r"`(\w+)`", row[2]) for row in table(PART, "source")}
    assert {name: set(said) for name, said in rows.items()} == {
        name: set(config.model_fields) for name, config in CONFIGS.items()
    }


def test_the_examples_are_good(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_REDIS_URL", "redis://shop.example.com/0")
    monkeypatch.setenv("KAFKA_PASSWORD", "secret")
    monkeypatch.setenv("CRM_URL", "postgresql://overture@crm.example.com/crm")
    (example,) = [each for each in blocks(PART, "toml") if "[sources.redis_stream]" in each]
    seen: set[str] = set()
    for name, settings in tomllib.loads(example)["sources"].items():
        seen.add(of := settings.pop("plugin", name))
        CONFIGS[of].model_validate(settings)
    assert seen == set(CONFIGS)
