"""What is fixed when a store is created, and the keys that are made on the first start."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
from pathlib import Path

import msgspec

from overture.model import StartupRefused
from overture.settings import Settings
from overture.state import keys
from overture.state.wire import Wire

SHORTEST_KEY = 16  # characters; the store has unsalted hashes, which a copy of it lets anyone try guesses on
FORMAT = 1  # of everything in the store; a store of another format is refused


class Grant(msgspec.Struct, frozen=True):
    """What an API key may do."""

    name: str
    scopes: frozenset[str]


WRITE = Grant("write", frozenset({"facts:write"}))
ADMIN = Grant("admin", frozenset({"*"}))


def require_strong_keys(settings: Settings) -> None:
    """See that the keys that are set can be used and not guessed. Raises StartupRefused ``settings.invalid``."""
    sentences: list[str] = []
    given = {
        name: key.get_secret_value()
        for name, key in (("admin_key", settings.admin_key), ("write_key", settings.write_key))
        if key is not None
    }
    for name, key in given.items():
        if len(key) < SHORTEST_KEY:
            sentences.append(f"{settings.place(name)} must have at least {SHORTEST_KEY} characters.")
        elif not key.isprintable() or " " in key:
            sentences.append(f"{settings.place(name)} must have no blanks, line breaks or control characters.")
    if not sentences and len(set(given.values())) < len(given):
        sentences.append(f"{settings.place('write_key')} must differ from the admin key.")
    if sentences:
        hint = "Make one with `openssl rand -hex 32`, or set none: then one is made on the first start."
        raise StartupRefused("settings.invalid", " ".join(sentences), hint)


async def settle(wire: Wire, settings: Settings) -> None:
    """Fix format and partitions on the first start. Raises StartupRefused where the store has others."""
    await wire.call("HSETNX", keys.META, "format", FORMAT)
    await wire.call("HSETNX", keys.META, "partitions", settings.partitions)
    format, partitions = await wire.call("HMGET", keys.META, "format", "partitions")
    if int(format) != FORMAT:
        raise StartupRefused(
            "store.format",
            f"The store has format {int(format)}, this Overture reads {FORMAT}.",
            "Use the matching version.",
        )
    if int(partitions) != settings.partitions:
        raise StartupRefused(
            "store.partitions",
            f"The store was made with {int(partitions)} partitions, the settings say {settings.partitions}.",
            f"Set OVERTURE_PARTITIONS={int(partitions)}.",
        )


async def make_keys(wire: Wire, settings: Settings) -> dict[str, str]:
    """Store the hashes of the API keys; answers those made just now, by name, to be shown once."""
    made: dict[str, str] = {}
    for grant, given in ((ADMIN, settings.admin_key), (WRITE, settings.write_key)):
        if given is not None:
            await _store(wire, given.get_secret_value(), grant)
        elif not await wire.call("HEXISTS", keys.META, f"key:{grant.name}"):
            made[grant.name] = f"ov_{grant.name}_{secrets.token_urlsafe(32)}"
            await _store(wire, made[grant.name], grant)
    if made:
        _keep(settings.data_dir / "keys.json", made)
    return made


async def _store(wire: Wire, token: str, grant: Grant) -> None:
    """Store a key; the one it replaces is no longer known."""
    earlier = await wire.call("HGET", keys.META, f"key:{grant.name}")
    if earlier is not None and earlier.decode() != hashed(token):
        await wire.call("HDEL", keys.API_KEYS, earlier)
    await wire.call("HSET", keys.API_KEYS, hashed(token), msgspec.msgpack.encode(grant))
    await wire.call("HSET", keys.META, f"key:{grant.name}", hashed(token))


def _keep(path: Path, made: dict[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    known: dict[str, str] = {}
    with contextlib.suppress(FileNotFoundError):
        known = json.loads(path.read_text("utf-8"))
    temporary = path.with_suffix(".tmp")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump({**known, **made}, file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def hashed(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


class Keys:
    """The API keys known to the store, at hand in this process."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._by_hash: dict[str, Grant] = {}
        self._by_token: dict[str, Grant] = {}

    async def refresh(self) -> None:
        flat = await self._wire.call("HGETALL", keys.API_KEYS)
        self._by_hash = {
            flat[i].decode(): msgspec.msgpack.decode(flat[i + 1], type=Grant) for i in range(0, len(flat), 2)
        }
        self._by_token = {}

    def grant(self, token: str) -> Grant | None:
        """What this key may do, None if it is none of ours."""
        grant = self._by_token.get(token)
        if grant is None:
            grant = self._by_hash.get(hashed(token))
            if grant is not None:
                self._by_token[token] = grant
        return grant
