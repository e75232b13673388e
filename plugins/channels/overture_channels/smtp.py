"""E-mail over SMTP: a few connections kept open, the envelope's answers turned into sent, rejected or later."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Self
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

import aiosmtplib
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from overture.model.contact import Contact
from overture.plugin import (
    AmbiguousHandOff,
    ChannelPlugin,
    Limits,
    Outgoing,
    Rejected,
    RetryLater,
    Secret,
    Sent,
    hookimpl,
    own_address,
)
from overture_channels.mail import AddressInvalid, Mail, compose, mailbox, plain
from overture_channels.returns import ReturnAddress
from overture_channels.signature import DkimConfig, Signer, signed

THREADS = 2  # of a channel, that write and sign mails
IDLE_SECONDS = 30.0  # servers hang up on idle clients; a connection older than this is not used again
STARTTLS = {"auto": None, "required": True, "never": False}
_ENHANCED = re.compile(r"\s*([245]\.\d{1,3}\.\d{1,3})\b")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where and how to connect. ``starttls``: True required, False never, None when the server offers it."""

    host: str
    port: int
    tls: bool
    starttls: bool | None
    login: tuple[str, SecretStr] | None


def endpoint(url: str) -> Endpoint:
    """Read ``smtp[s]://[user:password@]host[:port][?starttls=required|auto|never]``. ValueError, without the value."""
    try:
        parts: SplitResult = urlsplit(url)
        _ = parts.port
    except ValueError:  # a password with / ? or # in it has part of itself where the port should be
        raise ValueError(
            "the address of the mail server cannot be read: in a user name or password, / ? # : and @ are written "
            "%2F %3F %23 %3A %40"
        ) from None
    query = parse_qs(parts.query, keep_blank_values=True)
    # With a password, a server that is made to look as if it had no TLS must not get it.
    starttls = query.pop("starttls", ["required" if parts.username else "auto"])[-1]
    tls = parts.scheme == "smtps"
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname or parts.path.strip("/") or parts.fragment:
        raise ValueError("the address of the mail server must look like smtp://host:port or smtps://host:port")
    if parts.port == 0 or (parts.password and not parts.username):
        raise ValueError("the address of the mail server has port 0, or a password without a user")
    if query or starttls not in STARTTLS:
        raise ValueError("the only option of the mail server's address is starttls=required|auto|never")
    login = None
    if parts.username:
        login = (unquote(parts.username), SecretStr(unquote(parts.password or "")))
    port = parts.port or (465 if tls else 587 if login else 25)
    return Endpoint(parts.hostname, port, tls, False if tls else STARTTLS[starttls], login)


class SmtpConfig(BaseModel):
    """``url``: see `endpoint`; may be ``env:NAME`` or ``file:PATH``. ``timeout`` is seconds for each answer, and at
    most what the whole hand-off gets. ``dkim``: what signs each mail, one or several. ``bounces``: the address that
    mails come back to, with ``{token}`` in it (`ReturnAddress`), and ``bounce_key`` what makes the tokens.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    url: Secret
    sender: str
    timeout: float = Field(default=20.0, gt=0, le=Limits().timeout, strict=True)
    connections: int = Field(default=4, ge=1, le=64, strict=True)
    dkim: tuple[DkimConfig, ...] = ()
    bounces: str = ""
    bounce_key: Secret | None = None

    @field_validator("dkim", mode="before")
    @classmethod
    def _one_or_several(cls, value: object) -> object:
        return (value,) if isinstance(value, Mapping) else value

    @field_validator("url")
    @classmethod
    def _url(cls, value: SecretStr) -> SecretStr:
        endpoint(value.get_secret_value())
        return value

    @field_validator("sender")
    @classmethod
    def _sender(cls, value: str) -> str:
        mailbox(value)
        return value

    @model_validator(mode="after")
    def _returns(self) -> Self:
        if bool(self.bounces) != (self.bounce_key is not None):
            raise ValueError("bounces and bounce_key need each other")
        self.returns()
        return self

    def returns(self) -> ReturnAddress | None:
        """Where mails come back to; None: to the sender."""
        if self.bounce_key is None:
            return None
        try:
            return ReturnAddress(self.bounces, self.bounce_key)
        except ValueError as error:
            raise ValueError(f"bounces: {error}") from None


class SmtpChannel:
    """Sends each mail in a transaction of its own, over at most ``connections`` connections."""

    def __init__(self, config: SmtpConfig) -> None:
        self._endpoint = endpoint(config.url.get_secret_value())
        self._sender = config.sender
        self._signers = [Signer(each) for each in config.dkim]
        self._returns = config.returns()
        self._threads = ThreadPoolExecutor(THREADS, "overture-mail")
        self._timeout = config.timeout
        self._slots = asyncio.Semaphore(config.connections)
        self._idle: list[tuple[float, aiosmtplib.SMTP]] = []
        self._closed = False

    def __repr__(self) -> str:
        return f"<SmtpChannel {self._endpoint.host}:{self._endpoint.port}>"

    async def send(self, message: Outgoing) -> Sent | Rejected:
        try:
            mail = await asyncio.get_running_loop().run_in_executor(self._threads, self._written, message)
        except AddressInvalid as error:
            return Rejected("smtp.address_invalid", f"{error}.", permanent=True)
        except ValueError as error:
            return Rejected("smtp.message_invalid", f"The mail cannot be written: {type(error).__name__}.")
        async with self._slots:
            reused = self._take()
            if reused is not None:
                try:
                    return await self._transaction(reused, mail)
                except aiosmtplib.SMTPServerDisconnected:
                    pass  # hung up while idle, before it took anything
            try:
                return await self._transaction(await self._connect(), mail)
            except aiosmtplib.SMTPServerDisconnected as error:
                raise _later("smtp.disconnected", error) from None

    async def check(self) -> None:
        async with self._slots:
            connection = await self._connect()
            try:
                await connection.noop()
            except BaseException:
                connection.close()
                raise
            self._put_back(connection)

    async def close(self) -> None:
        self._closed = True
        self._threads.shutdown(wait=False, cancel_futures=True)
        while self._idle:
            _, connection = self._idle.pop()
            connection.close()

    def _written(self, message: Outgoing) -> Mail:
        """In a thread: a signature alone takes longer than all else that a mail needs of this process."""
        mail = compose(message, self._sender, self._returns.of(message.id) if self._returns else "")
        return replace(mail, content=signed(mail.content, self._signers, message.created_at // 1000))

    async def _transaction(self, connection: aiosmtplib.SMTP, mail: Mail) -> Sent | Rejected:
        """One mail over one connection, which is put back or closed in the end."""
        usable = False
        try:
            if mail.utf8 and not connection.supports_extension("smtputf8"):
                usable = True
                text = "The address has characters beyond ASCII, and the mail server does not support SMTPUTF8."
                return Rejected("smtp.smtputf8_unsupported", text)
            result = await self._hand_over(connection, mail)
            usable = True
            return result
        except RetryLater:
            usable = True
            raise
        except aiosmtplib.SMTPTimeoutError as error:
            raise _later("smtp.timeout", error) from None
        finally:
            if usable:
                self._put_back(connection)
            else:
                connection.close()

    async def _hand_over(self, connection: aiosmtplib.SMTP, mail: Mail) -> Sent | Rejected:
        options = ["SMTPUTF8", "BODY=8BITMIME"] if mail.utf8 else []
        encoding = "utf-8" if mail.utf8 else "ascii"
        try:
            await connection.mail(mail.sender, options=options, encoding=encoding)
            await connection.rcpt(mail.to, encoding=encoding)
        except aiosmtplib.SMTPResponseException as error:
            await _reset(connection, error)
            return _refusal(error)
        try:
            response = await connection.data(mail.content)
        except aiosmtplib.SMTPResponseException as error:
            await _reset(connection, error)
            if not 400 <= error.code <= 599:
                text = f"The mail server's answer to a mail cannot be read: {plain(error)}"
                raise AmbiguousHandOff(text, "smtp.unconfirmed") from None
            return _refusal(error)
        except (aiosmtplib.SMTPServerDisconnected, aiosmtplib.SMTPTimeoutError) as error:
            text = f"The mail server did not confirm a mail that was on its way: {plain(error)}"
            raise AmbiguousHandOff(text, "smtp.unconfirmed") from None
        return Sent(plain(response.message))

    async def _connect(self) -> aiosmtplib.SMTP:
        if self._closed:
            raise RuntimeError("the channel is closed")
        to = self._endpoint
        user, password = to.login or (None, None)
        connection = aiosmtplib.SMTP(
            hostname=to.host,
            port=to.port,
            username=user,
            password=password.get_secret_value() if password else None,
            timeout=self._timeout,
            use_tls=to.tls,
            start_tls=to.starttls,
        )
        try:
            await connection.connect()
            if connection.is_ehlo_or_helo_needed:
                try:
                    await connection.ehlo()
                except aiosmtplib.SMTPHeloError:
                    await connection.helo()
        except aiosmtplib.SMTPAuthenticationError:
            # Not a RetryLater: wrong credentials must open the circuit breaker. The server's text may quote them.
            raise ConnectionError("the mail server refused the credentials") from None
        except (OSError, aiosmtplib.SMTPResponseException) as error:
            connection.close()
            raise _later("smtp.unreachable", error) from None
        except BaseException:
            connection.close()
            raise
        return connection

    def _take(self) -> aiosmtplib.SMTP | None:
        while self._idle:
            since, connection = self._idle.pop()
            if connection.is_connected and time.monotonic() - since < IDLE_SECONDS:
                return connection
            connection.close()
        return None

    def _put_back(self, connection: aiosmtplib.SMTP) -> None:
        if self._closed or not connection.is_connected:
            connection.close()
        else:
            self._idle.append((time.monotonic(), connection))


async def _reset(connection: aiosmtplib.SMTP, refusal: aiosmtplib.SMTPResponseException) -> None:
    """Leave the refused transaction, so that the connection serves the next mail; close it where that is in doubt."""
    try:
        if 400 <= refusal.code <= 599:
            await connection.rset()
        else:
            connection.close()
    except aiosmtplib.SMTPException:
        connection.close()


def _later(code: str, error: Exception) -> RetryLater:
    return RetryLater(code=code, message=f"The mail server cannot be used now: {plain(error)}")


def _refusal(error: aiosmtplib.SMTPResponseException) -> Rejected:
    """5xx: rejected. Anything else raises RetryLater.

    The enhanced code (RFC 3463) tells whether the address is to blame: x.1.y is about addresses, x.7.y about policy,
    though both may come as 550. Without one, 550, 551 and 553 to RCPT mean the address.
    """
    text = plain(error.message)
    if not 500 <= error.code <= 599:
        raise RetryLater(code=f"smtp.{error.code}", message=f"The mail server said: {error.code} {text}")
    enhanced = _ENHANCED.match(text)
    if enhanced is not None:
        permanent = enhanced[1].startswith("5.1.") and not isinstance(error, aiosmtplib.SMTPSenderRefused)
    else:
        permanent = isinstance(error, aiosmtplib.SMTPRecipientRefused) and error.code in (550, 551, 553)
    return Rejected(f"smtp.{error.code}", f"The mail server said: {error.code} {text}", permanent)


def _address(contact: Contact) -> str | None:
    return own_address(contact, "email")


@hookimpl
def overture_channels() -> Iterable[ChannelPlugin[SmtpConfig]]:
    yield ChannelPlugin(name="email", config=SmtpConfig, open=SmtpChannel, address_of=_address)
