"""What the store really is and how safely it keeps what it acknowledges: asked at start-up, told in ``/readyz``."""

from __future__ import annotations

import asyncio
from typing import Any, Literal, cast
from urllib.parse import urlsplit

import msgspec
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from overture.model.errors import StartupRefused

OLDEST = (7, 0)
_connect = cast(Any, redis.asyncio.Redis.from_url)  # pyright: ignore[reportUnknownMemberType]

Durability = Literal["always", "everysec", "none", "unknown"]


class StoreFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One store as it answered.

    ``version`` is the product's own; ``speaks`` is the Redis version it is compatible with. ``durability`` is what an
    acknowledged write can count on: ``always`` is on disk; ``everysec`` may lose about a second's worth at a power cut;
    ``none`` may lose anything; ``unknown``: the store does not show its configuration. ``weakness`` says why, and is
    empty for ``always``.
    """

    kind: Literal["redis", "valkey"]
    version: str
    speaks: tuple[int, int]
    aof: bool
    appendfsync: str
    durability: Durability
    weakness: str
    role: str
    cluster: bool


async def probe(url: str, limit: float = 5.0) -> StoreFacts:
    """Ask the store, in ``limit`` seconds at most.

    Raises `StartupRefused` ``store.unreachable``; the URL's password is not in its message.
    """
    try:
        async with asyncio.timeout(limit):
            async with _connect(url, decode_responses=True, retry=Retry(NoBackoff(), 0)) as client:
                return await _ask(client)
    except TimeoutError as error:
        raise _unreachable(url, f"no answer within {limit:g} s") from error
    except (RedisError, OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise _unreachable(url, why.rstrip(".")) from error


def require(facts: StoreFacts, *, allow_weak: bool) -> None:
    """Refuse a store that cannot keep the promises. ``allow_weak``: accept one that may lose acknowledged facts.

    Raises `StartupRefused` ``store.too_old``, ``store.replica``, ``store.cluster`` or ``store.weak``.
    """
    name = f"The store ({facts.kind} {facts.version})"
    if facts.speaks < OLDEST:
        raise StartupRefused(
            "store.too_old", f"{name} is older than Redis 7.0.", "Upgrade it, or use the embedded store."
        )
    if facts.role != "master":
        raise StartupRefused(
            "store.replica", f"{name} is a replica and takes no writes.", "Point OVERTURE_REDIS_URL to its primary."
        )
    if facts.cluster:
        raise StartupRefused(
            "store.cluster", f"{name} runs as a cluster, which this version cannot use.", "Use a single primary."
        )
    if facts.durability != "always" and not allow_weak:
        raise StartupRefused(
            "store.weak",
            f"{name} may lose facts that were acknowledged: {facts.weakness}.",
            "Set appendonly yes and appendfsync always there, or accept the loss: OVERTURE_ALLOW_WEAK_DURABILITY=true.",
        )


async def _ask(client: Any) -> StoreFacts:
    info = cast(dict[str, Any], await client.info())
    while info.get("loading"):  # until then it answers as if nothing were configured
        await asyncio.sleep(0.05)
        info = cast(dict[str, Any], await client.info())
    try:
        config = cast(dict[str, str], {**await client.config_get("append*"), **await client.config_get("no-append*")})
    except ResponseError:  # hosted stores forbid CONFIG
        config = dict[str, str]()
    major, minor, *_ = str(info["redis_version"]).split(".")
    aof = bool(info.get("aof_enabled"))
    durability, weakness = _durability(aof, config, str(info.get("maxmemory_policy", "")))
    return StoreFacts(
        kind="valkey" if "valkey_version" in info else "redis",
        version=str(info.get("valkey_version", info["redis_version"])),
        speaks=(int(major), int(minor)),
        aof=aof,
        appendfsync=config.get("appendfsync", "unknown"),
        durability=durability,
        weakness=weakness,
        role=str(info.get("role", "master")),
        cluster=bool(info.get("cluster_enabled")),
    )


def _durability(aof: bool, config: dict[str, str], eviction: str) -> tuple[Durability, str]:
    if eviction not in ("", "noeviction"):
        return "none", f"its maxmemory-policy is {eviction}, so it may drop keys"
    if not aof:
        return "none", "its append-only file is off"
    if "appendfsync" not in config:
        return "unknown", "it does not show its configuration, so nothing is known of its appendfsync"
    if config.get("no-appendfsync-on-rewrite") == "yes":
        return "none", "its no-appendfsync-on-rewrite is yes, so nothing is synced while the file is rewritten"
    fsync = config["appendfsync"]
    if fsync == "always":
        return "always", ""
    return "everysec" if fsync == "everysec" else "none", f"its appendfsync is {fsync}"


def _unreachable(url: str, why: str) -> StartupRefused:
    parts = urlsplit(url)
    place = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    return StartupRefused(
        "store.unreachable",
        f"The store at {place} cannot be used: {why}.",
        "Check OVERTURE_REDIS_URL and that the server runs; without it the embedded store is used.",
    )
