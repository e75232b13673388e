from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from overture.plugin import PluginManager, PluginState

HEAD = """
from overture.plugin import ChannelPlugin, Sent, hookimpl
from pydantic import BaseModel, ConfigDict, SecretStr

class Config(BaseModel):
    model_config = ConfigDict(extra="forbid")
    token: SecretStr = SecretStr("")

class Silent:
    def __init__(self, config): pass
    async def send(self, message): return Sent("x")
    async def check(self): pass
    async def close(self): pass

def plugin(name, **changes):
    values = dict(name=name, config=Config, open=Silent, address_of=lambda contact: None)
    return ChannelPlugin(**(values | changes))
"""
GOOD = HEAD + "\n@hookimpl\ndef overture_channels():\n    yield plugin('pigeon')\n"
Install = Callable[[str, str], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Installs a distribution with one plugin module, as pip would leave it on the path."""
    monkeypatch.syspath_prepend(str(tmp_path))
    made: list[str] = []

    def make(name: str, source: str) -> None:
        module = f"ov_test_{name}"
        made.append(module)
        (tmp_path / f"{module}.py").write_text(source)
        info = tmp_path / f"{module}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[overture]\n{name} = {module}\n")

    yield make
    for module in made:
        sys.modules.pop(module, None)


def loaded() -> tuple[PluginManager, dict[str, PluginState]]:
    manager = PluginManager()
    manager.load()
    return manager, {state.name: state for state in manager.states()}


def test_the_built_in_channels_are_plugins_like_any():
    manager, states = loaded()
    assert {"email", "webhook"} <= set(manager.channels)
    for name in ("smtp", "webhook"):
        state = states[name]
        assert (state.distribution, state.state, state.error) == ("overture", "active", "")
        assert state.hooks == ("overture_channels",)
        assert state.version


def test_a_third_party_channel(install: Install):
    install("pigeon", GOOD)
    manager, states = loaded()
    assert states["pigeon"] == PluginState("pigeon", "pigeon", "1.2", ("overture_channels",))
    assert manager.channels["pigeon"].name == "pigeon"


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("raise RuntimeError('at import')", "RuntimeError: at import"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("import does_not_exist", "ModuleNotFoundError: No module named 'does_not_exist'"),
        ("def f(:", "SyntaxError"),
        (HEAD + "@hookimpl\ndef overture_channels(): raise OSError('in the hook')", "OSError: in the hook"),
        (
            HEAD + "@hookimpl\ndef overture_channels():\n  yield plugin('a')\n  raise OSError('midway')",
            "OSError: midway",
        ),
        (HEAD + "@hookimpl\ndef overture_channels(): yield 'smtp'", "yielded str"),
        (HEAD + "@hookimpl\ndef overture_channels(): return 7", "TypeError"),
        (HEAD + "@hookimpl\ndef overture_channels(): yield plugin('No name')", "'No name'"),
        (HEAD + "@hookimpl\ndef overture_channels(): yield plugin('a', config=dict)", "not a pydantic model"),
        (HEAD + "@hookimpl\ndef overture_channels(surprise): yield plugin('a')", "surprise"),
        (HEAD + "@hookimpl\ndef overture_chanels(): yield plugin('a')", "overture_chanels"),
        (HEAD + "@hookimpl\ndef overture_channels(): yield plugin('email')", "Another plugin offers the channel email"),
        ("OVERTURE_HOOK_API = 99", "hook API 99"),
        ("class E(Exception):\n  def __str__(self): raise SystemExit\nraise E", "E: (its text cannot be read)"),
    ],
)
def test_a_bad_plugin_is_recorded_and_stops_no_other(install: Install, source: str, error: str):
    install("bad", source)
    install("pigeon", GOOD)
    manager, states = loaded()
    assert states["bad"].state == "failed"
    assert states["bad"].version == "1.2"
    assert error in states["bad"].error
    assert "\n" not in states["bad"].error
    theirs = [
        name for name, offer in manager.channels.items() if offer.config.__module__.split(".")[0] != "overture_channels"
    ]
    assert theirs == ["pigeon"]
    assert manager.channels["email"].config.__module__ == "overture_channels.smtp"
    own = [name for name, state in states.items() if state.distribution == "overture"]
    assert {"smtp", "webhook"} <= set(own)
    assert [name for name, state in states.items() if state.state == "active"] == [*own, "pigeon"]


def test_the_second_claim_of_a_channel_is_refused(install: Install):
    install("first", GOOD)
    install("second", GOOD)
    manager, states = loaded()
    assert manager.channels["pigeon"].open.__module__ == "ov_test_first"
    assert (states["first"].state, states["second"].state) == ("active", "failed")
    assert "pigeon" in states["second"].error


async def test_channels_open_with_their_settings():
    manager, _ = loaded()
    assert manager.configure("channel", {"email": {"url": "smtp://127.0.0.1:1", "sender": "news@example.org"}}) == []
    hosted = manager.open_channels()
    assert set(hosted) == {"email", "inbox", "webhook"}
    assert repr(hosted["email"]) == "<HostedChannel email closed>"
    for channel in hosted.values():
        await channel.close()


async def test_wrong_settings_cost_one_channel_and_show_no_secret(install: Install):
    install("pigeon", GOOD)
    raising = "@hookimpl\ndef overture_channels():\n  yield plugin('raising', open=lambda config: 1 / 0)\n"
    install("raising", HEAD + raising)
    manager, _ = loaded()
    wrong = manager.configure(
        "channel",
        {"email": {"url": "smtp://u:s3cret@host?x=1", "sender": "news@example.org"}, "pigeon": {"tokn": "s3cret"}},
    )
    assert [(each.name, each.place, each.error) for each in wrong] == [
        ("email", ("url",), "value_error"),
        ("pigeon", ("tokn",), "extra_forbidden"),
    ]
    assert "s3cret" not in repr(wrong)
    hosted = manager.open_channels()
    assert set(hosted) == {"inbox", "webhook"}
    states = {state.name: state for state in manager.states()}
    assert "channel email: url: " in states["smtp"].error
    assert states["pigeon"].error == "channel pigeon: tokn: Extra inputs are not permitted"
    assert "ZeroDivisionError" in states["raising"].error
    assert "s3cret" not in repr(manager.states())
    assert states["webhook"].state == "active"
    await hosted["webhook"].close()


@pytest.mark.parametrize(
    ("model", "settings", "kinds"),
    [
        ("class C(BaseModel):\n  a: int = 1", {"b": 1}, ["extra_forbidden"]),
        ("class C(BaseModel, extra='allow'):\n  a: int = 1", {"b": 1}, []),
        ("class C(BaseModel, extra='ignore'):\n  a: int = 1", {"b": 1}, []),
        ("class D(BaseModel):\n  a: int = 1\nclass C(BaseModel):\n  d: D = D()", {"d": {"b": 1}}, ["extra_forbidden"]),
        ("class C(BaseModel):\n  a: int", {}, ["missing"]),
        ("class C(BaseModel):\n  a: int", {"a": "x", "b": 1}, ["int_parsing", "extra_forbidden"]),
    ],
)
def test_settings_that_a_model_does_not_know(
    install: Install, model: str, settings: dict[str, object], kinds: list[str]
):
    hook = "@hookimpl\ndef overture_channels():\n  yield plugin('pigeon', config=C)\n"
    install("pigeon", f"{HEAD}\n{model}\n\n{hook}")
    manager, _ = loaded()
    mail = {"url": "smtp://127.0.0.1:1", "sender": "news@example.org"}
    wrong = manager.configure("channel", {"email": mail, "pigeon": settings})
    assert [each.error for each in wrong] == kinds
    (state,) = (state for state in manager.states() if state.name == "pigeon")
    assert state.state == ("failed" if kinds else "active")
    assert ("pigeon" in manager.open_channels()) == (not kinds)
