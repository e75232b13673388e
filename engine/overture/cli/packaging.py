"""`overture new channel`, `source`, `scorer`: a package to begin with, which installs and passes its tests."""

from __future__ import annotations

import keyword
import os
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from overture.cli.terminal import console
from overture.model import Refused
from overture.plugin import PluginManager
from overture.plugin.kinds import NAME

TEMPLATES = Path(__file__).parent / "templates"
LONGEST = 32  # characters: the names of scores and facts are made of it
DEPENDENCIES = {"channel": '"overture", "aiohttp", "pydantic"', "source": '"overture", "pydantic"'}
YAML_WORDS = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}  # to readers of YAML 1.1 at least
What = Literal["channel", "source", "scorer"]


def new_channel(name: str, *, folder: Path = Path()) -> None:
    """Write a package with a channel, its tests and a ruleset that sends through it.

    Parameters
    ----------
    name
        What rules call it; the package is overture-NAME, in a directory of that name.
    folder
        Where the directory is made, by default here.
    """
    _package("channel", name, folder)


def new_source(name: str, *, folder: Path = Path()) -> None:
    """Write a package with a source that others call, its tests and a ruleset that counts what it brings.

    Parameters
    ----------
    name
        What settings call it; the package is overture-NAME, in a directory of that name.
    folder
        Where the directory is made, by default here.
    """
    _package("source", name, folder)


def new_scorer(name: str, *, folder: Path = Path()) -> None:
    """Write a package with a scorer, its tests and a ruleset that scores by it.

    Parameters
    ----------
    name
        What rules call it; the package is overture-NAME, in a directory of that name.
    folder
        Where the directory is made, by default here.
    """
    _package("scorer", name, folder)


def _package(kind: What, name: str, folder: Path) -> None:
    if not NAME.fullmatch(name) or len(name) > LONGEST or keyword.iskeyword(name) or name.endswith("_"):
        hint = f"Lower-case letters, digits and _ between them, beginning with a letter, at most {LONGEST} characters."
        raise Refused("new.name", f"{name[:80]!r} cannot be the name of a {kind}.", hint)
    module = f"overture_{name}"
    if _taken(kind, name) or find_spec(module) is not None:
        message = f"There is a {kind}, or a module, of the name {name} already."
        raise Refused("new.taken", message, "Choose another name.")
    distribution = module.replace("_", "-")
    directory = folder / distribution
    if os.path.lexists(directory):
        raise Refused("new.exists", f"{directory} is there already.", "Choose another name or folder.")
    told = {
        "KIND": kind, "NAME": name, "MODULE": module, "DIST": distribution, "UPPER": name.upper(),
        "YAML": f'"{name}"' if name in YAML_WORDS else name,
        "CLASS": "".join(part.capitalize() for part in name.split("_")),
        "DEPENDENCIES": DEPENDENCIES.get(kind, '"overture", "pydantic"'),
    }  # fmt: skip
    own = TEMPLATES / kind
    files = {
        "pyproject.toml": TEMPLATES / "common" / "pyproject.toml",
        "README.md": own / "README.md",
        f"{module}.py": own / "module.py",
        f"tests/test_{module}.py": own / "test.py",
        f"rulesets/{name}.yaml": own / "ruleset.yaml",
    }
    for path, template in files.items():
        _write(directory / path, _filled(template.with_name(f"{template.name}.template").read_text("utf-8"), told))
        console.print(f"{directory / path}: written", markup=False)
    console.print(f"Its README.md says how it is installed and tested: cd {directory}", markup=False)


def _taken(kind: What, name: str) -> bool:
    plugins = PluginManager()
    plugins.load()
    return name in plugins.offered(kind)


def _filled(text: str, told: dict[str, str]) -> str:
    for key, value in told.items():
        text = text.replace(f"@{key}@", value)
    return text


def _write(file: Path, text: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
    except OSError as error:
        raise Refused("file.unwritable", f"{file} cannot be written: {error.strerror}.") from error
