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


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("redis://store?foo=bar", "has the unknown option foo; there are db, username, password."),
        ("redis://store?ssl_cert_reqs=none", "has the unknown option ssl_cert_reqs; there are db, username, password."),
        ("unix:///run/redis.sock?socket_timeout=1", "has the unknown option socket_timeout; there are"),
        (
            "rediss://store?socket_timeout=1",
            "has the unknown option socket_timeout; there are db, username, password, ",
        ),
        ("redis://store?foo=", "has the unknown option foo;"),
        ("redis://store:port", "must have a number up to 65535 for its port."),
        ("redis://store:70000", "must have a number up to 65535 for its port."),
        ("redis://store/prod", "must have a number for its database, as in redis://localhost:6379/0."),
        ("unix://", "must name a socket, as in unix:///run/redis.sock."),
        ("redis://:ses/ame@store", "must have any / ? # in its password written as %2F %3F %23."),
        ("redis://:ses?ame=@store", "must have any / ? # in its password written as %2F %3F %23."),
        ("redis://:ses#ame@store", "must have any / ? # in its password written as %2F %3F %23."),
    ],
)
def test_a_wrong_url_of_a_store_gets_one_sentence_without_its_password(url: str, told: str) -> None:
    with pytest.raises(StartupRefused) as refused:
        Settings.load({"OVERTURE_REDIS_URL": url}, NOWHERE)
    assert refused.value.message.startswith(f"OVERTURE_REDIS_URL {told}")
    assert refused.value.message.count(". ") == 0
    assert "ses" not in refused.value.message
    assert "ame" not in refused.value.message.replace("name", "")


@pytest.mark.parametrize(
    "url",
    [
        "redis://store",
        "redis://",
        "redis://ada:s%2Fs@store:7000/",
        "redis://store/15?username=ada&password=s",
        "rediss://store:6380/0?ssl_cert_reqs=none&ssl_ca_certs=/etc/ca.pem&ssl_check_hostname=false",
        "unix:///run/redis.sock?db=1",
        "unix://ada:s@/run/redis.sock",
    ],
)
def test_a_url_of_a_store_that_both_clients_read_is_taken(url: str) -> None:
    assert Settings.load({"OVERTURE_REDIS_URL": url}, NOWHERE).redis_url == url


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("port = true", "port (overture.toml) must be a number (it is True)."),
        ("lease_seconds = false", "lease_seconds (overture.toml) must be a number (it is False)."),
        ("lease_seconds = nan", "lease_seconds (overture.toml) must be"),
        ("roles = []", "roles (overture.toml) must have at least 1 item"),
        ("channel_rates = 3", "channel_rates (overture.toml) must be messages a second by channel"),
        ("channel_rates = {sms = 0}", "channel_rates (overture.toml) must be messages a second by channel"),
        ("channels = 3", "channels (overture.toml) must be a table."),
        ('channels.email = "smtp://relay:s3cret@host"', "channels.email (overture.toml) must be a table."),
    ],
)
def test_a_wrong_value_in_the_file_gets_one_sentence(tmp_path: Path, line: str, told: str) -> None:
    file = tmp_path / "overture.toml"
    file.write_text(line + "\n")
    with pytest.raises(StartupRefused) as refused:
        Settings.load({}, file)
    assert refused.value.code == "settings.invalid"
    assert refused.value.message.startswith(told)
    assert "s3cret" not in str(refused.value)


def test_settings_of_channels_in_the_environment_are_not_dropped_without_a_word() -> None:
    with pytest.raises(StartupRefused, match=r"OVERTURE_CHANNELS is not read: .* overture\.toml"):
        Settings.load({"OVERTURE_CHANNELS": '{"email": {"timeout": 5}}'}, NOWHERE)
    assert Settings.load({"OVERTURE_CHANNELS": ""}, NOWHERE).channels == {}
    with pytest.raises(StartupRefused, match=r"OVERTURE_SOURCES is not read: .* \[sources\.<name>\]"):
        Settings.load({"OVERTURE_SOURCES": '{"segment": {}}'}, NOWHERE)


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
        "OVERTURE_REDIS_URL": "rediss://ada:sesame-3@store:6379/1?password=sesame-4",
        "OVERTURE_SMTP_URL": "smtp://:sesame-5@relay",
    }
    settings = Settings.load(environ, NOWHERE)
    assert "sesame" not in repr(settings) + str(settings.shown())
    assert settings.shown()["redis_url"].startswith("rediss://ada:********@store:6379/1")
    with pytest.raises(StartupRefused) as refused:
        Settings.load({"OVERTURE_REDIS_URL": "htp://:sesame-6@store"}, NOWHERE)
    assert "sesame" not in str(refused.value)


@pytest.mark.parametrize(
    "who", ["ada:sesame", ":sesame", "sesame", "ada:sesame:sesame", ":sesame@sesame", "ada:sesame/sesame", "a:b@sesame"]
)
def test_no_password_is_shown_whatever_stands_in_it(who: str) -> None:
    shown = Settings().model_copy(update={"smtp_url": f"smtp://{who}@relay:25"}).shown()["smtp_url"]
    assert "sesame" not in shown
    assert shown.endswith("********@relay:25")


def test_settings_are_frozen() -> None:
    settings = Settings()
    with pytest.raises(ValidationError, match="frozen"):
        settings.port = 1  # type: ignore[misc]


def test_the_rates_of_channels_come_as_text_or_as_a_table(tmp_path: Path) -> None:
    file = tmp_path / "overture.toml"
    file.write_text("channel_rates = {email = 20, sms = 0.5}\n")
    for settings in (
        Settings.load({}, file),
        Settings.load({"OVERTURE_CHANNEL_RATES": "email=20, sms=0.5"}, NOWHERE),
    ):
        assert settings.channel_rates == {"email": 20, "sms": 0.5}
        assert settings.shown()["channel_rates"] == "email=20,sms=0.5"
