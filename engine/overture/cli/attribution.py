"""`overture attribution`: ask the server which touches conversions are owed to, and show it as a table."""

from __future__ import annotations

import json
import time
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from overture.attribution.models import ModelName
from overture.cli.terminal import Json, Url, connect, console

PAUSE = 0.5  # seconds before a question is asked again that takes long
WIDE = 160  # characters of a table in a file

Shown = Literal["conversions", "value", "share"]


def attribution(
    conversion: str,
    /,
    *,
    value: str = "",
    touches: str = "",
    by: str = "channel",
    model: ModelName = "all",
    since: str = "",
    until: str = "",
    window: str = "30d",
    half_life: str = "7d",
    position: str = "40/20/40",
    order: int = 1,
    repeats: Literal["one", "each"] = "one",
    show: Annotated[Shown | None, Parameter(show_default="value where one is asked for, else conversions")] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Share conversions out to the visits and messages before them, by several models side by side.

    Parameters
    ----------
    conversion
        What counts: a type of fact, such as order_completed, or a condition over the fact.
    value
        What a conversion is worth: an expression, such as fact.total.
    touches
        Which facts are touches: a condition. Else visits from campaigns and other sites, messages opened or followed.
    by
        What gets the credit: channel, source, campaign, ruleset, template, or an expression, such as fact.utm_content.
    model
        One of the models, or all.
    since
        Where the period begins: an instant, or a duration back from its end, such as 30d. Else with the record.
    until
        Where it ends: an instant, or a duration back from the last recorded fact. Else with that.
    window
        How long before a conversion touches count.
    half_life
        Of the model decay: after how long a touch is worth half.
    position
        Of the model position: the percent of the first, the middle and the last touches.
    order
        Of the model markov: how many touches back its chain remembers.
    repeats
        Whether touches alike, one right after the other, are one touch, or each is its own.
    show
        What the table shows.
    """
    query = {
        "conversion": conversion, "value": value, "touches": touches, "by": by, "model": model, "since": since,
        "until": until, "window": window, "half_life": half_life, "position": position, "order": str(order),
        "repeats": repeats,
    }  # fmt: skip
    progress = Console(stderr=True, quiet=as_json or not console.is_terminal)
    with connect(url) as client, progress.status("Reading what is recorded …") as status:
        answer = client.attribution(query)
        while "rows" not in answer:
            status.update(f"{answer['facts']:,} facts read …")
            time.sleep(PAUSE)
            answer = client.attribution(query)
    if as_json:
        print(json.dumps(answer))
    else:
        _print(answer, show or ("value" if value else "conversions"))


def _print(answer: dict[str, Any], shown: Shown) -> None:
    period, conversions, value = answer["period"], answer["conversions"], answer["value"]
    worth = f", worth {value['total']:,.2f}" if answer["question"]["value"] else ""
    console.print(
        f"{conversions['total']:,.0f} conversions{worth}, {period['since']} to {period['until']}: "
        f"{conversions['attributed']:,.0f} with touches before them, {conversions['direct']:,.0f} without; "
        f"{answer['null_paths']:,} paths led to none",
        markup=False,
    )
    if answer["not_recorded"]:
        console.print(f"No such facts are on record: {', '.join(answer['not_recorded'])}", markup=False)
    if answer["missing_entries"]:
        console.print(f"{answer['missing_entries']:,} log entries are not in the archive: this is not the whole past")
    if answer["without_value"]:
        console.print(f"{answer['without_value']:,} conversions have no value: it is no number, or below 0")
    names = list(answer["rows"][0]["models"]) if answer["rows"] else []
    if names:
        table = Table(show_footer=True, box=SIMPLE_HEAD, pad_edge=False)
        table.add_column(answer["question"]["by"], overflow="fold", footer="" if shown == "share" else shown)
        table.add_column("touches", justify="right")
        for name in names:
            total = sum(row["models"][name][shown] for row in answer["rows"])
            table.add_column(name, justify="right", overflow="fold", footer=_told(total, shown))
        for row in answer["rows"]:
            given = (_told(row["models"][name][shown], shown) for name in names)
            table.add_row(row["label"], f"{row['touches']:,}", *given)
        (console if console.is_terminal else Console(width=WIDE, highlight=False)).print(table, markup=False)
    for name, refusal in answer["refused"].items():
        console.print(f"{name}: {refusal['message']} {refusal['hint']}", markup=False)


def _told(x: float, shown: Shown) -> str:
    return f"{x:.1%}" if shown == "share" else f"{x:,.2f}"
