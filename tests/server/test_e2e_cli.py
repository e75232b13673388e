"""The command line: exit codes, and one clear sentence where a person has made a mistake."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from serverkit import ADMIN, PATIENCE, Server, fact, fresh, overture

GOOD = """\
apiVersion: overture/v1
kind: Ruleset
name: {name}
facts:
  clicked: {{}}
scores:
  clicks: {{}}
rules:
  clicked:
    when: fact.type == "clicked"
    then:
      - score: {{name: clicks, add: {points}}}
"""


@pytest.fixture
def environ(server: Server) -> Mapping[str, str]:
    return {"OVERTURE_PORT": str(server.port), "OVERTURE_ADMIN_KEY": ADMIN}


def written(directory: Path, name: str, text: str) -> str:
    path = directory / f"{name}.yaml"
    path.write_text(text)
    return str(path)


def sentence(run: subprocess.CompletedProcess[str], code: int = 2) -> str:
    """What a refused command says: one line, on standard error."""
    assert run.returncode == code, (run.returncode, run.stdout, run.stderr)
    assert run.stdout == ""
    assert "Traceback" not in run.stderr
    (line,) = run.stderr.strip().splitlines()
    assert line.startswith("overture: ")
    return line


def test_check(tmp_path: Path) -> None:
    good = written(tmp_path, "good", GOOD.format(name="good", points=1))
    bad = written(tmp_path, "bad", GOOD.format(name="bad", points=1).replace("name: clicks", "name: klicks"))
    assert overture("check", good).returncode == 0
    run = overture("check", good, bad)
    assert run.returncode == 2
    assert run.stdout.splitlines()[0] == f"{good}: good"
    assert f"{bad}:12:23: error score.unknown: " in run.stdout
    assert "clicks" in run.stdout
    shown = json.loads(overture("check", good, bad, "--json").stdout)
    assert [f["file"] for f in shown] == [good, bad]
    assert shown[0]["findings"] == []
    assert shown[1]["findings"][0]["line"] == 12


def test_check_without_anything_to_read(tmp_path: Path) -> None:
    assert "no document to check" in sentence(overture("check"))
    assert f"{tmp_path / 'none.yaml'} cannot be read" in sentence(overture("check", str(tmp_path / "none.yaml")))
    (tmp_path / "latin.yaml").write_bytes(b"name: caf\xe9")
    assert "not UTF-8" in sentence(overture("check", str(tmp_path / "latin.yaml")))


def test_a_directory_is_no_document() -> None:
    keys = {"OVERTURE_ADMIN_KEY": "a"}
    for directory in (".", "/"):
        assert f"{directory} cannot be read" in sentence(overture("deploy", directory, environ=keys))
        assert f"{directory} cannot be read" in sentence(overture("backtest", directory, environ=keys))


def test_check_of_what_never_ends_or_is_a_pipe(tmp_path: Path) -> None:
    good = written(tmp_path, "good", GOOD.format(name="good", points=1))
    endless = "/dev/zero cannot be read: it is larger than a document may be (256 KiB)."
    assert endless in sentence(overture("check", good, "/dev/zero"))
    large = written(tmp_path, "large", "# " + "é" * 262_144)
    assert f"{large} cannot be read: it is larger" in sentence(overture("check", large))
    assert "Is a directory" in sentence(overture("check", str(tmp_path)))
    piped = overture("check", "/dev/stdin", stdin=GOOD.format(name="good", points=1))
    assert (piped.returncode, piped.stdout) == (0, "/dev/stdin: good\n")


def test_deploy_from_a_pipe(server: Server, environ: Mapping[str, str]) -> None:
    name = fresh("cli")
    run = overture("deploy", "/dev/stdin", "--no-activate", environ=environ, stdin=GOOD.format(name=name, points=1))
    assert run.returncode == 0, run.stderr
    assert server.get(f"/v1/rulesets/{name}")["revisions"][0]["revision"] in run.stdout


def test_deploy_and_roll_back(server: Server, environ: Mapping[str, str], tmp_path: Path) -> None:
    name, ada = fresh("cli").replace("-", "_"), fresh("ada")
    clicked = lambda: server.facts(fact("clicked", ada))["decisions"][0]["scores"].get("clicks", 0)  # noqa: E731
    one = written(tmp_path, "one", GOOD.format(name=name, points=1))
    two = written(tmp_path, "two", GOOD.format(name=name, points=10))
    kept = overture("deploy", one, "--no-activate", environ=environ)
    assert (kept.returncode, kept.stdout.rstrip().endswith("put, not active")) == (0, True)
    assert clicked() == 0
    assert overture("deploy", one, environ=environ).returncode == 0
    assert clicked() == 1
    (revision,) = json.loads(overture("deploy", two, "--json", environ=environ).stdout)
    assert revision["revision"] == server.get(f"/v1/rulesets/{name}")["active"]
    assert clicked() == 11
    run = overture("rollback", name, "--json", environ=environ)
    assert (run.returncode, json.loads(run.stdout)["name"]) == (0, name)
    assert clicked() == 12
    refused = overture("deploy", two, written(tmp_path, "bad", "name: 7"), environ=environ)
    assert refused.returncode == 2
    assert clicked() == 13, "one bad document stops all of them"


def test_deploy_that_the_server_refuses(server: Server, environ: Mapping[str, str], tmp_path: Path) -> None:
    name = fresh("cli")
    text = GOOD.format(name=name, points=1).replace("facts:", "requires:\n  scores: [nobody_has]\nfacts:")
    run = overture("deploy", written(tmp_path, "unmet", text), environ=environ)
    assert run.returncode == 2
    assert "nobody_has" in run.stderr
    assert "Traceback" not in run.stderr
    file = written(tmp_path, "good", GOOD.format(name=name, points=1))
    assert "key" in sentence(overture("deploy", file, environ={**environ, "OVERTURE_ADMIN_KEY": "wrong"}))
    assert "There is no admin key" in sentence(overture("deploy", file, environ={"OVERTURE_DATA_DIR": str(tmp_path)}))
    gone = {**environ, "OVERTURE_PORT": "1"}
    assert "The server at http://127.0.0.1:1 does not answer" in sentence(overture("deploy", file, environ=gone))
    assert "No revision of nobody is active" in sentence(overture("rollback", "nobody", environ=environ))


def test_config_masks_secrets(tmp_path: Path) -> None:
    (tmp_path / "overture.toml").write_text('port = 9000\nredis_url = "redis://:hunter2@db/0"\n')
    environ = {"OVERTURE_ADMIN_KEY": "swordfish", "OVERTURE_PORT": "9001"}
    shown = json.loads(overture("config", "--json", environ=environ, cwd=tmp_path).stdout)
    assert shown["port"] == {"value": "9001", "origin": "OVERTURE_PORT"}
    assert shown["redis_url"] == {"value": "redis://:********@db/0", "origin": "overture.toml"}
    assert shown["admin_key"] == {"value": "********", "origin": "OVERTURE_ADMIN_KEY"}
    assert shown["host"]["origin"] == "default"
    text = overture("config", environ=environ, cwd=tmp_path).stdout
    assert "swordfish" not in text
    assert "hunter2" not in text


def test_config_that_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "overture.toml").write_text("prot = 9000\n")
    assert "did you mean port?" in sentence(overture("config", cwd=tmp_path), 3)


def test_plugins() -> None:
    shown = json.loads(overture("plugins", "--local", "--json").stdout)["plugins"]
    assert {"email", "webhook"} <= {offer["name"] for plugin in shown for offer in plugin["offers"]}
    assert {plugin["state"] for plugin in shown} == {"active"}
    assert overture("plugins", "--local").returncode == 0


def test_mistyped_commands() -> None:
    for arguments in (["depoly"], ["check", "--unknown-option"], ["serve", "--port", "eighty"], ["rollback"]):
        run = overture(*arguments)
        assert run.returncode == 2, arguments
        assert "Traceback" not in run.stderr + run.stdout


def test_numbers_that_are_none() -> None:
    for arguments in (
        ["replay", "--limit", "-1"],
        ["replay", "--limit", "0"],
        ["replay", "--limit", "1.5"],
        ["replay", "--limit", "99999999999999999999"],
        ["serve", "--port", "-1"],
        ["serve", "--port", "1.5"],
        ["serve", "--port", "65536"],
    ):
        run = overture(*arguments, environ={"OVERTURE_WRITE_KEY": "w", "OVERTURE_DATA_DIR": "/proc/nowhere"})
        assert run.returncode in (2, 3), arguments
        assert arguments[1].removeprefix("--") in run.stderr, (arguments, run.stderr)
        assert run.stdout == "", arguments


def test_addresses_that_are_none(tmp_path: Path) -> None:
    for host in ("", " "):
        run = overture("serve", "--host", host, environ={"OVERTURE_DATA_DIR": str(tmp_path / "data")})
        assert "host (command line) must name an address to listen on" in sentence(run, 3)
    keys = {"OVERTURE_WRITE_KEY": "w", "OVERTURE_ADMIN_KEY": "a"}
    for url in ("", "shop", "http://", "http://[::1", "http://a b", "ftp://127.0.0.1:1", "http://127.0.0.1:99999"):
        told = sentence(overture("rollback", "scoring", "--url", url, environ=keys))
        assert f"{url} is not the address of an Overture server" in told
    assert "shop is not the address" in sentence(overture("replay", "--url", "shop", environ=keys))


def test_a_key_that_cannot_be_sent_is_not_shown() -> None:
    for key in ("s3cret-admin-key-0123456789\ns3cret", "s3cret-ключ-0123456789"):
        told = sentence(overture("rollback", "scoring", environ={"OVERTURE_ADMIN_KEY": key}))
        assert "The admin key" in told
        assert "s3cret" not in told


class Elsewhere(BaseHTTPRequestHandler):
    """A server that is not Overture's and likes everything."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<p>Welcome.</p>")


def test_a_server_that_is_none_of_ours() -> None:
    with HTTPServer(("127.0.0.1", 0), Elsewhere) as other:
        thread = Thread(target=other.serve_forever)
        thread.start()
        try:
            url = f"http://127.0.0.1:{other.server_port}"
            keys = {"OVERTURE_WRITE_KEY": "w", "OVERTURE_ADMIN_KEY": "a"}
            rolled = overture("rollback", "scoring", "--url", url, environ=keys)
            replayed = overture("replay", "--limit", "1", "--url", url, environ=keys)
        finally:
            other.shutdown()
            thread.join()
    assert f"{url} is not the address of an Overture server" in sentence(rolled)
    assert replayed.returncode == 2, replayed.stderr
    assert f"{url} is not the address of an Overture server" in replayed.stderr
    assert "Traceback" not in replayed.stderr


def test_a_mail_server_that_cannot_listen() -> None:
    for option, value in (("--port", "-1"), ("--port", "65536"), ("--port", "x"), ("--host", "")):
        command = [sys.executable, "-m", "overture.testing.mailserver", option, value]
        run = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
        assert run.returncode == 2, run.stderr
        assert option in run.stderr
        assert "Traceback" not in run.stderr


def test_server_py_is_overture_serve(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    run = overture("serve", environ={"OVERTURE_DATA_DIR": str(tmp_path / "file" / "x")})
    assert "cannot be written" in sentence(run, 3)


def test_a_web_process_that_cannot_listen_ends(tmp_path: Path) -> None:
    environ = {"OVERTURE_DATA_DIR": str(tmp_path / "data"), "OVERTURE_RULESETS": ""}
    run = overture("serve", "--roles", "web", "--host", "192.0.2.1", environ=environ)
    assert run.returncode == 3, (run.stdout, run.stderr)
    assert run.stderr.startswith("overture: 192.0.2.1:8080 cannot be listened on: ")
    assert not (tmp_path / "data" / "store.json").exists()


def test_diff_with_what_is_active(server: Server, environ: Mapping[str, str], tmp_path: Path) -> None:
    name = fresh("cli")
    file = written(tmp_path, "one", GOOD.format(name=name, points=1))
    assert "There is no such ruleset" in sentence(overture("diff", name, file, environ=environ))
    assert overture("deploy", file, "--no-activate", environ=environ).returncode == 0
    assert f"No revision of {name} is active" in sentence(overture("diff", name, file, environ=environ))
    assert overture("deploy", file, environ=environ).returncode == 0
    same = overture("diff", name, file, environ=environ)
    assert (same.returncode, same.stdout) == (0, "")
    other = overture("diff", name, written(tmp_path, "two", GOOD.format(name=name, points=2)), environ=environ)
    assert other.returncode == 1
    assert other.stdout == (
        '~ rules clicked then\n    - {"score": {"name": "clicks", "add": 1}}\n'
        '    + {"score": {"name": "clicks", "add": 2}}\n'
    )
    first = server.get(f"/v1/rulesets/{name}")["active"]
    again = f"# the same\n{GOOD.format(name=name, points=1)}"
    assert overture("deploy", written(tmp_path, "again", again), environ=environ).returncode == 0
    second = server.get(f"/v1/rulesets/{name}")["active"]
    assert first != second
    assert server.get(f"/v1/rulesets/{name}/diff?from={first}&to={second}") == {"name": name, "changes": []}
    three = written(tmp_path, "three", GOOD.format(name=name, points=3))
    assert overture("deploy", three, "--no-activate", environ=environ).returncode == 0
    (third,) = {r["revision"] for r in server.get(f"/v1/rulesets/{name}")["revisions"]} - {first, second}
    (change,) = server.get(f"/v1/rulesets/{name}/diff?to={third}")["changes"]
    assert (change["section"], change["name"], change["facet"]) == ("rules", "clicked", "then")
    assert (change["before"][0]["score"]["add"], change["after"][0]["score"]["add"]) == (1, 3)


def test_who_reads_only_the_beginning_of_what_is_printed() -> None:
    command = [sys.executable, "-m", "overture.cli", "schema"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(PATIENCE) == 141
