"""The pages that people see who follow a link in a message: plain HTML, no script, nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
from html import escape

from aiohttp import web

from overture.web.subscribed import Choice, Subscription

STYLE = """
body { font: 1.1rem/1.5 system-ui, sans-serif; max-width: 36rem; margin: 3rem auto; padding: 0 1rem }
body { color: #1a1a1a; background: #fff }
h1 { font-size: 1.5rem } fieldset { border: 1px solid #767676; border-radius: 4px; margin: 0 0 1rem }
label { display: block; padding: .4rem 0 } small { color: #4a4a4a }
button { font: inherit; padding: .6rem 1.2rem; color: #fff; background: #1f4f99; border: 0; border-radius: 4px }
button:focus, a:focus, input:focus { outline: 3px solid #ffb000 }
@media (prefers-color-scheme: dark) {
  body { color: #eee; background: #111 } a { color: #9cc3ff } small { color: #bbb }
}
"""
_DIGEST = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_DIGEST}'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}
_CHANNELS = {"email": "by e-mail", "sms": "by text message", "push": "as notifications"}


def form(about: Subscription) -> web.Response:
    """The page that a link opens."""
    what = _what(about.channel, about.purpose)
    if about.kind == "preferences":
        return _page("Your preferences", _boxes(about))
    if about.kind == "unsubscribe":
        if about.state == "denied":
            return done(about)
        ask = f"<p>You will no longer get {what}.</p>"
        return _page("Unsubscribe", ask + _button("Unsubscribe") + _more(about))
    if not about.fits or about.state not in ("pending", "granted"):
        said = "This was refused since, or the link went to another address. To get messages, sign up once more."
        return _page("This link confirms nothing any more", f"<p>{said}</p>" + _more(about))
    if about.state == "granted":
        return done(about)
    return _page("Please confirm", f"<p>You asked to get {what}.</p>" + _button("Yes, confirm") + _more(about))


def done(about: Subscription) -> web.Response:
    """The page after its button; the preferences show themselves again."""
    what = _what(about.channel, about.purpose)
    if about.kind == "preferences":
        return _page("Your preferences", '<p role="status">Saved.</p>' + _boxes(about))
    if about.kind == "unsubscribe":
        return _page("You are unsubscribed", f"<p>You will get no more {what}.</p>" + _more(about))
    if about.state == "granted" and about.fits:
        return _page("Confirmed", f"<p>Thank you. You will get {what}.</p>" + _more(about))
    return form(about)


def problem(status: int, code: str, text: str, hint: str) -> web.Response:
    """One clear page for whatever went wrong."""
    body = f"<p>{escape(text)} {escape(hint)}</p><p><small>{escape(code)}</small></p>"
    return _page("This did not work", body, status)


def _boxes(about: Subscription) -> str:
    if not about.choices:
        return "<p>There is nothing to choose: you get no messages but those that you ask for.</p>"
    boxes = "".join(_box(choice) for choice in about.choices)
    return (
        f'<form method="post"><fieldset><legend>What I want to get</legend>{boxes}</fieldset>'
        '<input type="hidden" name="save" value="1"><button>Save</button></form>'
    )


def _box(choice: Choice) -> str:
    what = f"{escape(_words(choice.list))}" if choice.list else _what(choice.channel, choice.purpose).capitalize()
    checked = " checked" if choice.on else ""
    waits = " <small>(not confirmed yet)</small>" if choice.pending else ""
    return f'<label><input type="checkbox" name="{escape(choice.name)}" value="on"{checked}> {what}{waits}</label>'


def _button(text: str) -> str:
    return f'<form method="post"><button>{text}</button></form>'


def _more(about: Subscription) -> str:
    return f'<p><a href="{escape(about.preferences)}">All my preferences</a></p>'


def _what(channel: str, purpose: str) -> str:
    return f"{escape(_words(purpose))} messages {escape(_CHANNELS.get(channel, f'by {channel}'))}"


def _words(name: str) -> str:
    return name.replace("_", " ").replace("-", " ")


def _page(title: str, body: str, status: int = 200) -> web.Response:
    text = (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head>'
        f"<body><main><h1>{title}</h1>{body}</main></body></html>\n"
    )
    return web.Response(text=text, status=status, content_type="text/html", headers=HEADERS)
