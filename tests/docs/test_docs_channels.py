"""The page of channels is the code's: settings, what becomes of reports, and examples that work."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from dockit import CODE, blocks, code, page, part, table
from pydantic import BaseModel

from overture.rules import load
from overture.rules.ways import WAYS
from overture.sandbox.rendering.mjml import NESTED
from overture_channels.mailgun import MailgunConfig
from overture_channels.markup import MOST_TAGS
from overture_channels.postmark import PostmarkConfig
from overture_channels.sendgrid import SendgridConfig
from overture_channels.service import MailConfig, ServiceConfig
from overture_channels.ses import SesConfig
from overture_channels.slack import SlackConfig
from overture_channels.smtp import SmtpConfig
from overture_channels.team import AppriseConfig
from overture_channels.twilio import TwilioConfig
from overture_channels.web_push import LARGEST, WebPushConfig
from overture_channels.webhook import WebhookConfig
from overture_sources.bounces import BouncesConfig
from overture_sources.returned import ACTIONS, FEEDBACK
from overture_sources.twilio import TYPES
from overture_sources.twilio import TwilioConfig as SourceConfig

PAGE = page("channels.md")
HEAD = """\
apiVersion: overture/v1
kind: Ruleset
name: hello
requires: {channels: [email]}
facts: {signed_up: {plan: string}}
traits: {first_name: "string?"}
rules:
  hello:
    when: fact.type == "signed_up"
    then:
      - send: {channel: email, template: hello, purpose: transactional}
"""


@pytest.mark.parametrize(("title", "config"), [("## E-mail", SmtpConfig), ("### Mail that comes back", BouncesConfig)])
def test_the_settings_are_the_codes(title: str, config: type[BaseModel]) -> None:
    rows = table(part(PAGE, title), "setting")
    assert [code(row[0]) for row in rows] == list(config.model_fields)
    for name, *_, default in rows:
        field = config.model_fields[code(name)]
        if config is BouncesConfig and isinstance(field.default, str):
            assert default == f"`{field.default}`"


def test_what_becomes_of_a_report_is_the_codes() -> None:
    said = part(PAGE, "### Mail that comes back")
    for action, kind in ACTIONS.items():
        assert re.search(rf"`{action}` \| `message\.{kind}`", said), action
    for what, kind in FEEDBACK.items():
        assert re.search(rf"`{what}`[^|]*\| `message\.{kind}`", said), what


@pytest.mark.parametrize(
    ("title", "config"),
    [
        ("### SendGrid", SendgridConfig),
        ("### Mailgun", MailgunConfig),
        ("### Postmark", PostmarkConfig),
        ("### Amazon SES", SesConfig),
        ("### Twilio", TwilioConfig),
    ],
)
def test_the_settings_of_services_are_the_codes(title: str, config: type[ServiceConfig]) -> None:
    common, mail = (table(text, "setting") for text in part(PAGE, "## Services").split("\nand those")[:2])
    shared = [*common, *(mail if issubclass(config, MailConfig) else [])]
    own = table(part(PAGE, title), "setting")
    named = [code(row[0]) for row in own]
    assert {*named, *(code(row[0]) for row in shared)} == set(config.model_fields)
    plugin = re.search(r'`plugin = "(\w+)"`', part(PAGE, title))
    assert plugin is not None
    for name, _, default in [*(row for row in shared if code(row[0]) not in named), *own]:
        field = config.model_fields[code(name)]
        if default == "must be set":
            assert field.is_required(), name
        elif default.startswith("`") or not default:
            known = "" if default == "" and code(name) == "base_url" else field.default
            assert default == (f"`{known}`" if known not in ("", None) else ""), name


@pytest.mark.parametrize(
    ("title", "config"),
    [
        ("## Web push", WebPushConfig),
        ("## Slack", SlackConfig),
        ("## Apprise", AppriseConfig),
        ("## Webhooks", WebhookConfig),
    ],
)
def test_the_settings_of_other_channels_are_the_codes(title: str, config: type[BaseModel]) -> None:
    rows = table(part(PAGE, title), "setting")
    assert [code(row[0]) for row in rows] == list(config.model_fields)
    for name, _, default in rows:
        field = config.model_fields[code(name)]
        assert (default == "must be set") is field.is_required(), name
        if default.startswith("`"):
            assert default == f"`{field.default}`", name


def test_the_examples_of_other_channels_are_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    (tmp_path / "vapid.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    for name in ("SLACK_SALES", "SLACK_OPS", "OPS_MATRIX"):
        monkeypatch.setenv(name, "https://hooks.slack.com/services/x")
    monkeypatch.setenv("WEBHOOK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    for title, name, config in (
        ("## Web push", "web_push", WebPushConfig),
        ("## Slack", "slack", SlackConfig),
        ("## Apprise", "apprise", AppriseConfig),
        ("## Webhooks", "webhook", WebhookConfig),
    ):
        (example,) = blocks(part(PAGE, title), "toml")
        config.model_validate(tomllib.loads(example.replace("/run/secrets", str(tmp_path)))["channels"][name])


def test_the_rules_of_other_channels_are_right() -> None:
    head = HEAD[: HEAD.index("requires")]
    (subscribing,) = blocks(part(PAGE, "## Web push"), "yaml")
    assert load(head + subscribing).name == "hello"
    (alert,) = blocks(part(PAGE, "## Slack"), "yaml")
    needs = "requires: {channels: [slack]}\nfacts: {big_order: {total: number}}\ntraits: {email: string}\n"
    rule = 'rules:\n  big:\n    when: fact.type == "big_order"\n    then:\n'
    assert "blocks" in load(head + needs + rule + alert).templates["big_order"].data
    assert f"{LARGEST:,} bytes" in PAGE


def test_what_twilio_reports_is_the_codes() -> None:
    said = part(page("sources.md"), "## Twilio")
    assert [code(row[0]) for row in table(said, "setting")] == list(SourceConfig.model_fields)
    told = {name for row in table(said, "fact") for name in CODE.findall(row[0])}
    assert told == {*TYPES.values(), "sms_unknown", "sms_received", "sms_resubscribed", "message.unsubscribed"}
    (example,) = blocks(said, "toml")
    given = tomllib.loads(example)["sources"]["twilio"]
    SourceConfig.model_validate({**given, "auth_token": "s"})


def test_the_example_of_services_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SENDGRID_API_KEY", "s")
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", "s")
    (tmp_path / "token").write_text("s")
    (example, *_) = blocks(part(PAGE, "## Services"), "toml")
    told = tomllib.loads(example.replace("/run/secrets/postmark", str(tmp_path / "token")))
    for name, config in (("email", SendgridConfig), ("receipts", PostmarkConfig), ("sms", TwilioConfig)):
        given = {key: value for key, value in told["channels"][name].items() if key != "plugin"}
        config.model_validate(given if name == "sms" else {"sender": told["mail_from"], **given})


def test_numbers_are_the_codes() -> None:
    assert f"more than {MOST_TAGS:,} tags" in PAGE
    assert f"(up to {WAYS})" in PAGE
    assert f"more than {NESTED} in one another" in PAGE


def test_the_example_of_mjml_is_right() -> None:
    (example,) = blocks(part(PAGE, "### MJML"), "yaml")
    assert load(HEAD + example).templates["hello"].mjml.startswith("<mjml>")


def test_the_settings_of_the_examples_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMTP_URL", "smtp://127.0.0.1")
    shown = part(PAGE, "## E-mail")
    found = [each for each in blocks(shown, "toml") if "email" in each or "sources.bounces" in each]
    assert len(found) == 3
    (tmp_path / "bounce-key").write_text("k" * 32)
    old, new = rsa.generate_private_key(65537, 2048), ed25519.Ed25519PrivateKey.generate()
    for name, key in (("dkim.pem", old), ("dkim-rsa.pem", old), ("dkim-ed25519.pem", new)):
        (tmp_path / name).write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    for text in found:
        said: dict[str, Any] = tomllib.loads(text.replace("/run/secrets", str(tmp_path)))
        if "sources" in said:
            BouncesConfig.model_validate(said["sources"]["bounces"])
        else:
            given = {"url": "smtp://127.0.0.1", "sender": "news@example.com", **said["channels"]["email"]}
            assert len(SmtpConfig.model_validate(given).dkim) in (1, 2)
