"""Overture's own script for web pages, in a real browser on pages of another origin: each event arrives once, from the
right visitor and at the right time, whatever becomes of the server and of the page; and nothing without consent."""

from __future__ import annotations

import gzip
import signal
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from browserkit import Browser, chromium
from sdkkit import Proxy
from serverkit import Client, Server, eventually, fresh

LARGEST = 1_536  # bytes of the script as browsers load it
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
SNIPPET = """<!doctype html><title>{title}</title>
<script>window.overture = window.overture || function () {{ (overture.q = overture.q || []).push(arguments) }}</script>
<script async src="{url}/t.js" data-key="{key}"{more}></script>{body}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as one:
        yield one


@pytest.fixture(scope="module")
def key(server: Server) -> str:
    return server.call("POST", "/v1/keys", {"name": "pages"}).json["key"]


def page(browser: Browser, url: str, key: str, path: str, more: str = "", body: str = "", **how: Any) -> None:
    """A visitor who has never been here, and a page for it; nothing of it is loaded yet."""
    browser.serve(path, SNIPPET.format(title=f"Title of {path}", url=url, key=key, more=more, body=body))
    browser.open(**{"agent": FIREFOX, **how})


def here(browser: Browser) -> str:
    """The visitor's anonymous id, once the script is there."""
    browser.until("window.overture && !overture.q")
    return browser.eval("(/ov_id=([^;]+)/.exec(document.cookie) || [])[1] || ''")


def quiet(browser: Browser) -> None:
    """Wait until the page has nothing more to send."""
    browser.until("localStorage.ov_q == '[]'")


def facts(server: Client, visitor: str) -> list[Any]:
    """What arrived of a visitor, but for what the server adds."""
    if not server.find(f"anonymous_id:{visitor}"):
        return []
    moments = server.timeline(f"anonymous_id:{visitor}", 500)
    return [m["fact"] for m in moments if not m["fact"]["type"].startswith(("$", "message.", "session."))]


def arrived(server: Client, visitor: str, *types: str) -> list[Any]:
    """Wait for exactly these, each once, in the order in which they happened."""
    eventually(lambda: len(facts(server, visitor)) >= len(types), f"{len(types)} facts of {visitor}")
    found = sorted(facts(server, visitor), key=lambda f: f["occurred_at"])
    assert Counter(f["type"] for f in found) == Counter(types)
    assert len({f["id"] for f in found}) == len(types)
    return found


def test_the_script_is_small_and_cached(server: Server):
    answer = server.call("GET", "/t.js", headers={"Accept-Encoding": "gzip", "Authorization": ""})
    assert (answer.status, answer.headers["Content-Encoding"]) == (200, "gzip")
    assert len(answer.body) <= LARGEST
    plain = server.call("GET", "/t.js", headers={"Authorization": ""})
    assert gzip.decompress(answer.body) == plain.body
    assert b"//" not in plain.body
    assert "max-age=" in answer.headers["Cache-Control"]
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    again = server.call("GET", "/t.js", headers={"If-None-Match": answer.headers["ETag"], "Authorization": ""})
    assert (again.status, again.body) == (304, b"")


def test_a_visit(server: Server, browser: Browser, key: str):
    """A page with a campaign, a call from before the script was there, a route of a single-page app, another page."""
    path, started = f"/{fresh('shop')}", datetime.now(UTC)
    early = "<script>location.search != '?next' && overture('track', 'Basket Filled', {n: 1})</script>"
    page(browser, server.url, key, path, body=early)
    browser.goto(f"{path}?utm_source=news&utm_campaign=spring#part")
    visitor = here(browser)
    browser.eval("history.pushState({}, '', '/products/7')")
    browser.until("localStorage.ov_q.includes('/products/7')")
    browser.eval("history.replaceState({}, '', '/products/7')")  # the same page
    quiet(browser)
    browser.goto(f"{path}?next")
    assert here(browser) == visitor
    types = ("basket_filled", "page_viewed", "page_left", "page_viewed", "page_left", "page_viewed")
    basket, first, left, second, _, third = arrived(server, visitor, *types)
    assert basket["properties"] == {"n": 1}
    said = first["properties"]
    assert said["url"] == f"{browser.origin}{path}?utm_source=news&utm_campaign=spring"
    assert (said["path"], said["title"], said["referrer"]) == (path, f"Title of {path}", "")
    assert (said["utm_source"], said["utm_campaign"]) == ("news", "spring")
    assert left["properties"]["path"] == path
    assert 0 <= left["properties"]["dwell"] < 60
    assert (second["properties"]["path"], second["properties"]["referrer"]) == ("/products/7", said["url"])
    assert third["properties"]["path"] == path
    for each in (basket, first, left, second, third):
        assert started - timedelta(seconds=1) < datetime.fromisoformat(each["occurred_at"]) < datetime.now(UTC)
        assert each["context"]["browser"] == {"name": "Firefox", "version": "140.0"}
        assert each["context"]["os"] == {"name": "Linux"}
        assert "machine" not in each["properties"]
    assert browser.said() == []


def test_who_it_is(server: Server, browser: Browser, key: str):
    path, user = f"/{fresh('login')}", fresh("ada")
    page(browser, server.url, key, path)
    browser.goto(path)
    visitor = here(browser)
    browser.eval(f"overture('identify', '{user}', {{plan: 'pro'}})")
    browser.eval("overture('track', 'seen')")
    quiet(browser)
    browser.eval("overture('reset')")
    browser.eval("overture('track', 'as_somebody_else')")
    quiet(browser)
    other = here(browser)
    assert other != visitor
    arrived(server, visitor, "page_viewed", "identify", "seen")
    arrived(server, other, "as_somebody_else")
    contact = server.contact(user)
    assert contact["traits"] == {"plan": "pro"}
    assert server.contact(f"anonymous_id:{visitor}")["id"] == user
    assert server.contact(f"anonymous_id:{other}")["id"] != user


def test_a_crawler_says_so(server: Server, browser: Browser, key: str):
    path = f"/{fresh('crawled')}"
    page(
        browser, server.url, key, path, agent="Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
    )
    browser.goto(path)
    (view,) = arrived(server, here(browser), "page_viewed")
    assert view["context"]["bot"] is True
    assert view["properties"]["machine"] is True


@pytest.mark.parametrize("faults", [[500], [429, 429], ["lost"], ["lost", 503, 429]], ids=str)
def test_what_fails_is_sent_again(server: Server, browser: Browser, key: str, faults: list[Any]):
    path = f"/{fresh('faulty')}"
    with Proxy(server.port, faults) as proxy:
        page(browser, proxy.url, key, path)
        browser.goto(path)
        visitor = here(browser)
        browser.eval("[...Array(45).keys()].forEach(n => overture('track', 'ping', {n}))")
        quiet(browser)
        assert proxy.faults == []
    pings = arrived(server, visitor, "page_viewed", *["ping"] * 45)[-45:]
    assert sorted(f["properties"]["n"] for f in pings) == list(range(45))


def test_what_is_refused_is_not_sent_again(server: Server, browser: Browser):
    path = f"/{fresh('wrong')}"
    with Proxy(server.port) as proxy:
        page(browser, proxy.url, "no-key-of-this-server", path)
        browser.goto(path)
        visitor = here(browser)
        quiet(browser)
        assert proxy.answers.count(401) == 1
    assert facts(server, visitor) == []


def test_a_server_that_is_killed_while_it_has_some(server: Server, browser: Browser, key: str):
    path = f"/{fresh('killed')}"
    with Proxy(server.port, [lambda: server.stop(signal.SIGKILL)]) as proxy:
        page(browser, proxy.url, key, path)
        browser.goto(path)
        visitor = here(browser)
        browser.eval("[...Array(30).keys()].forEach(n => overture('track', 'ping', {n}))")
        eventually(lambda: server.process is None, "the server was killed with a batch")
        browser.eval("overture('track', 'meanwhile')")
        server.start()
        proxy.target = server.port
        quiet(browser)
    arrived(server, visitor, "page_viewed", "meanwhile", *["ping"] * 30)


def test_what_happens_as_the_page_is_left(server: Server, browser: Browser, key: str):
    """Nobody comes back to the site: the beacon alone carries it."""
    path = f"/{fresh('left')}"
    page(browser, server.url, key, path)
    browser.goto(path)
    visitor = here(browser)
    quiet(browser)
    browser.eval("addEventListener('pagehide', () => overture('track', 'too_late_for_a_timer'), {capture: true})")
    browser.eval("overture('track', 'last_click')")
    browser.goto("about:blank")
    arrived(server, visitor, "page_viewed", "last_click", "too_late_for_a_timer", "page_left")


def test_a_beacon_that_is_lost_comes_with_the_next_page(server: Server, browser: Browser, key: str):
    path = f"/{fresh('lost')}"
    with Proxy(server.port) as proxy:
        page(browser, proxy.url, key, path)
        browser.goto(path)
        visitor = here(browser)
        quiet(browser)
        proxy.faults[:] = [500]
        browser.eval("overture('track', 'last_click')")
        browser.goto(f"{path}?again")
        eventually(lambda: proxy.faults == [], "the beacon failed")
        here(browser)
        quiet(browser)
        arrived(server, visitor, "page_viewed", "last_click", "page_left", "page_viewed")


def test_offline(server: Server, browser: Browser, key: str):
    path = f"/{fresh('train')}"
    page(browser, server.url, key, path)
    browser.goto(path)
    visitor = here(browser)
    quiet(browser)
    browser.offline(True)
    browser.eval("overture('track', 'in_the_tunnel')")
    at = datetime.now(UTC)
    time.sleep(1.5)  # so that it tries, and fails
    browser.offline(False)
    quiet(browser)
    tunnel = arrived(server, visitor, "page_viewed", "in_the_tunnel")[-1]
    assert abs(datetime.fromisoformat(tunnel["occurred_at"]) - at) < timedelta(seconds=1)


@pytest.mark.parametrize(
    ("more", "signals"),
    [(' data-consent="required"', {}), ("", {"gpc": True}), ("", {"dnt": True})],
    ids=["consent", "gpc", "dnt"],
)
def test_nothing_without_consent(server: Server, browser: Browser, key: str, more: str, signals: dict[str, bool]):
    path = f"/{fresh('careful')}"
    with Proxy(server.port) as proxy:
        page(browser, proxy.url, key, path, more, **signals)
        browser.goto(path)
        assert here(browser) == ""
        browser.eval("overture('track', 'seen')")
        browser.eval("new Promise(done => setTimeout(done, 1500))")
        browser.goto(f"{path}?left")
        assert here(browser) == ""
        assert browser.eval("[localStorage.length, document.cookie]") == [0, ""]
        assert [status for status in proxy.answers if status != 304] == [200] * len(proxy.answers)
        assert proxy.posted == 0
        browser.eval("overture('track', 'before')")
        browser.eval("overture('consent', true)")
        visitor = here(browser)
        quiet(browser)
        arrived(server, visitor, "page_viewed", "before")  # of this page alone
        browser.goto(f"{path}?next")
        assert here(browser) == visitor
        quiet(browser)
        browser.eval("overture('consent', false)")
        browser.eval("overture('track', 'after')")
        assert browser.eval("[localStorage.ov_q, document.cookie]") == ["[]", ""]
        posted = proxy.posted
        browser.eval("new Promise(done => setTimeout(done, 1500))")
        browser.goto(f"{path}?once_more")
        assert here(browser) == ""
        browser.eval("new Promise(done => setTimeout(done, 1500))")
        assert proxy.posted == posted
    arrived(server, visitor, "page_viewed", "before", "page_left", "page_viewed")
