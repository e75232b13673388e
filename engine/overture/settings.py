"""What an operator can set: one frozen object, read once at start-up.

Each value comes from, in this order: the command line, an environment variable ``OVERTURE_<NAME>``, ``overture.toml``,
the default. The environment is an argument, so nothing here is global.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, cast
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, SecretStr
from pydantic import ValidationError as _Invalid

from overture.model.errors import StartupRefused

PREFIX = "OVERTURE_"
FILE = Path("overture.toml")
_HINT = "`overture config` shows every setting and where its value comes from."

Role = Literal["web", "worker", "delivery"]


def shipped_rulesets() -> Path:
    """The directory of the example rulesets: inside the installed package, or at the top of a checkout."""
    package = Path(__file__).parent
    installed = package / "rulesets"
    return installed if installed.is_dir() else package.parent.parent / "rulesets"


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _networks(value: object) -> object:
    try:
        return tuple(ip_network(str(part)) for part in cast("list[object]", _split(value)))
    except (ValueError, TypeError) as error:
        raise ValueError(f"must be networks such as 10.0.0.0/8, separated by commas: {error}") from None


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _none_if_empty(value: object) -> object:
    return None if value == "" else value


def _not_blank(host: str) -> str:
    if not host.strip():  # which would be every address of this machine
        raise ValueError("must name an address to listen on; 0.0.0.0 is all of them")
    return host


def _scheme(*schemes: str) -> AfterValidator:
    def check(url: str) -> str:
        if urlsplit(url).scheme not in schemes:
            raise ValueError("must begin with " + " or ".join(f"{scheme}://" for scheme in schemes))
        return url

    return AfterValidator(check)


class Settings(BaseModel):
    """Every setting, checked. Build it with `load`; ``Settings()`` holds the defaults alone."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    redis_url: Annotated[str, _scheme("redis", "rediss", "unix")] | None = Field(None, repr=False)
    """An external Redis ≥ 7.0 or Valkey. None: the embedded store in ``data_dir``."""
    data_dir: Path = Path("data")
    host: Annotated[str, AfterValidator(_not_blank)] = "127.0.0.1"
    port: int = Field(8080, ge=0, le=65535)
    workers: int = Field(1, ge=1, le=256)
    partitions: int = Field(16, ge=1, le=4096)
    """Fixed when a store is created; a store that has another number wins, with an error."""
    matcher: Literal["durable", "reference"] = "durable"
    roles: Annotated[frozenset[Role], BeforeValidator(_split), Field(min_length=1)] = frozenset[Role](
        {"web", "worker", "delivery"}
    )
    admin_key: SecretStr | None = None
    """None: made on the first start and kept, hashed, in the store."""
    write_key: SecretStr | None = None
    smtp_url: Annotated[str, _scheme("smtp", "smtps")] = Field("smtp://127.0.0.1:1025", repr=False)
    mail_from: str = "Overture <overture@localhost>"
    egress_allow: Annotated[tuple[IPv4Network | IPv6Network, ...], BeforeValidator(_networks)] = ()
    """Networks that channels may reach besides public addresses."""
    rulesets: Annotated[Path | None, BeforeValidator(_none_if_empty)] = Field(default_factory=shipped_rulesets)
    """Documents to activate on the first start. None (set to the empty text): none."""
    allow_weak_durability: bool = False
    lease_seconds: float = Field(3.0, ge=0.2, le=300)
    max_lag: int = Field(100_000, ge=1)
    """Facts accepted and not yet decided, in all, before accept answers 429."""
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_lower)] = "info"
    channels: Mapping[str, Mapping[str, Any]] = Field(default_factory=dict, repr=False)
    """``[channels.<name>]`` of ``overture.toml``, handed to that channel's plugin, which checks it."""

    _origins: dict[str, str] = PrivateAttr(default_factory=dict[str, str])

    @classmethod
    def load(cls, environ: Mapping[str, str], file: Path = FILE, flags: Mapping[str, Any] | None = None) -> Settings:
        """Read and check everything. ``flags``: values of the command line by field name, None where not given.

        Raises `StartupRefused` ``settings.invalid`` with one sentence for each value that is wrong.
        """
        values: dict[str, Any] = {}
        origins: dict[str, str] = {}
        for origin, name, value in [*_from_file(file), *_from_environment(environ), *_from_flags(flags or {})]:
            values[name], origins[name] = value, origin
        try:
            settings = cls(**values)
        except _Invalid as error:
            sentences = [_sentence(finding, origins) for finding in error.errors()]
            raise StartupRefused("settings.invalid", " ".join(sentences), _HINT) from None
        settings._origins.update(origins)
        return settings

    def origins(self) -> dict[str, str]:
        """For each setting by name: ``command line``, ``OVERTURE_<NAME>``, the file's name, or ``default``."""
        return {name: self._origins.get(name, "default") for name in type(self).model_fields}

    def shown(self) -> dict[str, str]:
        """Each setting as a text that may be shown to anyone: keys and passwords are masked."""
        return {name: _shown(name, getattr(self, name)) for name in type(self).model_fields}


def _from_file(file: Path) -> list[tuple[str, str, Any]]:
    try:
        document = tomllib.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise StartupRefused("settings.invalid", f"{file.name} cannot be read: {error}.", _HINT) from error
    known = list(Settings.model_fields)
    for key in document:
        if key not in known:
            close = difflib.get_close_matches(key.lower(), known, 1)
            guess = f"; did you mean {close[0]}?" if close else "."
            raise StartupRefused("settings.invalid", f"{file.name} has an unknown key {key!r}{guess}", _HINT)
    return [(file.name, key, value) for key, value in document.items()]


def _from_environment(environ: Mapping[str, str]) -> list[tuple[str, str, Any]]:
    found: list[tuple[str, str, Any]] = []
    for name in Settings.model_fields:
        variable = PREFIX + name.upper()
        value = environ.get(variable)
        # An empty variable is how compose files say "not set"; only for the rulesets does it mean something of its own.
        if name != "channels" and value is not None and (value or name == "rulesets"):
            found.append((variable, name, value))
    return found


def _from_flags(flags: Mapping[str, Any]) -> list[tuple[str, str, Any]]:
    return [("command line", name, value) for name, value in flags.items() if value is not None]


def _sentence(finding: Any, origins: Mapping[str, str]) -> str:
    name = str(finding["loc"][0])
    origin = origins.get(name, "default")
    place = origin if origin.startswith(PREFIX) else f"{name} ({origin})"
    problem = str(finding["msg"]).removeprefix("Value error, ").replace("Input should be", "must be")
    value = finding["input"]
    if origin == PREFIX + "PORT" and isinstance(value, str) and value.startswith("tcp://"):
        problem += "; Kubernetes sets this variable for a Service named overture: set enableServiceLinks to false"
    said = "" if _is_secret(name) else f" (it is {value!r})"
    return f"{place} {problem[0].lower()}{problem[1:]}{said}."


def _is_secret(name: str) -> bool:
    return name.endswith(("_key", "_url")) or name == "channels"


def _shown(name: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, SecretStr):
        return "********"
    if name == "channels":
        return ", ".join(sorted(cast(Mapping[str, Any], value)))
    if isinstance(value, frozenset | tuple):
        return ",".join(sorted(str(item) for item in cast("frozenset[object]", value)))
    if name.endswith("_url"):
        return re.sub(r"(?<=:)[^:/@]+(?=@)|(?<=password=)[^&]+", "********", str(value))
    return str(value)
