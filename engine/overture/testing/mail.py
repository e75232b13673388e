"""`MailServer`: start, script and read the SMTP server of `overture.testing.mailserver` from a test."""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

START_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class ReceivedMail:
    """``sender`` and ``recipients`` are the envelope's, ``raw`` is the message as it came, ``message`` is it parsed."""

    sender: str
    recipients: tuple[str, ...]
    message: EmailMessage
    raw: bytes


class MailServer:
    """A real SMTP server in a process of its own, keeping what it takes in the Maildir ``directory``.

    ::

        async with MailServer(tmp_path) as server:
            ...  # send to server.url
            assert [mail.recipients for mail in server.mails()] == [("ada@example.com",)]

    ``options`` are those of ``python -m overture.testing.mailserver``, such as ``"--login", "user:password"``. After
    `stop`, `start` takes the same port and directory again.
    """

    to = "ada@example.com"

    def __init__(self, directory: Path, *options: str) -> None:
        self.port = 0
        self._directory = directory
        self._options = options
        self._loop: asyncio.AbstractEventLoop | None = None  # that it was started in
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._acknowledged: deque[asyncio.Future[None]] = deque()

    @property
    def url(self) -> str:
        """``smtp://127.0.0.1:PORT``"""
        return f"smtp://127.0.0.1:{self.port}"

    async def __aenter__(self) -> MailServer:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Returns when the server listens. Raises RuntimeError when it does not start."""
        self._loop = asyncio.get_running_loop()
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "overture.testing.mailserver", "--port", str(self.port), "--until-eof",
            "--dir", str(self._directory), *self._options,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        output = self._process.stdout
        assert output is not None
        async with asyncio.timeout(START_SECONDS):
            words = (await output.readline()).decode().split()
        if words[:1] != ["listening"]:
            raise RuntimeError("the mail server did not start; is the package aiosmtpd installed?")
        self.port = int(words[1])
        self._reading = asyncio.create_task(self._read(output))

    async def stop(self) -> None:
        """Kill the server: connections break off, as in a crash."""
        if self._process is not None:
            if self._process.returncode is None:
                self._process.kill()
            await self._process.wait()
        if self._reading is not None:
            await self._reading
        self._process = self._reading = None

    async def script(self, *actions: str) -> None:
        """What happens to the next mails, one action each; afterwards all are accepted.

        ``accept``, ``refuse`` (550 5.1.1), ``defer`` (451), ``drop`` (taken, then the connection breaks off without an
        answer), ``stall`` (taken, never answered), ``rcpt CODE text`` or ``data CODE text``: the reply to that one.
        """
        assert self._loop is not None
        if asyncio.get_running_loop() is self._loop:
            await self._script(actions)
        else:
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._script(actions), self._loop))

    async def _script(self, actions: Sequence[str]) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        for action in actions:
            acknowledged = asyncio.get_running_loop().create_future()
            self._acknowledged.append(acknowledged)
            self._process.stdin.write(action.encode() + b"\n")
            await acknowledged

    def mails(self) -> list[ReceivedMail]:
        """All mails taken so far, in order."""
        return [_read(path) for path in sorted((self._directory / "new").iterdir())]

    def keys(self) -> list[str]:
        """The Message-ID of each mail taken so far."""
        return [str(mail.message["Message-ID"]) for mail in self.mails()]

    async def _read(self, output: asyncio.StreamReader) -> None:
        while line := await output.readline():
            if line == b"scripted\n":
                self._acknowledged.popleft().set_result(None)
        while self._acknowledged:
            self._acknowledged.popleft().set_exception(ConnectionError("the mail server has stopped"))


def _read(path: Path) -> ReceivedMail:
    sender, recipients, raw = path.read_bytes().split(b"\r\n", 2)
    return ReceivedMail(
        sender.decode().removeprefix("X-Envelope-From: "),
        tuple(recipients.decode().removeprefix("X-Envelope-To: ").split(", ")),
        message_from_bytes(raw, policy=default),
        raw,
    )
