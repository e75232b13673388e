"""What Typeform's answers mean: each by the reference or the title of its question."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from overture.plugin import Incoming, snake
from overture_sources.reports import rows, table, text


def known(event: Mapping[str, Any], request: Incoming) -> dict[str, Any] | None:
    """The fact of a response, as far as it differs from what it would be without; None for others."""
    response = table(event.get("form_response"))
    if event.get("event_type") != "form_response":
        return None
    fields = [table(each) for each in rows(table(response.get("definition")).get("fields"))]
    titles = {text(each.get("id")): text(each.get("title")) for each in fields}
    answers: dict[str, Any] = {}
    mails: list[str] = []
    for answer in map(table, rows(response.get("answers"))):
        asked, kind = table(answer.get("field")), text(answer.get("type"))
        value = answer.get(kind)
        if kind in ("choice", "choices"):
            chosen = table(value)
            value = chosen.get("label") or chosen.get("labels") or chosen.get("other")
        if kind == "email" and isinstance(value, str):
            mails.append(value)
        name = snake(text(asked.get("ref"))) or snake(titles.get(text(asked.get("id")), "")) or text(asked.get("id"))
        answers[name] = value
    hidden = table(response.get("hidden"))
    who = {"user_id": text(hidden.get("user_id")), "email": text(hidden.get("email")) or next(iter(mails), "")}
    return {
        "contact": {name: value for name, value in who.items() if value},
        "properties": {"form_id": text(response.get("form_id")), "answers": answers, "hidden": hidden},
    }
