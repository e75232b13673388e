"""A preview as it travels over HTTP, and what the route needs."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from overture.trial.preview import Preview


class PreviewRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``template`` of a ``document``, or of a ``ruleset`` that is kept (``revision``; by default the active one), for a
    ``contact`` by any of its identifiers (by default a made-up one). ``data`` goes over what is known, by root:
    ``{"fact": {"total": 12}}``.
    """

    template: str
    ruleset: str = ""
    revision: str = ""
    document: str = ""
    contact: str = ""
    data: dict[str, Any] = {}


class Previews(Protocol):
    async def preview(self, asked: PreviewRequest) -> Preview: ...
