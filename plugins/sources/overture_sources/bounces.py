"""A mail server for what comes back: a mail to an address of ours is a fact about the message that has it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, Self, cast

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from overture.plugin import Emit, NoFact, PullSourcePlugin, Secret, hookimpl
from overture_channels.returns import ReturnAddress
from overture_sources.fitting import clean
from overture_sources.reports import fact
from overture_sources.returned import Returned, Unread, parsed, read

LARGEST = 2 * 2**20  # bytes of a mail
OPEN = 50  # connections at once
PATIENCE = 60  # seconds without a command
RECIPIENTS = 10  # of a mail
SHOWN = 2_000  # characters of a mail that is no report


class BouncesConfig(BaseModel):
    """``address`` and ``key`` as the channel's ``bounces`` and ``bounce_key``; ``old_key``: the one before, whose mails
    may still come back. ``listen``: ``host:port``. ``feedback``: other addresses, to which complaints come.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    address: str
    key: Secret
    old_key: Secret | None = None
    listen: str = "127.0.0.1:2525"
    hostname: str = Field(default="localhost", pattern=r"^[A-Za-z0-9.-]{1,253}$")
    feedback: tuple[str, ...] = ()
    channel: str = "email"

    @field_validator("listen")
    @classmethod
    def _listen(cls, value: str) -> str:
        place(value)
        return value

    @model_validator(mode="after")
    def _returns(self) -> Self:
        self.returns()
        return self

    def returns(self) -> ReturnAddress:
        keys: list[SecretStr] = [self.key, *([self.old_key] if self.old_key else [])]
        try:
            return ReturnAddress(self.address, *keys)
        except ValueError as error:
            raise ValueError(f"address: {error}") from None


def place(text: str) -> tuple[str, int]:
    """``host:port``; raises ValueError."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError("where to listen must look like 127.0.0.1:2525")
    return host.strip("[]"), int(port)


class Bounces:
    """Takes mail while it runs, and answers each once its fact is on disk."""

    def __init__(self, config: BouncesConfig) -> None:
        try:
            import aiosmtpd  # noqa: F401  # told at the start, not at the first mail
        except ImportError:
            raise RuntimeError("The source bounces needs aiosmtpd: pip install 'overture[mailbox]'") from None
        self._config = config
        self._returns = config.returns()
        self._feedback = frozenset(address.lower() for address in config.feedback)

    async def run(self, emit: Emit) -> None:
        from aiosmtpd.smtp import SMTP

        loop = asyncio.get_running_loop()
        taking = _Taking(self, emit, loop.create_future())
        connections: set[asyncio.BaseTransport] = set()

        class Session(SMTP):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                connections.add(transport)
                super().connection_made(transport)

            def connection_lost(self, error: Exception | None) -> None:
                connections.discard(self.transport)
                super().connection_lost(error)

        def session() -> asyncio.BaseProtocol:
            if len(connections) >= OPEN:
                return _Busy()
            return Session(
                taking, data_size_limit=LARGEST, enable_SMTPUTF8=True, hostname=self._config.hostname,
                ident="ESMTP", timeout=PATIENCE, command_call_limit=100, loop=loop,
            )  # fmt: skip

        server = await loop.create_server(session, *place(self._config.listen), reuse_address=True)
        try:
            await taking.failed
        finally:
            server.close()
            for transport in list(connections):
                transport.close()

    async def close(self) -> None: ...

    def takes(self, address: str) -> bool:
        """Whether a mail to this address may be a report."""
        return bool(self._returns.token(address)) or address.lower() in self._feedback

    def facts(self, raw: bytes, recipients: Iterable[str]) -> tuple[list[Mapping[str, Any]], list[NoFact]]:
        facts: list[Mapping[str, Any]] = []
        refused: list[NoFact] = []
        shown = clean(raw[:SHOWN].decode("utf-8", "replace"))
        mail: Returned | Unread
        try:
            mail = parsed(raw)
        except Unread as why:
            mail = why
        for recipient in recipients:
            try:
                if isinstance(mail, Unread):
                    raise mail
                facts.append(fact("bounces", self._config.channel, read(mail, recipient, self._returns)))
            except Unread as why:
                refused.append(NoFact({"to": clean(recipient), "mail": shown}, "source.bounce", str(why)))
        return facts, refused


class _Taking:
    """The hooks that aiosmtpd calls. ``failed`` ends the run: what could not be emitted is sent again."""

    def __init__(self, source: Bounces, emit: Emit, failed: asyncio.Future[None]) -> None:
        self.failed = failed
        self._source = source
        self._emit = emit
        self._reading = asyncio.Lock()  # what anyone sends is read one after the other: all else goes on beside it

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        if not self._source.takes(address):
            return "550 5.1.1 Nobody is there"
        if len(envelope.rcpt_tos) >= RECIPIENTS:
            return "452 4.5.3 Too many recipients"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        async with self._reading:
            facts, refused = await asyncio.to_thread(self._source.facts, envelope.content, list(envelope.rcpt_tos))
        try:
            await self._emit(facts, refused=refused)
        except Exception as error:
            if not self.failed.done():
                self.failed.set_exception(error)
            return "451 4.3.0 Try again later"
        return "250 2.0.0 OK"


class _Busy(asyncio.Protocol):
    """Says so and hangs up."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        writing = cast(asyncio.WriteTransport, transport)
        writing.write(b"421 4.3.2 Too many connections\r\n")
        writing.close()


@hookimpl
def overture_sources() -> Iterable[PullSourcePlugin[BouncesConfig]]:
    yield PullSourcePlugin(name="bounces", config=BouncesConfig, open=Bounces)
