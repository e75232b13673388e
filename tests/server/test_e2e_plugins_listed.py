"""``overture plugins`` and the list of what may be loaded: from a running server, and without one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from serverkit import ADMIN, WRITE, Server, installed, overture, written
from test_e2e_sources import DOORBELL, ring

SPY = "from pathlib import Path\nPath('imported').touch()\n"
BROKEN = "raise RuntimeError('not today')\n"
LINGERS = "import threading, time\nthreading.Thread(target=time.sleep, args=(1000,)).start()\n"


def told(here: Path, *more: str, **environ: str) -> Any:
    ran = overture("plugins", "--json", *more, cwd=here, environ=environ)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def by_name(found: Any) -> dict[str, Any]:
    return {plugin["name"]: plugin for plugin in found["plugins"]}


def test_without_a_server_it_is_shown_what_would_be_loaded(tmp_path: Path) -> None:
    here = written(installed(tmp_path, "doorbell", DOORBELL), "[sources.back]\nplugin = 'doorbell'\n")
    plugin = by_name(told(here, "--local"))["doorbell"]
    assert {key: plugin[key] for key in ("distribution", "version", "hooks", "state", "error")} == {
        "distribution": "ov-doorbell", "version": "1.0", "hooks": ["overture_sources"], "state": "active", "error": "",
    }  # fmt: skip
    offers = {offer["name"]: offer["open"] for offer in plugin["offers"]}
    assert offers == {
        "doorbell": {"doorbell": "not running", "back": "not running"},
        "needy": {},
        "mail": {},
    }
    shown = overture("plugins", "--local", cwd=here, environ={"COLUMNS": "200"}).stdout
    rows = [line.split() for line in shown.splitlines()]
    assert ["source", "doorbell", "as", "back", "not", "running"] in rows
    assert ["source", "needy", "not", "configured"] in rows


def test_what_is_wrong_in_the_settings_is_told_and_not_shown(tmp_path: Path) -> None:
    here = written(installed(tmp_path, "doorbell", DOORBELL), "[sources.doorbell]\nhose = 's3cret'\n")
    found = told(here, "--local")
    assert [m for m in found["mistakes"] if "sources.doorbell.hose (overture.toml) is no setting of the source" in m]
    assert "s3cret" not in json.dumps(found)
    assert "is no setting of the source" in overture("plugins", "--local", cwd=here).stdout


def test_a_running_server_tells_what_failed_and_how_often(tmp_path: Path) -> None:
    here = installed(installed(tmp_path, "doorbell", DOORBELL), "broken", BROKEN)
    with Server(here) as server:
        own = {"OVERTURE_ADMIN_KEY": ADMIN}
        for _ in range(3):
            assert server.call("POST", "/ring", b"no json", key=WRITE).status == 503
        assert ring(server, "/ring", {"id": "r1", "type": "rung", "contact": "ada"}) == 200
        found = by_name(told(here, "--url", server.url, **own))
        assert (found["broken"]["state"], found["broken"]["error"]) == ("failed", "RuntimeError: not today")
        (bell,) = [offer for offer in found["doorbell"]["offers"] if offer["name"] == "doorbell"]
        assert bell["open"] == {"doorbell": "closed"}
        assert bell["trouble"]["doorbell"]["failures"] == 3
        assert "JSONDecodeError" in bell["trouble"]["doorbell"]["last"]
        shown = overture("plugins", "--url", server.url, cwd=here, environ={**own, "COLUMNS": "250"}).stdout
        assert "broken (ov-broken 1.0)" in shown
        row = next(line for line in shown.splitlines() if line.split()[:3] == ["source", "doorbell", "closed"])
        assert row.split()[3] == "3"


def test_without_a_server_to_ask_the_way_out_is_told(tmp_path: Path) -> None:
    ran = overture("plugins", "--url", "http://127.0.0.1:9", cwd=tmp_path, environ={"OVERTURE_ADMIN_KEY": ADMIN})
    assert ran.returncode == 2
    assert "--local" in ran.stderr


def test_what_is_not_on_the_list_is_never_imported(tmp_path: Path) -> None:
    here = installed(installed(tmp_path, "doorbell", DOORBELL), "spy", SPY)
    written(here, "plugins_allowed = ['ov_Doorbell']\n")
    found = by_name(told(here, "--local"))
    assert (found["spy"]["state"], found["spy"]["hooks"], found["spy"]["version"]) == ("not allowed", [], "1.0")
    assert (found["doorbell"]["state"], found["smtp"]["state"]) == ("active", "active")
    with Server(here) as server:
        states = {plugin["name"]: plugin["state"] for plugin in server.get("/v1/plugins")}
        assert (states["spy"], states["doorbell"]) == ("not allowed", "active")
        server.deploy("tested", TESTED)
        assert ring(server, "/ring", {"id": "r1", "type": "rung", "contact": "ada"}) == 200
    (here / "tested.yaml").write_text(TESTED)
    assert overture("test", "tested.yaml", cwd=here).returncode == 0
    assert not (here / "imported").exists()
    assert by_name(told(here, "--local", OVERTURE_PLUGINS_ALLOWED="ov-spy"))["spy"]["state"] == "active"
    assert (here / "imported").exists()


def test_only_our_own_where_the_list_is_empty(tmp_path: Path) -> None:
    here = written(installed(tmp_path, "spy", SPY), "plugins_allowed = []\n")
    found = by_name(told(here, "--local"))
    assert found.pop("spy")["state"] == "not allowed"
    assert {plugin["distribution"] for plugin in found.values()} == {"overture"}
    assert not (here / "imported").exists()


def test_metadata_that_cannot_be_read_are_told_and_stop_nothing(tmp_path: Path) -> None:
    here = installed(installed(tmp_path, "doorbell", DOORBELL), "odd", "")
    (here / "ov_odd-1.0.dist-info" / "entry_points.txt").write_text("[overture]\nthis is no entry point\n")
    found = by_name(told(here, "--local"))
    assert "Its entry_points.txt cannot be read" in found["ov-odd"]["error"]
    with Server(here) as server:
        server.deploy("tested", TESTED)
        states = {plugin["name"]: plugin["state"] for plugin in server.get("/v1/plugins")}
        assert (states["ov-odd"], states["doorbell"]) == ("failed", "active")


def test_a_thread_that_a_plugin_leaves_holds_up_no_command_and_no_deployment(tmp_path: Path) -> None:
    here = installed(installed(tmp_path, "doorbell", DOORBELL), "lingers", LINGERS)
    assert by_name(told(here, "--local"))["lingers"]["state"] == "active"
    (here / "tested.yaml").write_text(TESTED)
    assert overture("test", "tested.yaml", cwd=here).returncode == 0
    with Server(here) as server:
        server.deploy("tested", TESTED)
        assert ring(server, "/ring", {"id": "r1", "type": "rung", "contact": "ada"}) == 200


TESTED = """\
apiVersion: overture/v1
kind: Ruleset
name: tested
facts: {rung: {}}
scores: {rung: {}}
rules:
  rung: {when: fact.type == "rung", then: [{score: {name: rung, add: 1}}]}
tests:
  - name: a ring counts
    steps:
      - fact: {type: rung}
      - expect: {scores: {rung: 1}}
"""
