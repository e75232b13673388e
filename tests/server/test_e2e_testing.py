"""``overture test`` from end to end, and tests that travel with a ruleset to a real server."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from http.client import HTTPConnection
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest
from serverkit import ADMIN, PATIENCE, Server, eventually, fresh, overture

from overture.model.environ import without_settings
from overture.settings import shipped_rulesets

CLICKS = """\
apiVersion: overture/v1
kind: Ruleset
name: {name}
facts: {{clicked: {{}}}}
scores: {{{name}: {{}}}}
rules:
  clicked: {{when: fact.type == "clicked", then: [{{score: {{name: {name}, add: 2}}}}]}}
segments:
  {name}-many: {{when: contact.scores.{name} > 9}}
"""
TESTS = """\
tests:
  - name: a click is two points
    steps:
      - fact: {{type: clicked}}
      - expect: {{scores: {{{name}: {points}}}}}
"""


@pytest.fixture
def environ(server: Server) -> Mapping[str, str]:
    return {"OVERTURE_PORT": str(server.port), "OVERTURE_ADMIN_KEY": ADMIN}


def written(directory: Path, name: str = "clicks", points: int = 2) -> tuple[Path, Path]:
    """A ruleset and its tests."""
    ruleset, tests = directory / f"{name}.yaml", directory / f"{name}.test.yaml"
    ruleset.write_text(CLICKS.format(name=name))
    tests.write_text(TESTS.format(name=name, points=points))
    return ruleset, tests


# --- the command line ---------------------------------------------------------------------------------------------


def test_the_shipped_rulesets_pass_and_are_covered() -> None:
    run = overture("test", str(shipped_rulesets()), "--fail-on-empty", "--min-coverage", "100")
    assert run.returncode == 0, run.stdout
    assert "FAIL" not in run.stdout
    assert "0 failed" in run.stdout


def test_a_failure_says_where_and_what(tmp_path: Path) -> None:
    _, tests = written(tmp_path, points=3)
    run = overture("test", str(tmp_path))
    assert run.returncode == 1
    assert run.stdout.splitlines() == [
        f"FAIL {tests}:2:11 a click is two points",
        f"  {tests}:5:35: scores.clicks",
        "      expected 3",
        "      found    2",
        "  since the last expect:",
        "      clicked {}",
        "        clicks/clicked: score clicks 0 → 2",
        "1 tests, 1 failed, 2 steps; 1 of 3 rules and segment edges covered",
        "clicks: never segment clicks-many entered, segment clicks-many left",
    ]


def test_what_is_tested_by_which_path(tmp_path: Path) -> None:
    one, two = written(tmp_path, "one"), written(tmp_path, "two")
    (tmp_path / "untested.yaml").write_text(CLICKS.format(name="untested"))
    for paths, tested in (
        ([tmp_path], ["one", "two"]),
        ([one[0]], ["one"]),
        ([two[1], one[1], two[0]], ["two", "one"]),
        ([tmp_path / "untested.yaml"], []),
    ):
        run = overture("test", *map(str, paths), "--json")
        assert run.returncode == 0, run.stderr
        told = json.loads(run.stdout)
        assert [suite["ruleset"] for suite in told["suites"]] == tested
        assert (told["tests"], told["failed"]) == (len(tested), 0)


def test_a_file_named_twice_is_tested_once_and_yml_is_yaml(tmp_path: Path) -> None:
    ruleset, tests = written(tmp_path)
    for file in (ruleset, tests):
        file.rename(file.with_suffix(".yml"))
    name = ruleset.with_suffix(".yml").name
    for paths in ([name], [name, f"./{name}", str(tmp_path / name), "."]):
        run = overture("test", *paths, cwd=tmp_path)
        assert (run.returncode, run.stdout.splitlines()[1]) == (
            0,
            "1 tests, 0 failed, 2 steps; 1 of 3 rules and segment edges covered",
        )


def test_rulesets_without_tests_are_counted_and_named(tmp_path: Path) -> None:
    tested, _ = written(tmp_path)
    none = [tmp_path / f"{name}.yaml" for name in ("none", "nothing")]
    for file in none:
        file.write_text(CLICKS.format(name=file.stem))
    said = overture("test", str(tmp_path)).stdout.splitlines()
    assert said[1] == "1 tests, 0 failed, 2 steps; 1 of 3 rules and segment edges covered"
    assert said[2] == f"rulesets without tests: 2 ({none[0]}, {none[1]})"
    run = overture("test", str(none[0]), "--min-coverage", "100")
    assert run.returncode == 0
    assert run.stdout.splitlines() == [
        "0 tests, 0 failed, 0 steps; 0 of 0 rules and segment edges covered",
        f"rulesets without tests: 1 ({none[0]})",
    ]
    assert "without tests" not in overture("test", str(tested)).stdout
    assert json.loads(overture("test", str(tmp_path), "--json").stdout)["untested"] == [str(file) for file in none]


def test_exit_codes(tmp_path: Path) -> None:
    ruleset, tests = written(tmp_path)
    assert overture("test", str(tests), "--min-coverage", "33").returncode == 0
    assert overture("test", str(tests), "--min-coverage", "34").returncode == 1
    tests.unlink()
    assert overture("test", str(tmp_path)).returncode == 0
    assert overture("test", str(tmp_path), "--fail-on-empty").returncode == 1
    tests.write_text("tests: [{name: t}]\n")
    run = overture("test", str(tmp_path))
    assert run.returncode == 2
    assert run.stdout.splitlines()[0] == f"{tests}:1:9: error ruleset.missing_key: The key 'steps' is missing"
    tests.write_text(TESTS.format(name="klicks", points=2))
    run = overture("test", str(tmp_path))
    assert run.returncode == 2
    assert f"{tests}:5:27: error score.unknown" in run.stdout
    assert "Did you mean 'clicks'?" in run.stdout
    ruleset.unlink()
    run = overture("test", str(tmp_path))
    assert run.returncode == 2
    assert f"{tests}:1:1: error test.ruleset: There is no clicks.yaml" in run.stdout
    for wrong in ((), (str(tmp_path / "none"),), (str(tmp_path), "--min-coverage", "many")):
        run = overture("test", *wrong)
        assert run.returncode == 2
        assert "Traceback" not in run.stderr


def test_tests_in_the_document_itself(tmp_path: Path) -> None:
    ruleset, tests = written(tmp_path)
    ruleset.write_text(ruleset.read_text() + TESTS.format(name="clicks", points=2))
    run = overture("test", str(ruleset))
    assert run.returncode == 2
    assert f"{tests}:1:1: error test.ruleset: clicks.yaml has tests of its own" in run.stdout
    tests.unlink()
    run = overture("test", str(ruleset))
    assert run.returncode == 0, run.stdout
    assert f"PASS {ruleset}:11:11 a click is two points" in run.stdout


def test_junit(tmp_path: Path) -> None:
    written(tmp_path, points=3)
    run = overture("test", str(tmp_path), "--junit", str(tmp_path / "junit.xml"))
    assert run.returncode == 1
    root = Xml.parse(tmp_path / "junit.xml").getroot()
    assert root.attrib == {"tests": "1", "failures": "1", "errors": "0"}
    refused = overture("test", str(tmp_path), "--junit", str(tmp_path))
    assert refused.returncode == 2
    assert "cannot be written" in refused.stderr


def test_watching(tmp_path: Path) -> None:
    _, tests = written(tmp_path)
    output = tmp_path / "output.txt"
    command = [sys.executable, "-m", "overture.cli", "test", str(tmp_path), "--watch"]
    with output.open("w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, env=without_settings())
    try:
        eventually(lambda: "1 tests, 0 failed" in output.read_text(), "the first run")

        def failing() -> bool:
            tests.write_text(TESTS.format(name="clicks", points=3))  # again and again: it may not watch yet
            return "1 tests, 1 failed" in output.read_text()

        eventually(failing, "a run after the change")
    finally:
        process.terminate()
        process.wait(PATIENCE)


def test_check_reads_tests_too(tmp_path: Path) -> None:
    ruleset, tests = written(tmp_path)
    assert overture("check", str(ruleset), str(tests)).returncode == 0
    tests.write_text(tests.read_text().replace("expect", "exepct"))
    run = overture("check", str(ruleset), str(tests))
    assert run.returncode == 2
    assert run.stdout.splitlines()[1].startswith(f"{tests}:5:9: error ruleset.unknown_key")


# --- the server ---------------------------------------------------------------------------------------------------


def test_tests_travel_with_their_ruleset(server: Server, environ: Mapping[str, str], tmp_path: Path) -> None:
    name = fresh("clicks")
    ruleset, tests = written(tmp_path, name)
    run = overture("deploy", str(ruleset), str(tests), environ=environ)
    assert run.returncode == 0, run.stderr
    good = server.get(f"/v1/rulesets/{name}")["active"]
    assert run.stdout == f"{ruleset}: {name} {good} active\n"
    tests.write_text(TESTS.format(name=name, points=3))
    run = overture("deploy", str(ruleset), environ=environ)
    assert run.returncode == 2
    first, *more = run.stderr.splitlines()
    assert f"Of the tests of {name} these fail: 'a click is two points'." in first
    assert more[0].startswith(
        f"{tests}:5:{29 + len(name)}: test.failed: a click is two points: scores.{name}: expected 3"
    )
    assert server.get(f"/v1/rulesets/{name}")["active"] == good
    tests.write_text("---\n# rules\nrules: {}\ntests: []\n")
    run = overture("deploy", str(ruleset), environ=environ)
    assert run.returncode == 2
    assert f"{tests}:3:1: error ruleset.unknown_key" in run.stdout
    tests.write_text("# behind three dashes\n---\n" + TESTS.format(name=name, points=2))
    assert overture("deploy", str(ruleset), environ=environ).returncode == 0


def test_over_http(server: Server) -> None:
    name = fresh("clicks")
    text, tests = CLICKS.format(name=name), TESTS.format(name=name, points=2)
    failing = TESTS.format(name=name, points=3)
    yaml = {"Content-Type": "application/yaml"}

    def test(document: str, query: str = "") -> tuple[int, dict[str, object]]:
        answer = server.call("POST", f"/v1/rulesets/{name}/test{query}", document.encode(), headers=yaml)
        return answer.status, answer.json

    assert test(tests)[1]["code"] == "ruleset.unknown"
    status, answer = test(text + failing)
    assert (status, answer["passed"], answer["ruleset"]) == (200, False, name)
    assert answer["coverage"] == {"points": 3, "never": [f"segment {name}-many entered", f"segment {name}-many left"]}
    revision = server.put(name, text)
    assert test(tests)[0] == 404  # kept is not active
    assert test(tests, f"?revision={revision}")[1]["passed"] is True
    assert test(tests, "?revison=x")[1]["code"] == "request.query"
    assert server.activate(name, revision).status == 200
    assert test(failing)[1]["passed"] is False
    refused = server.activate(name, server.put(name, text + failing))
    assert (refused.status, refused.json["code"]) == (422, "ruleset.tests_failed")
    (finding,) = refused.json["errors"]
    assert (finding["code"], finding["line"]) == ("test.failed", text.count("\n") + 5)
    assert server.get(f"/v1/rulesets/{name}")["active"] == revision
    as_json = {"apiVersion": "overture/v1", "kind": "Ruleset", "name": name, "tests": 3}
    answer = server.call("PUT", f"/v1/rulesets/{name}", as_json)
    assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, "/tests")


def test_the_first_start_refuses_examples_whose_tests_fail(tmp_path: Path) -> None:
    directory = tmp_path / "rulesets"
    directory.mkdir()
    _, tests = written(directory, points=3)
    for text, said in (
        (tests.read_text(), "these fail: 'a click is two points'"),
        ("tests: 3\n", f"{tests}:1:8: ruleset.shape"),
    ):
        tests.write_text(text)
        own = {"DATA_DIR": str(tmp_path / "data"), "PORT": "0", "RULESETS": str(directory)}
        run = overture("serve", environ={f"OVERTURE_{name}": value for name, value in own.items()})
        assert run.returncode == 3
        assert said in run.stderr


def test_a_stop_does_not_wait_for_all_the_tests_in_line(tmp_path: Path) -> None:
    facts = "{fact: {type: clicked}}, " * 8000
    document = CLICKS.format(name="slow") + f"tests: [{{name: a, steps: [{facts}{{expect: {{error: null}}}}]}}]\n"
    server = Server(tmp_path, RULESETS="").start()
    connections = [HTTPConnection("127.0.0.1", server.port) for _ in range(6)]
    for connection in connections:
        connection.request("POST", "/v1/rulesets/slow/test", document, {"Authorization": f"Bearer {ADMIN}"})
    eventually(lambda: server.process_of("python"), "tests are run")
    assert server.stop() == 0
    assert server.process is None
    for connection in connections:
        connection.close()
