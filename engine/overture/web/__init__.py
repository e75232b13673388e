"""The aiohttp application: routes, keys, problem+json, OpenAPI. No business logic: that is behind `Services`."""

from overture.web.app import ROUTES, make_app, make_runner, path_taken
from overture.web.services import Page, Receipt, RulesetState, Services, StoredRevision

__all__ = [
    "ROUTES",
    "Page",
    "Receipt",
    "RulesetState",
    "Services",
    "StoredRevision",
    "make_app",
    "make_runner",
    "path_taken",
]
