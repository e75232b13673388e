"""What an operator can set: one frozen object, read once at start-up.

Each value comes from, in this order: the command line, an environment variable ``OVERTURE_<NAME>``, ``overture.toml``,
the default. The environment is an argument, so nothing here is global.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    field_validator,
)
from pydantic import ValidationError as _Invalid

from overture.model.environ import PREFIX
from overture.model.errors import StartupRefused
from overture.settings import checks
from overture.settings.checks import Tracking
from overture.settings.sentences import TABLES, of_finding, place_of, shown

FILE = Path("overture.toml")
_HINT = "`overture config` shows every setting and where its value comes from."

_NUMBERS = (
    "port",
    "workers",
    "partitions",
    "lease_seconds",
    "learn_seconds",
    "max_lag",
    "script_timeout_ms",
    "script_workers",
)

Role = Literal["web", "worker", "delivery"]


def shipped_rulesets() -> Path:
    """The directory of the example rulesets: inside the installed package, or at the top of a checkout."""
    package = Path(__file__).parent.parent
    installed = package / "rulesets"
    return installed if installed.is_dir() else package.parent.parent / "rulesets"


class Settings(BaseModel):
    """Every setting, checked. Build it with `load`; ``Settings()`` holds the defaults alone."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    redis_url: Annotated[str, checks.scheme("redis", "rediss", "unix"), AfterValidator(checks.store_url)] | None = (
        Field(None, repr=False)
    )
    """An external Redis ≥ 7.0 or Valkey. None: the embedded store in ``data_dir``."""
    data_dir: Path = Path("data")
    host: Annotated[str, AfterValidator(checks.not_blank)] = "127.0.0.1"
    port: int = Field(8080, ge=0, le=65535)
    workers: int = Field(1, ge=1, le=256)
    partitions: int = Field(16, ge=1, le=4096)
    """Fixed when a store is created; a store that has another number wins, with an error."""
    matcher: Literal["durable", "reference"] = "durable"
    roles: Annotated[frozenset[Role], BeforeValidator(checks.split), Field(min_length=1)] = frozenset[Role](
        {"web", "worker", "delivery"}
    )
    admin_key: SecretStr | None = None
    """None: made on the first start and kept, hashed, in the store."""
    write_key: SecretStr | None = None
    browser_key: SecretStr | None = None
    """For web pages: everybody can read it there."""
    smtp_url: Annotated[str, checks.scheme("smtp", "smtps")] = Field("smtp://127.0.0.1:1025", repr=False)
    mail_from: str = "Overture <overture@localhost>"
    public_url: Annotated[str, checks.scheme("http", "https"), AfterValidator(checks.page_url)] | None = None
    """Where people reach this server from outside: what the links in messages begin with. None: where it listens."""
    egress_allow: Annotated[tuple[IPv4Network | IPv6Network, ...], BeforeValidator(checks.networks)] = ()
    """Networks that channels may reach besides public addresses."""
    rulesets: Annotated[Path | None, BeforeValidator(checks.none_if_empty)] = Field(default_factory=shipped_rulesets)
    """Documents to activate on the first start. None (set to the empty text): none."""
    allow_weak_durability: bool = False
    lease_seconds: float = Field(3.0, ge=0.2, le=300, allow_inf_nan=False)
    max_lag: int = Field(100_000, ge=1)
    """Facts accepted and not yet decided, in all, before accept answers 429."""
    script_timeout_ms: int = Field(50, ge=1, le=1000)
    """How long a call of a script may take that says nothing else."""
    script_workers: int = Field(2, ge=1, le=64)
    """Processes of this one that run scripts; they begin with the first call."""
    learn_seconds: float = Field(600.0, ge=60, le=604_800, allow_inf_nan=False)
    """Between two times at which what a model has learned begins to decide, at least."""
    movable_clock: bool = False
    """Whether the clock can be put ahead, to try things out. A store where it was is refused without."""
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(checks.lower)] = "info"
    channel_rates: Annotated[Mapping[str, float], BeforeValidator(checks.rates)] = Field(default_factory=dict)
    """Messages a second that leave by a channel at most, by its name; without an entry, as many as it takes."""
    plugins_allowed: Annotated[frozenset[str] | None, BeforeValidator(checks.split)] = None
    """Distributions whose plugins may be imported, besides Overture's own. None: all that are installed."""
    locale: Annotated[str, AfterValidator(checks.locale)] = "en"
    """Whose customs dates, numbers and plurals in messages follow, for contacts whose trait ``locale`` says nothing."""
    tracking: Annotated[Mapping[str, Tracking], BeforeValidator(checks.tracking)] = Field(default_factory=dict)
    """Whether messages tell that they are opened and which links are followed, by channel; without an entry, not."""
    channels: Mapping[str, Mapping[str, Any]] = Field(default_factory=dict, repr=False)
    """``[channels.<name>]`` of ``overture.toml``, handed to that channel's plugin, which checks it."""
    sources: Mapping[str, Mapping[str, Any]] = Field(default_factory=dict, repr=False)
    """``[sources.<name>]`` of ``overture.toml``, handed to the source's plugin: ``plugin``, or the one of that name."""
    identity: Mapping[str, Mapping[str, Any]] = Field(default_factory=dict, repr=False)
    enrichers: Mapping[str, Mapping[str, Any]] = Field(default_factory=dict, repr=False)
    redactors: Mapping[str, Mapping[str, Any]] = Field(default_factory=dict, repr=False)
    delivery_gates: Mapping[str, Mapping[str, Any]] = Field(default_factory=dict, repr=False)
    observers: Mapping[str, Mapping[str, Any]] = Field(default_factory=dict, repr=False)
    health_checks: Mapping[str, Mapping[str, Any]] = Field(default_factory=dict, repr=False)
    commands: Mapping[str, Mapping[str, Any]] = Field(default_factory=dict, repr=False)
    """As ``sources``, for what else plugins offer."""

    _origins: dict[str, str] = PrivateAttr(default_factory=dict[str, str])

    @field_validator(*_NUMBERS, mode="before")
    @classmethod
    def _no_boolean(cls, value: object) -> object:
        if isinstance(value, bool):  # which Python takes for 0 or 1
            raise ValueError("must be a number")
        return value

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
            sentences = [of_finding(finding, origins) for finding in error.errors()]
            raise StartupRefused("settings.invalid", " ".join(sentences), _HINT) from None
        settings._origins.update(origins)
        return settings

    def origins(self) -> dict[str, str]:
        """For each setting by name: ``command line``, ``OVERTURE_<NAME>``, the file's name, or ``default``."""
        return {name: self._origins.get(name, "default") for name in type(self).model_fields}

    def place(self, name: str) -> str:
        """A setting as a sentence about it begins: ``OVERTURE_PORT``, or ``port (overture.toml)``."""
        return place_of(name, self.origins()[name])

    def own_url(self, port: int | None = None) -> str:
        """Where a server with these settings is reached from its own machine; ``port`` where another one was chosen."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port if port is None else port}"

    def shown(self) -> dict[str, str]:
        """Each setting as a text that may be shown to anyone: keys and passwords are masked."""
        return {name: shown(name, getattr(self, name)) for name in type(self).model_fields}


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
    for name in TABLES:
        if environ.get(variable := PREFIX + name.upper()):
            what = f"{variable} is not read: settings of {name} stand in {FILE}, under [{name}.<name>]."
            raise StartupRefused("settings.invalid", what, _HINT)
    for name in Settings.model_fields:
        variable = PREFIX + name.upper()
        value = environ.get(variable)
        # An empty variable is how compose files say "not set"; only for the rulesets does it mean something of its own.
        if value is not None and (value or name == "rulesets"):
            found.append((variable, name, value))
    return found


def _from_flags(flags: Mapping[str, Any]) -> list[tuple[str, str, Any]]:
    return [("command line", name, value) for name, value in flags.items() if value is not None]
