"""`python -m bench.mail`: what a mail costs in ms, part by part, and how many a second leave over loopback.

The parts are measured in turns, round after round, so that their ratios hold on a machine that is busy.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import dkim
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from rich.console import Console
from rich.table import Table

from overture.model.pages import Page
from overture.plugin import Outgoing
from overture.sandbox.rendering import engine, locales
from overture.sandbox.rendering.atonce import renderer_now
from overture.sandbox.rendering.renderer import Renderer
from overture.testing import MailServer
from overture_channels.mail import compose
from overture_channels.markup import as_text, inlined
from overture_channels.signature import DkimConfig, Signer
from overture_channels.smtp import SmtpChannel, SmtpConfig

ROUNDS, TIMES = 15, 20
RUNS, MAILS, AT_ONCE = 5, 120, 16
SENDER = "Shop <news@example.com>"
CONTEXT = {"contact": {"first_name": "Ada"}, "fact": {"plan": "pro"}}
MJML = """<mjml>
  <mj-head><mj-style>.lead { color: #222244; font-size: 18px } a { color: #cc3300 }</mj-style></mj-head>
  <mj-body>
    <mj-section><mj-column><mj-image src="https://example.com/logo.png" alt="Shop" /></mj-column></mj-section>
    <mj-section>
      <mj-column>
        <mj-text css-class="lead">Hello {{ contact.first_name | default("you") }}</mj-text>
        {% if fact.plan == "pro" %}<mj-button href="https://example.com/pro?a=1&amp;b=2">Begin</mj-button>{% endif %}
      </mj-column>
    </mj-section>
    BLOCKS
  </mj-body>
</mjml>""".replace(
    "BLOCKS",
    "".join(
        f"<mj-section><mj-column><mj-text>Paragraph {n} of what there is to say. <a href='https://example.com/{n}'>More</a>"
        "</mj-text></mj-column></mj-section>"
        for n in range(8)
    ),
)


def pem(key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey, form: PrivateFormat = PrivateFormat.PKCS8) -> str:
    return key.private_bytes(Encoding.PEM, form, NoEncryption()).decode()


RSA = rsa.generate_private_key(65537, 2048)
KEYS = {
    name: DkimConfig.model_validate({"domain": "example.com", "selector": name, "key": pem(key)})
    for name, key in (("rsa", RSA), ("ed25519", ed25519.Ed25519PrivateKey.generate()))
}


def outgoing(n: int, html: str, text: str) -> Outgoing:
    return Outgoing(
        id=f"fact{n}:welcome/hello:0:00", channel="email", to=f"c{n}@example.com", subject="Hello Ada", text=text,
        html=html, purpose="marketing", contact=f"c{n}", created_at=1_774_605_600_000,
        unsubscribe="https://mail.example.com/subscription/" + "x" * 200,
    )  # fmt: skip


def parts() -> dict[str, Callable[[], object]]:
    mjml = Page("hello", subject="Hello", mjml=MJML)
    jailed, here = renderer_now().render, engine.render
    html = jailed(mjml, CONTEXT).html
    template = Page("hello", subject="Hello", html="<p>Hello {{ contact.first_name }}</p>" * 10)
    text = as_text(html)
    plain = outgoing(1, "", text)
    content = compose(outgoing(1, html, text), SENDER).content
    own = pem(RSA, PrivateFormat.TraditionalOpenSSL).encode()
    signers = {name: Signer(config) for name, config in KEYS.items()}
    return {
        "render in this process, HTML": lambda: here(template, CONTEXT, "en"),
        "render in the jail, HTML": lambda: jailed(template, CONTEXT),
        "render in this process, MJML to HTML": lambda: here(mjml, CONTEXT, "en"),
        "render in the jail, MJML to HTML": lambda: jailed(mjml, CONTEXT),
        "style sheets inlined": lambda: inlined(html),
        "plain text of the HTML": lambda: as_text(html),
        "compose: text alone": lambda: compose(plain, SENDER),
        "compose: HTML and text, inlined": lambda: compose(outgoing(1, html, text), SENDER),
        "DKIM, RSA 2048": lambda: signers["rsa"].header(content, 1_774_605_600),
        "DKIM, Ed25519": lambda: signers["ed25519"].header(content, 1_774_605_600),
        "DKIM, RSA 2048, dkimpy by itself": lambda: dkim.sign(content, b"rsa", b"example.com", own),
    }


def measured() -> dict[str, float]:
    """ms of each part: the median over the rounds."""
    found: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        for name, run in parts().items():
            began = time.perf_counter()
            for _ in range(TIMES):
                run()
            found.setdefault(name, []).append((time.perf_counter() - began) * 1000 / TIMES)
    return {name: median(each) for name, each in found.items()}


async def leaving(directory: Path, jail: bool | None = None, **settings: object) -> float:
    """Mails a second, over four connections; ``jail``: rendered one by one, in the jail or in this process."""
    page = Page("hello", mjml=MJML)
    html = renderer_now().render(page, CONTEXT).html
    renderer = Renderer()
    await renderer.render(page, CONTEXT)
    async with MailServer(directory) as server:
        channel = SmtpChannel(SmtpConfig.model_validate({"url": server.url, "sender": SENDER, **settings}))
        numbers = iter(range(MAILS))

        async def send() -> None:
            for n in numbers:
                said = html
                if jail is not None:
                    said = (await renderer.render(page, CONTEXT) if jail else engine.render(page, CONTEXT, "en")).html
                await channel.send(outgoing(n, said, ""))

        began = time.perf_counter()
        await asyncio.gather(*(send() for _ in range(AT_ONCE)))
        took = time.perf_counter() - began
        await channel.close()
        await renderer.close()
        assert len(server.mails()) == MAILS
    return MAILS / took


async def rendering(at_once: int) -> float:
    """ms for each, so many asked for at a time."""
    renderer, page = Renderer(), Page("hello", subject="Hello", mjml=MJML)
    await renderer.render(page, CONTEXT)
    began = time.perf_counter()
    for _ in range(640 // at_once):
        await asyncio.gather(*(renderer.render(page, CONTEXT) for _ in range(at_once)))
    took = time.perf_counter() - began
    await renderer.close()
    return took * 1000 / 640


async def main() -> None:
    locales.prepare()
    costs = measured()
    base = costs["compose: HTML and text, inlined"]
    for n in (1, 32):
        costs[f"render in the jail, MJML to HTML, asked by the loop, {n} at a time"] = await rendering(n)
    table = Table("a mail needs", "ms", "of composing it")
    for name, cost in costs.items():
        table.add_row(name, f"{cost:.2f}", f"{cost / base:.2f}")
    returns = {"bounces": "bounces+{token}@example.com", "bounce_key": "key-of-this-bench"}
    key = {name: config.model_dump() | {"key": config.key.get_secret_value()} for name, config in KEYS.items()}
    kinds: dict[str, dict[str, Any]] = {
        "not signed": {},
        "the same, each rendered in this process": {"jail": False},
        "the same, each rendered in the jail": {"jail": True},
        "an address of its own to come back to": returns,
        "the same, and DKIM with RSA 2048": {**returns, "dkim": key["rsa"]},
        "the same, and with Ed25519 too": {**returns, "dkim": list(key.values())},
    }
    left: dict[str, list[float]] = {}
    for _ in range(RUNS):
        for name, settings in kinds.items():
            with tempfile.TemporaryDirectory() as folder:
                left.setdefault(name, []).append(await leaving(Path(folder), **settings))
    rates = Table(f"{MAILS} mails over loopback, {RUNS} times", "mails/s, median")
    for name, each in left.items():
        rates.add_row(name, f"{median(each):.0f}")
    console = Console(width=100)
    console.print(table)
    console.print(rates)


if __name__ == "__main__":
    asyncio.run(main())
