"""API keys: made, kept as hashes, at hand for each request, and held to what they may."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import secrets
import time
from pathlib import Path

import msgspec

from overture.model import Overloaded, Refused, StartupRefused
from overture.settings import Settings
from overture.state import keys
from overture.state.wire import Wire
from overture.web.auth import INBOX, TRACK
from overture.web.auth import WRITE as WRITE_SCOPE
from overture.web.keyed import KeyView, NewKey
from overture.web.services import Grant as Granted

SHORTEST_KEY = 16  # characters; the store has unsalted hashes, which a copy of it lets anyone try guesses on
BROWSER_RATE = 1_000.0  # facts a second that a key of web pages may post to a process, unless it says otherwise
BURST = 5.0  # seconds of its rate that a key may be ahead
BATCH = 100  # facts that may come at once whatever the rate: as many as libraries send together


class Grant(msgspec.Struct, frozen=True):
    """What an API key may do; see `overture.web.services.Grant`."""

    name: str
    scopes: frozenset[str]
    types: frozenset[str] = frozenset()
    origins: frozenset[str] = frozenset()
    rate: float = 0.0


ADMIN = Grant("admin", frozenset({"*"}))
WRITE = Grant("write", frozenset({WRITE_SCOPE}))
BROWSER = Grant("browser", frozenset({TRACK}), rate=BROWSER_RATE)
_SCOPES = {"browser": TRACK, "write": WRITE_SCOPE, "inbox": INBOX}  # of a key, by its kind


def require_strong_keys(settings: Settings) -> None:
    """See that the keys that are set can be used and not guessed. Raises StartupRefused ``settings.invalid``."""
    sentences: list[str] = []
    own = (("admin_key", settings.admin_key), ("write_key", settings.write_key), ("browser_key", settings.browser_key))
    given = {name: key.get_secret_value() for name, key in own if key is not None}
    for name, key in given.items():
        if len(key) < SHORTEST_KEY:
            sentences.append(f"{settings.place(name)} must have at least {SHORTEST_KEY} characters.")
        elif not key.isprintable() or " " in key:
            sentences.append(f"{settings.place(name)} must have no blanks, line breaks or control characters.")
    if not sentences and len(set(given.values())) < len(given):
        last = list(given)[-1]
        others = "admin key" if last == "write_key" else "other keys"
        sentences.append(f"{settings.place(last)} must differ from the {others}.")
    if sentences:
        hint = "Make one with `openssl rand -hex 32`, or set none: then one is made on the first start."
        raise StartupRefused("settings.invalid", " ".join(sentences), hint)


async def make_keys(wire: Wire, settings: Settings) -> dict[str, str]:
    """Store the hashes of the API keys; answers those made just now, by name, to be shown once."""
    made: dict[str, str] = {}
    own = ((ADMIN, settings.admin_key), (WRITE, settings.write_key), (BROWSER, settings.browser_key))
    for grant, given in own:
        if given is not None:
            await _store(wire, given.get_secret_value(), grant)
        elif not await wire.call("HEXISTS", keys.META, f"key:{grant.name}"):
            made[grant.name] = _new(grant.name)
            await _store(wire, made[grant.name], grant)
    if made:
        _keep(settings.data_dir / "keys.json", made)
    return made


def hashed(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


class Keys:
    """The API keys known to the store, at hand in this process. Implements `overture.web.services.Keys` and
    `overture.web.keyed.KeyRing`.
    """

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._by_hash: dict[str, Grant] = {}
        self._by_token: dict[str, Grant] = {}
        self._left: dict[str, tuple[float, float]] = {}  # name → facts that it may still post, as of when (s)

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

    def admit(self, grant: Granted) -> None:
        """Each request counts as one fact. Raises Overloaded 429 ``auth.rate``."""
        if not grant.rate:
            return
        left = self._refilled(grant)
        if left < 1:
            wait = math.ceil((1 - left) / grant.rate)
            raise Overloaded("auth.rate", f"The key {grant.name} takes {grant.rate:g} facts a second.", max(wait, 1))
        self.spend(grant, 1)

    def spend(self, grant: Granted, facts: int) -> None:
        """A batch may be larger than what is left: then the key waits the longer."""
        if not grant.rate or facts <= 0:
            return
        most = max(int(grant.rate * BURST), BATCH)
        if facts >= most:  # the request has counted as one
            what = f"The key {grant.name} takes {most} facts at once. Nothing of the request was taken."
            raise Refused("auth.rate_batch", what, "Send smaller batches.", status=413)
        self._left[grant.name] = (self._refilled(grant) - facts, time.monotonic())

    def _refilled(self, grant: Granted) -> float:
        full = grant.rate * BURST
        left, at = self._left.get(grant.name, (full, 0.0))
        return min(full, left + (time.monotonic() - at) * grant.rate)

    def views(self) -> list[KeyView]:
        return [
            KeyView(each.name, sorted(each.scopes), sorted(each.types), sorted(each.origins), each.rate)
            for each in sorted(self._by_hash.values(), key=lambda each: each.name)
        ]

    async def make(self, new: NewKey) -> str:
        pages = new.kind == "browser"
        rate = (BROWSER_RATE if pages else 0.0) if new.rate is None else new.rate
        scopes = frozenset({_SCOPES[new.kind]})
        grant = Grant(new.name, scopes, frozenset(new.types), frozenset(new.origins), rate)
        token = _new(grant.name)
        if not await self._wire.call("HSETNX", keys.META, f"key:{grant.name}", hashed(token)):
            hint = "Choose another name; to change a key, make one more and revoke this one later."
            raise Refused("key.exists", f"There is a key named {grant.name}.", hint, status=409)
        await self._wire.call("HSET", keys.API_KEYS, hashed(token), msgspec.msgpack.encode(grant))
        await self.refresh()
        return token

    async def revoke(self, name: str) -> bool:
        if name == ADMIN.name:
            what = "The admin key is the only one that can make others."
            raise Refused("key.admin", what, "Set another OVERTURE_ADMIN_KEY and start again.", status=409)
        known = await self._wire.call("HGET", keys.META, f"key:{name}")
        if known is None:
            return False
        await self._wire.call("HDEL", keys.API_KEYS, known)
        await self._wire.call("HDEL", keys.META, f"key:{name}")
        await self.refresh()
        return True


def _new(name: str) -> str:
    return f"ov_{name}_{secrets.token_urlsafe(32)}"


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
