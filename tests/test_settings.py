from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from overture.model.errors import StartupRefused
from overture.settings import Settings

NOWHERE = Path("no-such-directory/overture.toml")


def test_defaults_need_nothing() -> None:
    settings = Settings.load({}, NOWHERE)
    assert (settings.host, settings.port, settings.partitions) == ("127.0.0.1", 8080, 16)
    assert settings.roles == {"web", "worker", "delivery"}
    assert set(settings.origins().values()) == {"default"}


def test_each_value_knows_where_it_came_from(tmp_path: Path) -> None:
    file = tmp_path / "overture.toml"
    file.write_text('host = "0.0.0.0"\nport = 9000\nworkers = 2\n[channels.smtp]\nurl = "smtp://relay"\n')
    settings = Settings.load({"OVERTURE_PORT": "9001", "OVERTURE_WORKERS": "3"}, file, {"workers": 4, "host": None})
    assert (settings.host, settings.port, settings.workers) == ("0.0.0.0", 9001, 4)
    origins = settings.origins()
    assert origins["host"] == "overture.toml"
    assert origins["port"] == "OVERTURE_PORT"
    assert origins["workers"] == "command line"
    assert origins["data_dir"] == "default"
    assert settings.channels["smtp"] == {"url": "smtp://relay"}


def test_lists_are_comma_separated() -> None:
    settings = Settings.load({"OVERTURE_ROLES": "web, worker", "OVERTURE_EGRESS_ALLOW": "10.0.0.0/8,::1"}, NOWHERE)
    assert settings.roles == {"web", "worker"}
    assert [str(network) for network in settings.egress_allow] == ["10.0.0.0/8", "::1/128"]


def test_empty_means_not_set_except_for_the_rulesets() -> None:
    settings = Settings.load({"OVERTURE_REDIS_URL": "", "OVERTURE_PORT": "", "OVERTURE_RULESETS": ""}, NOWHERE)
    assert settings.redis_url is None
    assert settings.port == 8080
    assert settings.rulesets is None
    assert Settings.load({}, NOWHERE).rulesets is not None


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OVERTURE_PORT", "eighty"),
        ("OVERTURE_PORT", "70000"),
        ("OVERTURE_ROLES", "web,wrker"),
        ("OVERTURE_ROLES", ","),
        ("OVERTURE_MATCHER", "magic"),
        ("OVERTURE_REDIS_URL", "http://localhost"),
        ("OVERTURE_SMTP_URL", "localhost:25"),
        ("OVERTURE_EGRESS_ALLOW", "10.0.0.1/8"),
        ("OVERTURE_ALLOW_WEAK_DURABILITY", "perhaps"),
        ("OVERTURE_LEASE_SECONDS", "0"),
    ],
)
def test_a_wrong_value_gets_one_sentence_that_names_the_variable(variable: str, value: str) -> None:
    with pytest.raises(StartupRefused) as refused:
        Settings.load({variable: value}, NOWHERE)
    assert refused.value.code == "settings.invalid"
    assert refused.value.message.startswith(variable + " ")
    assert refused.value.message.count(variable) == 1


def test_every_wrong_value_is_told_at_once() -> None:
    with pytest.raises(StartupRefused) as refused:
        Settings.load({"OVERTURE_PORT": "x", "OVERTURE_WORKERS": "y"}, NOWHERE)
    assert "OVERTURE_PORT" in refused.value.message
    assert "OVERTURE_WORKERS" in refused.value.message


def test_the_port_that_kubernetes_injects_is_explained() -> None:
    with pytest.raises(StartupRefused, match="enableServiceLinks"):
        Settings.load({"OVERTURE_PORT": "tcp://10.0.0.7:8080"}, NOWHERE)


def test_an_unknown_key_in_the_file_is_refused_with_a_guess(tmp_path: Path) -> None:
    file = tmp_path / "overture.toml"
    file.write_text("prot = 9000\n")
    with pytest.raises(StartupRefused, match="did you mean port"):
        Settings.load({}, file)


def test_a_broken_file_is_refused_with_the_place(tmp_path: Path) -> None:
    file = tmp_path / "overture.toml"
    file.write_text("port = = 9\n")
    with pytest.raises(StartupRefused, match="line 1"):
        Settings.load({}, file)


def test_no_secret_is_ever_shown() -> None:
    environ = {
        "OVERTURE_ADMIN_KEY": "sesame-1",
        "OVERTURE_WRITE_KEY": "sesame-2",
        "OVERTURE_REDIS_URL": "rediss://ada:sesame-3@store:6379/1?ssl_password=sesame-4",
        "OVERTURE_SMTP_URL": "smtp://:sesame-5@relay",
    }
    settings = Settings.load(environ, NOWHERE)
    assert "sesame" not in repr(settings) + str(settings.shown())
    assert settings.shown()["redis_url"].startswith("rediss://ada:********@store:6379/1")
    with pytest.raises(StartupRefused) as refused:
        Settings.load({"OVERTURE_REDIS_URL": "htp://:sesame-6@store"}, NOWHERE)
    assert "sesame" not in str(refused.value)


def test_settings_are_frozen() -> None:
    settings = Settings()
    with pytest.raises(ValidationError, match="frozen"):
        settings.port = 1  # type: ignore[misc]
