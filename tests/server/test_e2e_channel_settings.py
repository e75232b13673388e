"""A mistake in the settings of a channel is told at start, in one sentence; what is nobody's mistake is logged."""

from __future__ import annotations

from pathlib import Path

import pytest
from serverkit import SHIPPED, Mailbox, Server, fact, fresh, installed, refused, written

FAILING = "raise RuntimeError('no pigeons today')\n"
LOFT = """
from overture.plugin import ChannelPlugin, Sent, hookimpl
from pydantic import BaseModel

class Config(BaseModel):
    loft: str
    speed: float = 10.0

class Pigeon:
    def __init__(self, config): pass
    async def send(self, message): return Sent("x")
    async def check(self): pass
    async def close(self): pass

@hookimpl
def overture_channels():
    yield ChannelPlugin(name="pigeon", config=Config, open=Pigeon, address_of=lambda contact: None)
"""


@pytest.mark.parametrize(
    ("toml", "sentence"),
    [
        (
            "[channels.emial]\ntimeout = 5",
            "channels.emial (overture.toml) is for a channel that no plugin offers; did you mean email?",
        ),
        ("[channels.pigeon]", "channels.pigeon (overture.toml) is for a channel that no plugin offers. "),
        (
            "[channels.email]\ntimout = 5",
            "channels.email.timout (overture.toml) is no setting of the channel; did you mean timeout?",
        ),
        ("[channels.webhook]\nkey = 's3cret'", "channels.webhook.key (overture.toml) is no setting of the channel. "),
        ("[channels.email]\ntimeout = '5'", "channels.email.timeout (overture.toml) must be a valid number. "),
        ("[channels.email]\ntimeout = 0", "channels.email.timeout (overture.toml) must be greater than 0. "),
        (
            "[channels.email]\nconnections = true",
            "channels.email.connections (overture.toml) must be a valid integer. ",
        ),
        (
            "[channels.email]\nurl = 'smtp://ada:s3cret@host?x=1'",
            "channels.email.url (overture.toml): the only option of the mail server's address is starttls=",
        ),
        (
            "[channels.email]\nurl = 'env:NOT_SET_ANYWHERE'",
            "channels.email.url (overture.toml): the environment variable NOT_SET_ANYWHERE is not set. ",
        ),
        (
            "[channels.webhook]\nsecret = 's3cret!'",
            "channels.webhook.secret (overture.toml): the secret is not base64. ",
        ),
        (
            "[channels.webhook]\negress_allow = ['10.0.0.1/8']",
            "channels.webhook.egress_allow (overture.toml): 10.0.0.1/8 has host bits set. ",
        ),
        ("mail_from = 'nobody'", "mail_from (overture.toml): the address is not an e-mail address. "),
        ("channels.email = 's3cret'", "channels.email (overture.toml) must be a table. "),
    ],
)
def test_a_mistake_is_told_before_anything_is_started(tmp_path: Path, toml: str, sentence: str) -> None:
    said = refused(written(tmp_path, toml))
    assert said.startswith(f"overture: {sentence}")
    assert "s3cret" not in said
    assert not (tmp_path / "data").exists()


def test_what_stands_in_the_environment_is_named_as_there(tmp_path: Path) -> None:
    said = refused(tmp_path, MAIL_FROM="nobody", SMTP_URL="smtp://u:s3cret@host/path")
    assert "OVERTURE_MAIL_FROM: the address is not an e-mail address." in said
    assert "OVERTURE_SMTP_URL: the address of the mail server must look like smtp://host:port" in said
    assert "s3cret" not in said


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    said = refused(written(tmp_path, "[channels.email]\ntimeout = 0\nx = 1\n[channels.pigeon]\na = 1\n"))
    for name in ("channels.email.timeout", "channels.email.x", "channels.pigeon"):
        assert name in said


def test_right_settings_are_taken(tmp_path: Path, mailbox: Mailbox) -> None:
    address, ada = f"{fresh('ada')}@example.com", fresh("ada")
    toml = f"[channels.email]\nurl = '{mailbox.url}'\nsender = 'News <news@example.org>'\nconnections = 1\n"
    with Server(written(tmp_path, toml), MAIL_FROM="unused@example.org", RULESETS=SHIPPED) as server:
        server.facts(
            fact("identify", ada, email=address),
            fact("consent", ada, channel="email", purpose="marketing", state="granted"),
            fact("guide_downloaded", ada, guide="g"),
        )
        assert [m["state"] for m in server.messages(ada)] == ["sent"]
        assert "failed" not in server.said()
    (mail,) = mailbox.to(address)
    assert mail.sender == "news@example.org"


def test_a_process_that_does_not_deliver_needs_no_secrets_of_channels(tmp_path: Path, store_url: str) -> None:
    toml = "[channels.email]\nurl = 'env:NOT_SET_ANYWHERE'\n"
    with Server(written(tmp_path, toml), ROLES="web,worker", REDIS_URL=store_url) as server:
        assert server.ready()["ready"]


def test_a_plugins_own_settings(tmp_path: Path) -> None:
    here = installed(tmp_path, "pigeon", LOFT)
    said = refused(written(here, "[channels.pigeon]\nspeed = 'fast'\nloff = 'x'\n"))
    assert "channels.pigeon.loft (overture.toml) is missing." in said
    assert "channels.pigeon.speed (overture.toml) must be a valid number" in said
    assert "channels.pigeon.loff (overture.toml) is no setting of the channel; did you mean loft?" in said
    with Server(written(here, "")) as server:
        assert states(server)["pigeon"] == ""
        assert "pigeon" not in server.ready()["channels"]
        assert "failed" not in server.said()
    with Server(written(here, "[channels.pigeon]\nloft = 'roof'\n")) as server:
        assert states(server)["pigeon"] == ""
        assert "pigeon" in server.ready()["channels"]


def test_settings_of_a_channel_whose_plugin_cannot_be_loaded(tmp_path: Path) -> None:
    """It may be the one: the others go on, and the log says what is not used."""
    with Server(written(installed(tmp_path, "pigeon", FAILING), "[channels.pigeon]\nloft = 'roof'\n")) as server:
        assert states(server)["pigeon"] == "RuntimeError: no pigeons today"
        said = server.said()
    assert "channels.pigeon (overture.toml) is for a channel that no plugin offers; of the plugins, pigeon" in said
    assert "The plugin pigeon of ov-pigeon failed: RuntimeError: no pigeons today" in said


def states(server: Server) -> dict[str, str]:
    return {plugin["name"]: plugin["error"] for plugin in server.ready()["plugins"]}
