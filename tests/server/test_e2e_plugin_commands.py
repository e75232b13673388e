"""Commands of plugins on the command line: there when asked for, and never in the way of ours."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hookkit import HEAD
from serverkit import installed, overture, written

from overture.cli.main import app
from overture.plugin.commanding import BUILT_IN

GREET = """
class GreetConfig(BaseModel):
    greeting: str = "Hello"


def greet(config):
    trouble("open")
    app = cyclopts.App()

    @app.default
    def hello(name: str = "you", *, loud: bool = False) -> int:
        print(f"{config.greeting} {name}" + ("!" if loud else ""))
        return 1 if name == "nobody" else 0

    @app.command
    def twice(name: str) -> None:
        print(f"{config.greeting} {name} {name}")

    return app


@hookimpl
def overture_commands():
    yield CommandPlugin(name="greet", config=GreetConfig, open=greet, help="Say hello.")
"""
SHADOW = """
@hookimpl
def overture_commands():
    yield CommandPlugin(name="serve", config=Config, open=lambda config: cyclopts.App())
"""


def greeting(directory: Path, body: str = GREET, toml: str = "") -> Path:
    return written(installed(directory, "greet", HEAD + body), toml)


def test_a_command_of_a_plugin_is_run_with_its_options_and_settings(tmp_path: Path) -> None:
    here = greeting(tmp_path, toml="[commands.greet]\ngreeting = 'Moin'\n")
    assert overture("greet", "Ada", "--loud", cwd=here).stdout == "Moin Ada!\n"
    assert overture("greet", "twice", "Ada", cwd=here).stdout == "Moin Ada Ada\n"
    assert overture("greet", "nobody", cwd=here).returncode == 1
    assert overture("greet", "--lod", cwd=here).returncode == 2
    assert "Say hello." in overture("--help", cwd=here).stdout


def test_settings_that_are_wrong_are_told(tmp_path: Path) -> None:
    ran = overture("greet", cwd=greeting(tmp_path, toml="[commands.greet]\ngreting = 'Moin'\n"))
    assert ran.returncode == 2
    assert "commands.greet.greting (overture.toml) is no setting of the command; did you mean greeting?" in ran.stderr


def test_one_that_does_not_open_says_why(tmp_path: Path) -> None:
    here = greeting(tmp_path)
    (here / "open").write_text("raise")
    ran = overture("greet", cwd=here)
    assert ran.returncode == 2
    assert "The command greet cannot be used: RuntimeError: it is broken today." in ran.stderr


@pytest.mark.parametrize("body", ["raise RuntimeError('at import')\n", "import sys; sys.exit(7)\n", "def f(:\n"])
def test_a_plugin_that_cannot_be_loaded_breaks_nothing(tmp_path: Path, body: str) -> None:
    here = greeting(installed(tmp_path, "broken", body))
    assert overture("greet", "Ada", cwd=here).stdout == "Hello Ada\n"
    assert overture("config", cwd=here).returncode == 0
    assert overture("--help", cwd=here).returncode == 0
    ran = overture("gret", cwd=here)
    assert ran.returncode == 2
    assert "The plugin broken of ov-broken could not be loaded: " in ran.stderr


def test_our_own_commands_cannot_be_had(tmp_path: Path) -> None:
    here = greeting(tmp_path, SHADOW)
    found = json.loads(overture("plugins", "--local", "--json", cwd=here).stdout)["plugins"]
    (plugin,) = [plugin for plugin in found if plugin["name"] == "greet"]
    assert plugin["state"] == "failed"
    assert plugin["error"] == "Overture has its own command serve. [plugin.built_in]"


def test_the_list_of_our_own_commands_is_whole() -> None:
    assert {name for name in app if not name.startswith("-")} == BUILT_IN
