"""The schema of settings is a plugin's own code: it is asked for once, and what it raises is nobody's trouble."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from overture.plugin import PluginManager

ODD = """
from pydantic import BaseModel
from overture.plugin import ChannelPlugin, hookimpl

class Config(BaseModel):
    @classmethod
    def model_json_schema(cls, *a, **k):
        open("asked", "a").write("x")
        raise SystemExit(3)

@hookimpl
def overture_channels():
    yield ChannelPlugin(name="odd", config=Config, open=Config, address_of=str)
"""


def test_a_schema_that_cannot_be_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ov_odd_schema.py").write_text(ODD)
    info = tmp_path / "ov_odd_schema-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ov-odd-schema\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[overture]\nodd_schema = ov_odd_schema\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    manager = PluginManager()
    manager.load()

    def shown() -> list[dict[str, Any]]:
        return [
            schema
            for state in manager.states()
            if state.name == "odd_schema"
            for *_, schema, _ in manager.offers(state)
        ]

    assert shown() == shown() == [{"description": "It cannot be shown: It raised SystemExit: 3. [plugin.raised]"}]
    assert (tmp_path / "asked").read_text() == "x"
