"""Settings as a person reads them: where they came from, what is wrong with them, without their secrets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

from pydantic import SecretStr

from overture.model.environ import PREFIX
from overture.settings.checks import Tracking

TABLES = (
    "channels", "sources", "identity", "enrichers", "redactors", "delivery_gates", "observers", "health_checks",
    "commands",
)  # fmt: skip
"""Settings that are tables in the file, handed to plugins."""

HIDDEN = "********"
_WHO = re.compile(r"^([^:]*://)(?:([^:@]*):)?.*@", re.DOTALL)  # to the last @: nobody escapes those in a password


def of_finding(finding: Any, origins: Mapping[str, str]) -> str:
    """One finding of pydantic about the settings, as a sentence."""
    name = str(finding["loc"][0])
    origin = origins.get(name, "default")
    problem, value = str(finding["msg"]), finding["input"]
    if name in TABLES:
        return f"{place_of('.'.join(map(str, finding['loc'])), origin)} must be a table."
    if origin == PREFIX + "PORT" and isinstance(value, str) and value.startswith("tcp://"):
        problem += "; Kubernetes sets this variable for a Service named overture: set enableServiceLinks to false"
    said = "" if _is_secret(name) else f" (it is {value!r})"
    return sentence(place_of(name, origin), problem + said)


def sentence(place: str, problem: str) -> str:
    """``place`` and what pydantic, or a validator of ours, finds wrong there, as one sentence."""
    problem = problem.removeprefix("Value error, ").removeprefix("Assertion failed, ")
    problem = re.sub(r"^\w+ should ", "must ", problem).rstrip(".")
    link = " " if problem.startswith(("must ", "has ")) else ": "
    return f"{place}{link}{problem[:1].lower()}{problem[1:]}."


def place_of(name: str, origin: str) -> str:
    """A setting as a sentence names it: ``OVERTURE_PORT``, or ``port (overture.toml)``."""
    return origin if origin.startswith(PREFIX) else f"{name} ({origin})"


def _is_secret(name: str) -> bool:
    return name.endswith(("_key", "_url"))


def shown(name: str, value: Any) -> str:
    """A value as a text that may be shown to anyone."""
    if value is None:
        return ""
    if isinstance(value, SecretStr):
        return HIDDEN
    if name in TABLES:
        return ", ".join(sorted(cast(Mapping[str, Any], value)))
    if name == "channel_rates":
        return ",".join(f"{channel}={rate:g}" for channel, rate in cast(Mapping[str, float], value).items())
    if name == "tracking":
        asked = {each: _asked(of) for each, of in cast(Mapping[str, Tracking], value).items()}
        return ",".join(f"{channel}={what}" for channel, what in asked.items())
    if isinstance(value, frozenset | tuple):
        return ",".join(sorted(str(item) for item in cast("frozenset[object]", value)))
    if name.endswith("_url"):
        return re.sub(r"(?<=password=)[^&]+", HIDDEN, _WHO.sub(_without_password, str(value)))
    return str(value)


def _without_password(found: re.Match[str]) -> str:
    """A name alone may be a token."""
    scheme, user = found.groups()
    return f"{scheme}{HIDDEN}@" if user is None else f"{scheme}{user}:{HIDDEN}@"


def _asked(of: Tracking) -> str:
    return "+".join(what for what, on in (("opens", of.opens), ("clicks", of.clicks)) if on)
