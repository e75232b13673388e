"""`overture new channel`, `source`, `scorer`: what is written installs, passes its own tests and those of style."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
KINDS = ("channel", "source", "scorer")


def run(*command: str, cwd: Path, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    environ = os.environ if path is None else {**os.environ, "PYTHONPATH": f"{path}:{os.environ.get('PYTHONPATH', '')}"}
    return subprocess.run([sys.executable, "-m", *command], cwd=cwd, env=environ, capture_output=True, text=True)


def new(kind: str, name: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return run("overture.cli", "new", kind, name, cwd=cwd)


def installed(package: Path) -> Path:
    """As pip would leave it, with the package itself on the path."""
    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    info = package / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    points = [f"{name} = {module}" for name, module in project["entry-points"]["overture"].items()]
    (info / "entry_points.txt").write_text("\n".join(["[overture]", *points, ""]))
    return package


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_package_passes_its_tests_and_is_shown(kind: str, tmp_path: Path) -> None:
    done = new(kind, "my_first", tmp_path)
    assert done.returncode == 0, done.stderr
    package = installed(tmp_path / "overture-my-first")
    assert {str(file.relative_to(package)) for file in package.rglob("*.*") if "dist-info" not in str(file)} == {
        "pyproject.toml",
        "README.md",
        "overture_my_first.py",
        "tests/test_overture_my_first.py",
        "rulesets/my_first.yaml",
    }
    assert not [file for file in package.rglob("*") if file.is_file() and re.search("@[A-Z]+@", file.read_text())]

    tests = run("pytest", "-q", "-p", "no:cacheprovider", cwd=package, path=package)
    assert tests.returncode == 0, tests.stdout
    shown = json.loads(run("overture.cli", "plugins", "--local", "--json", cwd=package, path=package).stdout)["plugins"]
    (own,) = [plugin for plugin in shown if plugin["distribution"] == "overture-my-first"]
    assert (own["version"], own["state"]) == ("0.1.0", "active")
    assert {"kind": kind, "name": "my_first"}.items() <= own["offers"][0].items()
    checked = run("overture.cli", "check", "rulesets/my_first.yaml", cwd=package, path=package)
    assert checked.returncode == 0, checked.stdout
    laid_out = run("overture.cli", "fmt", "--check", "rulesets/my_first.yaml", cwd=package, path=package)
    assert laid_out.returncode == 0, laid_out.stdout

    code = [str(file) for file in package.rglob("*.py")]
    for style in (["check"], ["format", "--check"]):
        told = run("ruff", *style, "--config", str(ROOT / "pyproject.toml"), *code, cwd=ROOT)
        assert told.returncode == 0, told.stdout


@pytest.mark.parametrize(
    ("kind", "name", "sentence"),
    [
        ("channel", "Pigeon", "'Pigeon' cannot be the name of a channel."),
        ("channel", "9lives", "cannot be the name of a channel"),
        ("source", "a-b", "cannot be the name of a source"),
        ("scorer", "class", "cannot be the name of a scorer"),
        ("scorer", "x" * 33, "cannot be the name of a scorer"),
        ("source", "a_", "'a_' cannot be the name of a source."),
        ("channel", "../x", "cannot be the name of a channel"),
        ("channel", "email", "There is a channel, or a module, of the name email already."),
        ("source", "segment", "There is a source, or a module, of the name segment already."),
        ("scorer", "channels", "There is a scorer, or a module, of the name channels already."),
    ],
)
def test_names_are_checked(kind: str, name: str, sentence: str, tmp_path: Path) -> None:
    done = new(kind, name, tmp_path)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_directory_that_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "overture-pigeon").mkdir()
    done = new("channel", "pigeon", tmp_path)
    assert done.returncode == 2
    assert "overture-pigeon is there already." in done.stderr
    assert not list((tmp_path / "overture-pigeon").iterdir())


def test_so_is_a_link_that_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "overture-pigeon").symlink_to("nowhere")
    done = new("channel", "pigeon", tmp_path)
    assert (done.returncode, "overture-pigeon is there already." in done.stderr) == (2, True)


# Names of what a package imports, and words that mean something else in YAML or Python.
ODD = [
    *(("channel", name) for name in ("sent", "true", "on")),
    *(("source", name) for name in ("no_fact", "null")),
    *(("scorer", name) for name in ("score_input", "yes")),
]


@pytest.mark.parametrize(("kind", "name"), ODD)
def test_no_name_hides_what_the_package_needs(kind: str, name: str, tmp_path: Path) -> None:
    assert new(kind, name, tmp_path).returncode == 0
    package = installed(tmp_path / f"overture-{name.replace('_', '-')}")
    ruleset = f"rulesets/{name}.yaml"
    checked = run("overture.cli", "check", ruleset, cwd=package, path=package)
    assert checked.returncode == 0, checked.stdout
    laid_out = run("overture.cli", "fmt", "--check", ruleset, cwd=package, path=package)
    assert laid_out.returncode == 0, laid_out.stdout
    tests = run("pytest", "-q", "-p", "no:cacheprovider", "-k", "contract", cwd=package, path=package)
    assert tests.returncode == 0, tests.stdout


def test_a_folder_of_ones_own(tmp_path: Path) -> None:
    done = run("overture.cli", "new", "scorer", "pigeon", "--folder", "a/b", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a" / "b" / "overture-pigeon" / "overture_pigeon.py").exists()
