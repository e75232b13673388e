"""Pages: what a template says, and what is made of it, as the layers between rulesets and the renderer hand them on."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec

from overture.model.errors import OvertureError


class Page(msgspec.Struct, frozen=True, array_like=True):
    """A template that needs nothing else: minijinja sources, its blocks put in. ``mjml`` makes the HTML of one without
    ``html``; ``data`` is JSON.
    """

    name: str
    subject: str = ""
    text: str = ""
    html: str = ""
    mjml: str = ""
    data: str = ""


class Rendered(msgspec.Struct, frozen=True, array_like=True):
    """The fields of a message; one that the template does not have is empty. ``subject`` is a single line."""

    subject: str
    text: str
    html: str
    data: dict[str, Any]


class RenderRefused(OvertureError):
    """The template cannot be rendered with this data: the message is dropped with this code and sentence."""


class Piece(msgspec.Struct, frozen=True, array_like=True):
    """What is asked of the engine about one text: does it parse (``syntax``), is it MJML (``mjml``)?"""

    kind: Literal["syntax", "mjml"]
    source: str


class Fault(msgspec.Struct, frozen=True, array_like=True):
    """What is wrong with a piece: ``offset`` is where, in characters; ``message`` has no full stop. ``size``: of the
    HTML that it comes out as, in bytes, where nothing else is wrong.
    """

    message: str
    offset: int = 0
    hint: str = ""
    size: int = 0


Engine = Callable[[Sequence[Piece]], Sequence[Fault | None]]
"""For each piece what is wrong with it. Raises Overloaded ``template.no_renderer`` where none can be asked."""


class DataRefused(ValueError):
    """``offset`` is where, in characters of the text."""

    def __init__(self, message: str, offset: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset


def to_data(text: str) -> dict[str, Any]:
    """The object that the text is, in JSON. Raises DataRefused."""
    try:
        data: Any = json.loads(text, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        raise DataRefused(error.msg, error.pos) from None
    except (ValueError, RecursionError) as error:
        raise DataRefused(str(error)) from None
    if not isinstance(data, dict):
        raise DataRefused("it is no object")
    return data  # pyright: ignore[reportUnknownVariableType]  # JSON


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number in JSON")
