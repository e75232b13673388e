"""The libraries for browsers of Segment, RudderStack, PostHog and Snowplow, in a real browser, across origins.

They are bundled as an app bundles them, and unchanged. Every event arrives once, about the right contact and at the
right time: where the page is left at once, where the first requests fail, and where the server is killed meanwhile.
"""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from browserkit import PEERS, Browser, chromium
from sdkkit import Fault, Proxy, installed
from serverkit import WRITE, Client, Server, eventually, fresh

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
OWN = ("$", "message.", "session.", "score.", "segment.", "trait.")
HTML = """<!doctype html><title>Shop</title><body><script src="/{name}.js"></script><script>
const URL_ = {url}, KEY = {key};
const made = window.made = [], promised = [];
const goesOn = () => typeof flush === "undefined" || flush();
const call = (what) => {{ const since = Date.now(); promised.push(what()); made.push([since, Date.now()]); }};
{setup}
</script>"""


class Page(NamedTuple):
    """``setup`` defines ``ready``, ``who`` (the anonymous id), ``page``, ``track(n)`` and ``identify(user)``; ``types``
    are those of the page and of who it is; ``path``: where its events go; ``tries_again``: after which statuses;
    ``waits``: how many of its calls are sent by requests that end with the page, so that nobody must leave before.
    Calls that answer a promise (Segment's) are the library's once it is kept: what a page does not wait for is lost
    with it.
    """

    package: str
    version: str
    setup: str
    types: tuple[str, str]
    path: str
    tries_again: tuple[int, ...] = (500, 429)
    waits: int = 0


SEGMENT = """
let a; window.ready = false;
lib.AnalyticsBrowser.load({writeKey: KEY, cdnURL: URL_}, {integrations: {"Segment.io": {deliveryStrategy: OPTIONS}}})
  .then(([x]) => { a = x; ready = true; });
const who = () => a.user().anonymousId();
const page = () => a.page("Home", {n: -1});
const track = (n) => a.track("Order Completed", {n});
const identify = (user) => a.identify(user, {plan: "pro"});
"""
RUDDERSTACK = """
const r = new lib.RudderAnalytics(); window.ready = false;
r.load(KEY, URL_, {configUrl: URL_, logLevel: "NONE", OPTIONS});
r.ready(() => { ready = true; });
const who = () => r.getAnonymousId();
const page = () => r.page("Home", {n: -1});
const track = (n) => r.track("Order Completed", {n});
const identify = (user) => r.identify(user, {plan: "pro"});
"""
POSTHOG = """
window.ready = false;
lib.posthog.init(KEY, {api_host: URL_, capture_pageview: false, capture_pageleave: false, autocapture: false,
  opt_out_useragent_filter: true, person_profiles: "identified_only", rageclick: false, advanced_disable_flags: false,
  request_queue_config: {flush_interval_ms: 250}, loaded: () => { ready = true; }});
const who = () => lib.posthog.get_distinct_id();
const page = () => lib.posthog.capture("$pageview", {n: -1});
const track = (n) => lib.posthog.capture("Order Completed", {n});
const identify = (user) => lib.posthog.identify(user, {plan: "pro"});
"""
SNOWPLOW = """
const t = lib.newTracker("t", URL_, {appId: KEY, OPTIONS});
window.ready = true;
const ping = (n) => ({event: {schema: "iglu:com.acme/order_completed/jsonschema/1-0-0", data: {n}}});
const who = () => t.getDomainUserId();
const flush = () => lib.flushBuffer();
const page = () => lib.trackPageView();
const track = (n) => lib.trackSelfDescribingEvent(ping(n));
const identify = (user) => { lib.setUserId(user); lib.trackStructEvent({category: "account", action: "Log in"}); };
"""
NEXT, BATCHING = "@segment/analytics-next", '{strategy: "batching", config: {size: 100, timeout: 500}}'
RUDDER, SPOKEN = "@rudderstack/analytics-js/bundled", ("page_viewed", "identify")
BEACON = "useBeacon: true, beaconQueueOptions: {flushQueueInterval: 500}"
TRACKER, TOLD, TP2 = "@snowplow/browser-tracker", ("page_viewed", "log_in"), "/com.snowplowanalytics"
PAGES = {
    "segment": Page(NEXT, "1.84.3", SEGMENT.replace("OPTIONS", "{}"), SPOKEN, "/v1/t"),
    "segment-batching": Page(NEXT, "1.84.3", SEGMENT.replace("OPTIONS", BATCHING), SPOKEN, "/v1/b"),
    "rudderstack": Page(RUDDER, "3.34.1", RUDDERSTACK.replace("OPTIONS", ""), SPOKEN, "/v1/"),
    "rudderstack-beacon": Page(RUDDER, "3.34.1", RUDDERSTACK.replace("OPTIONS", BEACON), SPOKEN, "/beacon/", ()),
    "posthog": Page("posthog-js", "1.449.2", POSTHOG, SPOKEN, "/e/", (500,), waits=2),
    "snowplow": Page(TRACKER, "4.10.1", SNOWPLOW.replace("OPTIONS", "keepalive: true"), TOLD, TP2),
    "snowplow-get": Page(TRACKER, "4.10.1", SNOWPLOW.replace("OPTIONS", 'eventMethod: "get"'), TOLD, "/i?"),
}


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One in which each library stands at ``/<name>.js``."""
    installed()
    directory = tmp_path_factory.mktemp("bundles")
    with chromium() as one:
        for package in {page.package for page in PAGES.values()}:
            one.serve_file(f"/{_file(package)}.js", bundled(package, directory))
        yield one


def bundled(package: str, directory: Path) -> Path:
    """A library as one script, with all that it exports in ``lib``."""
    script = directory / f"{_file(package)}.js"
    esbuild = PEERS / "node_modules" / ".bin" / "esbuild"
    how = ["--bundle", "--format=iife", "--global-name=lib", "--log-level=error", f"--outfile={script}"]
    subprocess.run([esbuild, *how], input=f"export * from '{package}'", cwd=PEERS, text=True, check=True, timeout=60)
    return script


def _file(package: str) -> str:
    return package.strip("@").replace("/", "-")


def serve(browser: Browser, name: str, url: str) -> str:
    """The path of a new page of the site, with the library."""
    page, path = PAGES[name], f"/{fresh(name)}"
    values = {"name": _file(page.package), "url": json.dumps(url), "key": json.dumps(WRITE), "setup": page.setup}
    browser.serve(path, HTML.format(**values))
    return path


def visit(browser: Browser, name: str, url: str) -> str:
    """A visitor who has never been there opens a page; answers its anonymous id."""
    path = serve(browser, name, url)
    browser.open(agent=FIREFOX)
    browser.goto(path)
    browser.until("window.ready")
    return browser.eval("who()")


def facts_of(server: Client, visitor: str) -> list[Any]:
    """But for what the server adds, and what PostHog's tells of a person's first visit."""
    answer = server.call("GET", f"/v1/contacts/anonymous_id:{visitor}/timeline?limit=500")
    if answer.status == 404:  # it, or whoever it leads to, is not decided yet
        return []
    found = [moment["fact"] for moment in answer.json["items"]]
    return [f for f in found if not f["type"].startswith(OWN) and not f["id"].endswith(":once")]


Made = list[tuple[str, list[int]]]
"""The types of what was made, and between which two instants of the browser's clock each."""


def called(browser: Browser, *steps: tuple[str, str]) -> Made:
    """Make calls: the type of the fact that each makes, and its code."""
    made = browser.eval(f"(() => {{ {''.join(f'call(() => {code});' for _, code in steps)} return made.splice(0) }})()")
    return list(zip((type for type, _ in steps), made, strict=True))


def left(browser: Browser, path: str, *steps: tuple[str, str]) -> Made:
    """Make calls, and follow a link as soon as the library has them."""
    calls = "".join(f"call(() => {code});" for _, code in steps)
    there = f"Promise.all(promised).then(() => {{ location.href = {json.dumps(path)}; return made.splice(0); }})"
    made = browser.eval(f"(() => {{ {calls} return {there}; }})()")
    browser.until(f"location.pathname === {json.dumps(path)}")
    return list(zip((type for type, _ in steps), made, strict=True))


def goes_on(browser: Browser) -> bool:
    """The page is used: Snowplow's library tries again when there is more to send, or when it is told to."""
    return browser.eval("goesOn(); true")


def here(name: str, user: str) -> list[tuple[str, str]]:
    page, known = PAGES[name].types
    return [(page, "page()"), (known, f"identify('{user}')")]


def orders(many: int) -> list[tuple[str, str]]:
    return [("order_completed", f"track({n})") for n in range(many)]


def arrived(server: Client, browser: Browser, name: str, user: str, visitor: str, made: Made) -> None:
    """Each once, and when the call was made; all are the user's."""
    there = f"{len(made)} facts of {visitor}"
    eventually(lambda: goes_on(browser) and len(facts_of(server, visitor)) >= len(made), there)
    facts = sorted(facts_of(server, visitor), key=lambda f: (f["type"], f["occurred_at"], f["properties"].get("n", 0)))
    assert [fact["type"] for fact in facts] == sorted(type for type, _ in made)
    for fact, (_, (since, until)) in zip(facts, sorted(made), strict=True):
        assert since <= round(datetime.fromisoformat(fact["occurred_at"]).timestamp() * 1000) <= until, fact
    numbers = [fact["properties"]["n"] for fact in facts if fact["type"] == "order_completed"]
    assert numbers == list(range(len(numbers)))
    pages = [fact["properties"] for fact in facts if fact["type"] == "page_viewed"]
    assert all(page["url"].startswith("http://localhost:") and page["path"][:1] == "/" for page in pages)
    assert WRITE not in json.dumps(facts)
    assert server.contact(f"anonymous_id:{visitor}")["id"] == user
    if "identify" in PAGES[name].types:
        assert server.contact(user)["traits"].items() >= {"plan": "pro"}.items()


@pytest.mark.parametrize("name", PAGES)
def test_the_library_is_the_one_that_is_meant(name: str):
    page = PAGES[name]
    package = json.loads((PEERS / "node_modules" / page.package.removesuffix("/bundled") / "package.json").read_text())
    assert package["version"] == page.version


@pytest.mark.parametrize("name", PAGES)
def test_what_is_said_before_the_page_is_left_arrives_once(server: Server, browser: Browser, name: str):
    """What the browser had no time to send, libraries send from the next page of the site."""
    user = fresh("page-")
    visitor, path = visit(browser, name, server.url), serve(browser, name, server.url)
    steps = [*here(name, user), *orders(5)]
    made: Made = []
    if waits := PAGES[name].waits:
        made, steps = called(browser, *steps[:waits]), steps[waits:]
        eventually(lambda: len(facts_of(server, visitor)) == waits, "what is sent at once has arrived")
    made += left(browser, path, *steps)
    browser.until("window.ready")
    assert browser.eval("who()") in (visitor, user)
    made += called(browser, (PAGES[name].types[0], "page()"))
    arrived(server, browser, name, user, visitor, made)
    assert server.get("/v1/sources/refused") == []


@pytest.mark.parametrize("name", [name for name, page in PAGES.items() if page.tries_again])
def test_what_fails_is_sent_again_and_arrives_once(server: Server, browser: Browser, name: str):
    user, page = fresh("page-"), PAGES[name]
    faults: list[Fault] = ["lost", *page.tries_again]
    with Proxy(server.port, faults, page.path) as proxy:
        visitor = visit(browser, name, proxy.url)
        made = called(browser, *here(name, user), *orders(5))
        eventually(lambda: goes_on(browser) and not proxy.faults, "every fault happened")
        arrived(server, browser, name, user, visitor, made)
    assert server.get("/v1/sources/refused") == []


def test_posthogs_library_drops_what_is_answered_with_429(server: Server, browser: Browser):
    """Of all statuses below 500: it sends again after 5xx and where there was no answer. Nothing had been taken."""
    user = fresh("page-")
    with Proxy(server.port, [429], "/e/") as proxy:
        visitor = visit(browser, "posthog", proxy.url)
        browser.eval(f"identify('{user}')")
        eventually(lambda: 429 in proxy.answers, "it was answered")
        browser.eval("track(7)")
        eventually(lambda: server.find(user), "the next is taken")
    (order,) = [m["fact"] for m in server.timeline(user) if not m["fact"]["type"].startswith(OWN)]
    assert (order["type"], order["properties"]) == ("order_completed", {"n": 7})
    assert server.find(f"anonymous_id:{visitor}") is None


@pytest.mark.parametrize("name", [name for name, page in PAGES.items() if page.tries_again])
def test_a_server_that_is_killed_while_it_has_some_has_all_once(server: Server, browser: Browser, name: str):
    user, killed = fresh("page-"), threading.Event()

    def kill() -> None:
        server.stop(signal.SIGKILL)
        killed.set()

    with Proxy(server.port, [kill], PAGES[name].path) as proxy:
        visitor = visit(browser, name, proxy.url)
        made = called(browser, *here(name, user), *orders(30))
        assert killed.wait(30)
        server.start()
        proxy.target = server.port
        arrived(server, browser, name, user, visitor, made)
    assert server.get("/v1/sources/refused") == []
