"""Other people's mail servers, each a process of its own: one that reads and checks what it gets, and a real MTA."""

from __future__ import annotations

import base64
import json
import shutil
import socket
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from serverkit import PATIENCE, eventually

PEERS = Path(__file__).parents[1] / "peers"
HARAKA = PEERS / "node_modules" / "Haraka"

ROUTES = """
// Takes any mail from here, and delivers each domain to a port of this machine.
const { readFileSync } = require("fs");
const routes = JSON.parse(readFileSync(__dirname + "/../config/routes.json"));
exports.hook_connect = (next, connection) => { connection.relaying = true; next(); };
exports.hook_rcpt = (next) => next(OK);
exports.hook_get_mx = (next, hmail, domain) =>
  next(OK, { priority: 0, exchange: "127.0.0.1", port: routes[domain] || routes["*"] });
"""


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class _Process:
    """A process whose lines are read as they come; it ends with the test."""

    def __init__(self, *command: str, cwd: Path | None = None) -> None:
        self.lines: list[str] = []
        self._process = subprocess.Popen(
            command, cwd=cwd, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.append(line.rstrip("\n"))

    def line(self, part: str) -> str:
        """The first line with this in it, as soon as there is one."""

        def found() -> str:
            assert self._process.poll() is None, "\n".join(self.lines)
            return next((line for line in self.lines if part in line), "")

        return eventually(found, f"a line with {part!r}")

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(PATIENCE)
        self._reading.join(PATIENCE)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class MailPeer(_Process):
    """smtp-server with mailparser and mailauth; what it makes of each mail is in `mails`. See peers/mail_peer.cjs."""

    def __init__(self, **options: Any) -> None:
        super().__init__("node", str(PEERS / "mail_peer.cjs"), json.dumps(options))
        self.port = int(self.line("listening ").split()[1])

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    def mails(self) -> list[dict[str, Any]]:
        return [json.loads(line[5:]) for line in self.lines if line.startswith("mail ")]

    def mail(self, recipient: str) -> dict[str, Any]:
        """The one to this recipient, once it has come."""
        found = eventually(
            lambda: [mail for mail in self.mails() if mail["recipients"] == [recipient]], f"a mail to {recipient}"
        )
        (mail,) = found
        return mail


class Haraka(_Process):
    """Takes any mail and delivers it to ``routes``, domain → port; ``*`` is any other domain. Sends bounces."""

    def __init__(self, directory: Path, routes: Mapping[str, int]) -> None:
        self.port = free_port()
        config, plugins = directory / "config", directory / "plugins"
        for part in (config, plugins, directory / "queue"):
            part.mkdir(parents=True)
        shutil.copy(HARAKA / "config" / "outbound.bounce_message", config)
        shutil.copy(HARAKA / "config" / "connection.ini", config)
        (config / "smtp.ini").write_text(f"listen=127.0.0.1:{self.port}\nnodes=0\n")
        (config / "outbound.ini").write_text("enable_tls=false\nlocal_mx_ok=true\n")
        (config / "log.ini").write_text("[main]\nlevel=notice\n")
        (config / "me").write_text("mx.example.net\n")
        (config / "plugins").write_text("routes\n")
        (config / "routes.json").write_text(json.dumps(dict(routes)))
        (plugins / "routes.js").write_text(ROUTES)
        super().__init__("node", str(HARAKA / "bin" / "haraka"), "-c", str(directory), cwd=directory)
        self.line(f"Listening on 127.0.0.1:{self.port}")

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"


def dkim_key(kind: str) -> tuple[str, str]:
    """A private key as PEM, and what belongs into the DNS; ``kind`` is rsa or ed25519."""
    key = rsa.generate_private_key(65537, 2048) if kind == "rsa" else ed25519.Ed25519PrivateKey.generate()
    public = key.public_key()
    raw = (
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        if isinstance(public, rsa.RSAPublicKey)
        else public.public_bytes(Encoding.Raw, PublicFormat.Raw)
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return pem, f"v=DKIM1; k={kind}; p={base64.b64encode(raw).decode()}"
