"""What Prometheus reads of the web layer. Labels hold route templates and codes, never anything from a request."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

FACTS = Counter("overture_facts", "Facts posted, by what became of them.", ["outcome", "code"])
REQUESTS = Counter("overture_http_requests", "Requests by route and status.", ["method", "route", "status"])
LATENCY = Histogram(
    "overture_http_seconds",
    "Seconds from the first handler to the answer.",
    ["method", "route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
SCRIPTS = Counter("overture_scripts", "Calls of scripts of rulesets, by what came of them.", ["script", "outcome"])

accepted = FACTS.labels("accepted", "").inc
duplicates = FACTS.labels("duplicate", "").inc
