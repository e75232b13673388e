"""A real SMTP server to test against, in a process of its own: ``python -m overture.testing.mailserver``.

Mails become files in ``DIR/new`` (a Maildir), each with its envelope in ``X-Envelope-From`` and ``X-Envelope-To``. With
``--until-eof``, a line on standard input scripts what happens to the next mail (see `overture.testing.MailServer`).
Needs the package ``aiosmtpd``.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import ssl
import sys
from collections import deque
from contextlib import suppress
from email.parser import BytesHeaderParser
from email.policy import default
from pathlib import Path
from typing import Any

from overture.model import clock

NAMED = {
    "accept": "",
    "refuse": "rcpt 550 5.1.1 No such mailbox",
    "defer": "rcpt 451 4.3.0 Try again later",
    "drop": "drop",
    "stall": "stall",
}
STALL_SECONDS = 3600


class Handler:
    """The hooks that aiosmtpd calls."""

    def __init__(self, directory: Path) -> None:
        self.script: deque[str] = deque()
        self._new, self._tmp = directory / "new", directory / "tmp"
        for part in (self._new, self._tmp, directory / "cur"):
            part.mkdir(parents=True, exist_ok=True)
        self._count = len(list(self._new.iterdir()))

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        action = self.script.popleft() if self.script else ""
        if action.startswith("rcpt "):
            return action[5:]
        envelope.overture_action = action
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        action = envelope.overture_action
        if action.startswith("data "):
            return action[5:]
        name = self._keep(envelope)
        if action == "drop":  # taken, but nobody is told
            server.transport.abort()
        elif action == "stall":
            await asyncio.sleep(STALL_SECONDS)
        return f"250 2.0.0 OK queued as {name}"

    def _keep(self, envelope: Any) -> str:
        self._count += 1
        name = f"{clock.now()}.{self._count:08d}.{os.getpid()}"
        envelope_lines = f"X-Envelope-From: {envelope.mail_from}\r\nX-Envelope-To: {', '.join(envelope.rcpt_tos)}\r\n"
        (self._tmp / name).write_bytes(envelope_lines.encode() + envelope.original_content)
        (self._tmp / name).rename(self._new / name)
        mail = BytesHeaderParser(policy=default).parsebytes(envelope.original_content)
        print(f"mail {mail['To']}  {mail['Subject']}", flush=True)
        return name


async def serve(options: argparse.Namespace) -> None:
    """Serve until standard input ends (with ``--until-eof``) or for ever. Prints ``listening PORT`` when ready."""
    from aiosmtpd.smtp import SMTP, AuthResult

    def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        user, _, password = (options.login or "").partition(":")
        right = bool(user) and (data.login.decode(), data.password.decode()) == (user, password)
        return AuthResult(success=right, handled=False)

    loop = asyncio.get_running_loop()
    handler = Handler(Path(options.dir))
    tls = None
    if options.certificate:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(options.certificate)

    def session() -> SMTP:
        return SMTP(
            handler,
            enable_SMTPUTF8=not options.no_smtputf8,
            hostname="localhost",
            tls_context=None if options.implicit_tls else tls,
            auth_require_tls=False,
            auth_required=bool(options.login),
            authenticator=authenticate,
            loop=loop,
        )

    server = await loop.create_server(
        session, options.host, options.port, ssl=tls if options.implicit_tls else None, reuse_address=True
    )
    print(f"listening {server.sockets[0].getsockname()[1]}", flush=True)
    if not options.until_eof:
        await server.serve_forever()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        action = line.decode().strip()
        handler.script.append(NAMED.get(action, action))
        print("scripted", flush=True)


def _host(text: str) -> str:
    if not text.strip():  # which would be every address of this machine
        raise argparse.ArgumentTypeError("an address to listen on is needed; 0.0.0.0 is all of them")
    return text


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError("a port is a number from 0 to 65535")
    return int(text)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m overture.testing.mailserver", description=__doc__)
    parser.add_argument("--host", type=_host, default="127.0.0.1")
    parser.add_argument("--port", type=_port, default=1025, help="0 for any that is free")
    parser.add_argument("--dir", default="mail", help="where the mails go (a Maildir)")
    parser.add_argument("--login", help="USER:PASSWORD that clients must log in with")
    parser.add_argument("--certificate", help="PEM file with key and certificate: offers STARTTLS")
    parser.add_argument("--implicit-tls", action="store_true", help="speak TLS from the first byte")
    parser.add_argument("--no-smtputf8", action="store_true", help="do not offer SMTPUTF8")
    parser.add_argument("--until-eof", action="store_true", help="read a script from standard input, stop at its end")
    with suppress(KeyboardInterrupt):
        asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
