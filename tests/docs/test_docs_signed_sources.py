"""``docs/sources.md`` says of signed sources what they are: their settings, addresses, types and defaults."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest
from dockit import CODE, ROOT, blocks, page, part, table

from overture.model.fact import REPORTED_TYPES
from overture.plugin import PluginManager, PushSourcePlugin
from overture_sources import shopify, signing, stripe
from overture_sources.business import SERVICES
from overture_sources.generic import HmacConfig
from overture_sources.reports import OUTCOMES
from overture_sources.service import Signed

PAGE = page("sources.md")
MAIL, BUSINESS = (
    part(PAGE, "## What became of messages: e-mail services"),
    part(PAGE, "## Signed webhooks of other services"),
)


@pytest.fixture(scope="module")
def sources() -> dict[str, PushSourcePlugin[Any]]:
    manager = PluginManager()
    manager.load()
    return {name: each for name, each in manager.sources.items() if isinstance(each, PushSourcePlugin)}


def settings(config: Any) -> set[str]:
    return {name + ("" if field.is_required() else "?") for name, field in config.model_fields.items()}


def test_the_readme_leads_here():
    assert "(docs/sources.md)" in (ROOT / "README.md").read_text("utf-8")


def test_each_mail_service_with_its_address_and_settings(sources: dict[str, PushSourcePlugin[Any]]):
    rows = table(MAIL, "source")
    assert {CODE.findall(row[0])[0] for row in rows} == {"sendgrid", "mailgun", "postmark", "ses"}
    for name, address, given, _ in rows:
        (known,) = CODE.findall(name)
        plugin = sources[known]
        assert [f"/in/{known}{each.path[1:]}" for each in plugin.endpoints] == CODE.findall(address)
        assert set(CODE.findall(given)) == settings(plugin.config)


def test_each_type_that_a_service_can_report():
    said = {name for row in table(MAIL, "fact") for name in CODE.findall(row[0])}
    assert said == {f"message.{kind}" for kind in OUTCOMES} == REPORTED_TYPES


def test_each_business_service_with_its_address_and_signature(sources: dict[str, PushSourcePlugin[Any]]):
    rows = table(BUSINESS, "source")
    told = {CODE.findall(row[0])[0]: (CODE.findall(row[1])[0], CODE.findall(row[2])) for row in rows}
    headers = {service.name: service.scheme.header for service in SERVICES}
    assert told.keys() == {*headers, "hmac"} <= sources.keys()
    for name, (path, signature) in told.items():
        assert path == f"/in/{name}"
        assert [each.lower() for each in signature] == ([headers[name]] if name in headers else [])
    assert settings(Signed) == {"secret", "old_secret?", "tolerance?"} <= set(CODE.findall(BUSINESS))
    assert f"{Signed.model_fields['tolerance'].default} unless set" in BUSINESS


def test_what_is_known_of_stripe_and_shopify():
    for known, heading in ((stripe.TYPES, "at Stripe"), (shopify.TYPES, "at Shopify")):
        said = {name: CODE.findall(row[1])[0] for row in table(BUSINESS, heading) for name in CODE.findall(row[0])}
        assert said == known


def test_each_setting_of_any_other_service():
    rows = {CODE.findall(row[0])[0]: row[2] for row in table(BUSINESS, "setting")}
    fields = HmacConfig.model_fields
    assert set(rows) == fields.keys() - Signed.model_fields.keys()
    for name, said in rows.items():
        default = fields[name].default
        if fields[name].is_required():
            assert said == "must be set"
        elif default and isinstance(default, str):
            assert CODE.findall(said)[0] == default
    assert set(re.findall(r"`(sha\d+|hex|base64)`", BUSINESS)) == {
        *signing.Algorithm.__args__,
        *signing.Encoding.__args__,
    }


def test_the_settings_shown_are_taken(sources: dict[str, PushSourcePlugin[Any]], monkeypatch: pytest.MonkeyPatch):
    shown = [tomllib.loads(block)["sources"] for block in blocks(MAIL + BUSINESS, "toml")]
    taken = 0
    for name, given in ((name, given) for block in shown for name, given in block.items()):
        own = {key: "x" if str(value).startswith(("env:", "file:")) else value for key, value in given.items()}
        plugin = sources[own.pop("plugin", name)]
        if name == "sendgrid":
            assert set(own) == {"public_key"}
            continue
        assert plugin.open(plugin.config.model_validate(own, extra="forbid"))
        taken += 1
    assert taken == 6
