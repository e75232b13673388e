"""Signature Version 4 of Amazon Web Services, for requests whose body is known."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import quote

from pydantic import SecretStr
from yarl import URL


class Signer:
    """Signs requests to one service in one region."""

    def __init__(
        self, key_id: str, secret: SecretStr, region: str, service: str, token: SecretStr | None = None
    ) -> None:
        """``token``: of temporary credentials, None for others."""
        self._key_id = key_id
        self._secret = secret
        self._token = token
        self._region = region
        self._service = service

    def signed(self, method: str, url: URL, body: bytes, headers: Mapping[str, str], at: int) -> dict[str, str]:
        """The headers with those that sign all of them. ``url`` is encoded as it will be sent; ``at`` in ms."""
        moment = datetime.fromtimestamp(at // 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
        given = {**headers, "Host": _host(url), "X-Amz-Date": moment}
        if self._token is not None:
            given["X-Amz-Security-Token"] = self._token.get_secret_value()
        folded = {name.lower(): " ".join(value.split()) for name, value in given.items()}
        names = ";".join(sorted(folded))
        lines = "".join(f"{name}:{folded[name]}\n" for name in sorted(folded))
        canonical = "\n".join((method, _path(url), _query(url), lines, names, hashlib.sha256(body).hexdigest()))
        scope = f"{moment[:8]}/{self._region}/{self._service}/aws4_request"
        told = "\n".join(("AWS4-HMAC-SHA256", moment, scope, hashlib.sha256(canonical.encode()).hexdigest()))
        key = f"AWS4{self._secret.get_secret_value()}".encode()
        for part in scope.split("/"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        signature = hmac.new(key, told.encode(), hashlib.sha256).hexdigest()
        by = f"Credential={self._key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
        return {**given, "Authorization": f"AWS4-HMAC-SHA256 {by}"}


def _host(url: URL) -> str:
    usual = url.port == {"http": 80, "https": 443}.get(url.scheme)
    return f"{url.host_subcomponent}" if usual else f"{url.host_subcomponent}:{url.port}"


def _path(url: URL) -> str:
    """The encoded path without what is redundant in it, encoded once more: as for every service but S3."""
    path = url.raw_path
    kept: list[str] = []
    for part in path.split("/"):
        if part == "..":
            kept = kept[:-1]
        elif part not in ("", "."):
            kept.append(part)
    end = "/" if kept and path.endswith("/") else ""
    return quote(f"/{'/'.join(kept)}{end}", safe="/~")


def _query(url: URL) -> str:
    """As it is encoded, in order."""
    pairs = [part.partition("=") for part in url.raw_query_string.split("&") if part]
    return "&".join(f"{name}={value}" for name, _, value in sorted(pairs))
