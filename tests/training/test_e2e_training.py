"""A model trained on recorded facts decides on a real server, and says the same there as its file says here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from trainingkit import SHOP, lines, posted

from overture.cli.main import run
from overture.model.artefact import predict, unpack
from overture.testing import OvertureServer
from overture.testing.server import ADMIN, WRITE


def test_what_was_trained_decides_when_it_is_activated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ruleset, file, model = tmp_path / "shop.yaml", tmp_path / "facts.ndjson", tmp_path / "model.json"
    ruleset.write_text(SHOP)
    file.write_bytes(b"\n".join(lines(posted())))
    command = ["train", str(ruleset), "--facts", str(file), "--kind", "logistic", "--out", str(model), "--activate"]
    monkeypatch.setenv("OVERTURE_ADMIN_KEY", ADMIN)
    monkeypatch.setenv("OVERTURE_WRITE_KEY", WRITE)
    with OvertureServer(tmp_path / "server") as server:
        assert run([*command, "--url", server.url]) == 2
        assert "model" in capsys.readouterr().err
        server.deploy(SHOP)
        assert run([*command, "--url", server.url, "--json"]) == 0
        report = json.loads(capsys.readouterr().out)
        ((state,),) = [server.call("GET", "/v1/models")[1]]
        assert (state["version"], state["pinned"]) == (report["digest"], True)
        assert report["active"]["version"] == report["digest"]

        server.post({"id": "i", "type": "identify", "contact": "ada", "properties": {"country": "DE"}})
        for n in range(4):
            server.post({"id": f"b{n}", "type": "bought", "contact": "ada", "properties": {"total": 20}})
        fact = {"id": "w", "type": "week_began", "contact": "ada"}
        _, told = server.call("POST", "/v1/facts?wait=true", [fact], key=WRITE)
        effects = [effect for firing in told["decisions"][0]["firings"] for effect in firing["effects"]]
        (said,) = (effect for effect in effects if effect["kind"] == "scorer")
        # Right after the last of them: what little time has passed since changes no digit that is told.
        known = {"n7": 4.0, "n28": 4.0, "spent": 80.0, "days": 0.0, "country": "DE"}
        expected = predict(unpack(model.read_bytes()), known)
        assert said["before"] == report["digest"]
        assert said["after"]["value"] == pytest.approx(expected.probability, abs=1e-3)
        assert said["after"]["contributions"].keys() == expected.contributions.keys()
