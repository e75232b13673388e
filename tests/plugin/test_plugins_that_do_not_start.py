"""What a plugin does while it is loaded, set up and opened costs that plugin alone, and names what was wrong."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from overture.plugin import PluginManager
from overture.plugin.finding import installed

HEAD = """
import math, time
from overture.plugin import *
from pydantic import BaseModel, model_validator

class Config(BaseModel):
    pass

class Silent:
    def __init__(self, config): pass
    async def send(self, message): return Sent("x")
    async def check(self): pass
    async def close(self): pass

def plugin(name, **changes):
    values = dict(name=name, config=Config, open=Silent, address_of=lambda contact: None)
    return ChannelPlugin(**(values | changes))

"""
HOOK = "@hookimpl\ndef overture_channels():\n"
GOOD = HEAD + HOOK + "    yield plugin('zebra')\n"
SLOW = """
class Slow(BaseModel):
    @model_validator(mode="before")
    @classmethod
    def check(cls, given):
        time.sleep(1000)
"""
SHORT = 0.2  # seconds
Install = Callable[[str, str], Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Installs a distribution with one plugin, as pip would leave it; answers the directory of its metadata."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(name: str, source: str) -> Path:
        module = f"ov_start_{name}_{tmp_path.name.strip('_')}"
        (tmp_path / f"{module}.py").write_text(source)
        info = tmp_path / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: start-{name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[overture]\n{name} = {module}\n")
        return info

    return make


def failures() -> dict[str, str]:
    """Why plugins failed, once everything was opened; the good one is there beside them."""
    manager = PluginManager(patience=SHORT)
    manager.load()
    manager.configure("channel", {"ev": {}} if "ev" in manager.channels else {})
    assert "zebra" in manager.open_channels()
    return {state.name: state.error for state in manager.states() if state.state == "failed"}


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("import time; time.sleep(1000)", "Its import kept the process to itself for 200 ms, in <module>"),
        ("while True: pass", "Its import kept the process to itself"),
        ("raise KeyboardInterrupt", "Its import raised KeyboardInterrupt"),
        (
            "class E(Exception):\n  def __str__(self):\n    while True: pass\nraise E",
            "The text of its error kept the process",
        ),
        (HOOK + "    time.sleep(1000)\n", "Its hooks kept the process to itself"),
        (
            HOOK + "    yield from (plugin(f'ev{n}') for n in range(10**9))\n",
            "overture_channels yields more than 1,000. [plugin.too_many]",
        ),
        (
            SLOW + HOOK + "    yield plugin('ev', config=Slow)\n",
            "channel ev: The check of its settings kept the process",
        ),
        (HOOK + "    yield plugin('ev', open=lambda c: time.sleep(1000))\n", "channel ev: To open it kept the process"),
        (
            "def opened(config): raise KeyboardInterrupt\n" + HOOK + "    yield plugin('ev', open=opened)\n",
            "channel ev: To open it raised KeyboardInterrupt",
        ),
    ],
)
def test_what_goes_on_for_ever_costs_one_plugin(install: Install, source: str, why: str) -> None:
    install("bad", source if source.startswith(("import", "while", "raise", "class E")) else HEAD + source)
    install("good", GOOD)
    (failed,) = failures().items()
    assert failed[0] == "bad"
    assert why in failed[1]


def test_what_was_installed_over_another_hides_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the newer one has no plugin any more."""
    newer = {"shadow": "", "other": ""}
    older = {"shadow": f"[overture]\nshadow = {__name__}\n", "lonely": f"[overture]\nlonely = {__name__}\n"}
    for folder, distributions in (("older", older), ("newer", newer)):  # what is put first on the path comes last
        for name, entries in distributions.items():
            info = tmp_path / folder / f"shade_{name}-1.0.dist-info"
            info.mkdir(parents=True)
            (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: shade-{name}\nVersion: 1.0\n")
            (info / "entry_points.txt").write_text(entries)
        monkeypatch.syspath_prepend(str(tmp_path / folder))
    assert [plugin.name for plugin in installed() if plugin.distribution.startswith("shade-")] == ["lonely"]


def test_metadata_that_cannot_be_read_cost_one_plugin(install: Install) -> None:
    install("good", GOOD)
    (install("nameless", "") / "METADATA").write_text("Metadata-Version: 2.1\n")
    (install("bare", "") / "METADATA").unlink()
    (install("odd", "") / "entry_points.txt").write_text("[overture]\nthis is no entry point\n")
    (install("empty", "") / "entry_points.txt").write_text("[overture]\nempty =\n")
    (install("elsewhere", "") / "entry_points.txt").write_text("[other]\nthis is no entry point\n")
    failed = failures()
    assert failed.keys() == {"nameless", "bare", "start-odd", "empty"}
    assert failed["nameless"] == failed["bare"] == "Its METADATA is missing, or has no Name."
    assert failed["start-odd"].startswith("Its entry_points.txt cannot be read: ")


def test_ctrl_c_ends_the_process_while_a_plugin_is_loaded(install: Install) -> None:
    info = install("bad", "print('loading', flush=True)\nimport time\ntime.sleep(1000)\n")
    code = (
        f"import sys; sys.path.insert(0, {str(info.parent)!r})\n"
        "from overture.plugin import PluginManager\nPluginManager().load()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "loading\n"
    process.send_signal(2)
    assert "KeyboardInterrupt" in process.communicate(timeout=30)[1]
    assert process.returncode != 0


@pytest.mark.parametrize(
    ("hook", "offer", "why"),
    [
        ("enrichers", "EnricherPlugin(timeout='0.2', {})", "The timeout of the enricher ev must be a number from 0 to"),
        ("enrichers", "EnricherPlugin(timeout=True, {})", "The timeout of the enricher ev must be a number from 0 to"),
        ("enrichers", "EnricherPlugin(ttl=math.nan, {})", "The ttl of the enricher ev must be a number from 0 to"),
        ("enrichers", "EnricherPlugin(ttl=None, {})", "must be a number from 0 to 1,000,000,000, not NoneType."),
        ("enrichers", "EnricherPlugin(remembered=1.5, {})", "The remembered of the enricher ev must be a whole number"),
        ("enrichers", "EnricherPlugin(most=10**400, {})", "The most of the enricher ev must be a whole number"),
        ("observers", "ObserverPlugin(queue='1000', {})", "The queue of the observer ev must be a whole number"),
        ("observers", "ObserverPlugin(timeout=-1, {})", "must be a number from 0 to 1,000,000,000, not -1."),
        ("health_checks", "HealthCheckPlugin(every=math.inf, {})", "The every of the health check ev must be a number"),
        (
            "health_checks",
            "HealthCheckPlugin(required='no', {})",
            "The required of the health check ev must be True or",
        ),
        ("scorers", "ScorerPlugin(version=7, {})", "The version of the scorer ev must be a text, not 7."),
        ("channels", "ChannelPlugin(address_of=None, {})", "The address_of of the channel ev must be a function"),
        ("channels", "plugin('ev', open=7)", "The open of the channel ev must be a function, not 7."),
        ("channels", "plugin('ev', serves=5)", "The serves of the channel ev must be a text, not 5."),
        ("channels", "plugin('ev', keeps=1)", "The keeps of the channel ev must be True or False, not 1."),
        (
            "sources",
            "PushSourcePlugin(endpoints=[Endpoint(method='POST', path='~/x', most='1')], {})",
            "The most of an endpoint of the source ev must be a whole number",
        ),
        ("observers", "ObserverPlugin(queue=0, timeout=1, {})", ""),
    ],
)
def test_a_wrong_value_in_a_descriptor_is_told_by_its_name(install: Install, hook: str, offer: str, why: str) -> None:
    own = offer.replace("{}", "name='ev', config=Config, open=Silent")
    install("bad", f"{HEAD}@hookimpl\ndef overture_{hook}():\n    yield {own}\n")
    install("good", GOOD)
    failed = failures()
    assert (why in failed["bad"] and "[plugin.wrong_type]" in failed["bad"]) if why else not failed
