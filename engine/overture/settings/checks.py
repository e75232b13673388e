"""Checks of single values. Each raises ValueError that goes on behind the setting's name: ``must …``, ``has …``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

from pydantic import AfterValidator

# The options of a store's URL that both its clients act on, our own (`state.wire`) and redis-py.
_STORE_OPTIONS = ("db", "username", "password")
_TLS_OPTIONS = ("ssl_ca_certs", "ssl_cert_reqs", "ssl_check_hostname", "ssl_certfile", "ssl_keyfile")


def split(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def locale(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z]{2,3}([_-][A-Za-z0-9]{2,8}){0,3}", value):
        raise ValueError("must be a locale such as en, de-AT or pt_BR")
    return value


def networks(value: object) -> object:
    try:
        return tuple(ip_network(str(part)) for part in cast("list[object]", split(value)))
    except (ValueError, TypeError) as error:
        raise ValueError(f"must be networks such as 10.0.0.0/8, separated by commas: {error}") from None


def rates(value: object) -> object:
    """``email=20,sms=0.5``, or a table."""
    if isinstance(value, str):
        pairs = [part.partition("=") for part in cast("list[str]", split(value))]
        value = {name.strip(): number.strip() for name, _, number in pairs}
    try:
        found = {name: float(number) for name, number in cast("dict[str, str]", value).items()}
    except (ValueError, TypeError, AttributeError):
        found = {"": 0.0}
    if not all(name and 0.001 <= rate <= 100_000 for name, rate in found.items()):
        raise ValueError("must be messages a second by channel, such as email=20,sms=0.5, from 0.001 to 100000")
    return found


@dataclass(frozen=True, slots=True)
class Tracking:
    """What messages of a channel tell; ``purposes``: of which purposes, empty for all but transactional ones."""

    opens: bool = False
    clicks: bool = False
    purposes: tuple[str, ...] = ()


def tracking(value: object) -> object:
    """``email=opens+clicks``, or a table of tables."""
    if isinstance(value, str):
        pairs = [part.partition("=") for part in cast("list[str]", split(value))]
        value = {name.strip(): dict.fromkeys(what.strip().split("+"), True) for name, _, what in pairs}
    found: dict[str, Tracking] = {}
    for name, of in cast("dict[str, Any]", value if isinstance(value, dict) else {"": None}).items():
        said: dict[str, Any] = dict(cast("dict[str, Any]", of)) if isinstance(of, dict) else {"": None}
        purposes: Any = said.pop("purposes", [])
        good = isinstance(purposes, list) and all(isinstance(each, str) for each in cast("list[Any]", purposes))
        good &= set(said) <= {"opens", "clicks"} and all(type(each) is bool for each in said.values())
        if not name or not good:
            raise ValueError("must be opens, clicks (true or false) and purposes by channel, or email=opens+clicks")
        found[name] = Tracking(**said, purposes=tuple(cast("list[str]", purposes)))
    return found


def lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def none_if_empty(value: object) -> object:
    return None if value == "" else value


def not_blank(host: str) -> str:
    if not host.strip():  # which would be every address of this machine
        raise ValueError("must name an address to listen on; 0.0.0.0 is all of them")
    return host


def scheme(*schemes: str) -> AfterValidator:
    def check(url: str) -> str:
        if urlsplit(url).scheme not in schemes:
            raise ValueError("must begin with " + " or ".join(f"{scheme}://" for scheme in schemes))
        return url

    return AfterValidator(check)


def page_url(url: str) -> str:
    parts = urlsplit(url)
    if not parts.hostname or parts.query or parts.fragment or parts.username:
        raise ValueError("must look like https://mail.example.com")
    return url.rstrip("/")


def store_url(url: str) -> str:
    parts = urlsplit(url)
    if "@" not in parts.netloc and "@" in parts.path + parts.query + parts.fragment:
        raise ValueError("must have any / ? # in its password written as %2F %3F %23")
    try:
        _ = parts.port
    except ValueError:
        raise ValueError("must have a number up to 65535 for its port") from None
    if parts.scheme == "unix" and not parts.path:
        raise ValueError("must name a socket, as in unix:///run/redis.sock")
    if parts.scheme != "unix" and not re.fullmatch(r"(/\d*)?", parts.path):
        raise ValueError("must have a number for its database, as in redis://localhost:6379/0")
    known = (*_STORE_OPTIONS, *(_TLS_OPTIONS if parts.scheme == "rediss" else ()))
    for option in parse_qs(parts.query, keep_blank_values=True):
        if option not in known:
            raise ValueError(f"has the unknown option {option}; there are {', '.join(known)}")
    return url
