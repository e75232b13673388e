"""E-mail by Amazon SES: the API SendEmail of its version 2, signed with keys that stand in the settings."""

from __future__ import annotations

import re
from collections.abc import Iterable
from email.header import Header
from email.headerregistry import Address
from typing import Any, Self

import msgspec
from pydantic import Field, model_validator
from yarl import URL

from overture.model import clock
from overture.plugin import ChannelPlugin, Outgoing, Secret, hookimpl
from overture_channels.http import Reply
from overture_channels.mail import own_headers, plain, recipient
from overture_channels.markup import readable
from overture_channels.service import MailConfig, Refusal, Request, ServiceChannel, mail_address
from overture_channels.sigv4 import Signer

_ACCOUNT = frozenset({
    "AccountSuspendedException", "SendingPausedException", "MailFromDomainNotVerifiedException", "NotFoundException",
    "AccessDeniedException", "UnrecognizedClientException", "InvalidClientTokenId", "SignatureDoesNotMatch",
    "InvalidSignatureException", "IncompleteSignature", "ExpiredTokenException", "ExpiredToken", "AccessDenied",
    "MissingAuthenticationTokenException", "RequestExpired",
})  # fmt: skip
_LATER = frozenset({"LimitExceededException", "TooManyRequestsException", "ThrottlingException"})
_NO_ADDRESS = re.compile(r"illegal address|missing final '@domain'|local address|domain (contains|starts|ends)", re.I)


class SesConfig(MailConfig):
    """The keys are those of an IAM user who may ``ses:SendEmail``, with ``session_token`` where they are temporary.
    ``base_url`` follows from the ``region`` unless set. ``configuration_set``: what publishes events of mails.
    """

    base_url: str = ""
    region: str = Field(pattern=r"^[a-z0-9-]{1,40}$")
    access_key_id: Secret
    secret_access_key: Secret
    session_token: Secret | None = None
    configuration_set: str = Field(default="", pattern=r"^[A-Za-z0-9_-]{0,64}$")

    @model_validator(mode="before")
    @classmethod
    def _endpoint(cls, given: Any) -> Any:
        if isinstance(given, dict) and not given.get("base_url"):
            return {**given, "base_url": f"https://email.{given.get('region', '')}.amazonaws.com"}
        return given

    @model_validator(mode="after")
    def _tracking(self) -> Self:
        if self.track_opens or self.track_clicks:
            raise ValueError("SES tracks opens and clicks where the configuration set says so, not by these settings")
        return self


class SesChannel(ServiceChannel):
    name = "ses"

    def __init__(self, config: SesConfig) -> None:
        token = [config.session_token] if config.session_token else []
        super().__init__(config, config.secret_access_key, *token)
        self._config = config
        key_id = config.access_key_id.get_secret_value()
        self._signer = Signer(key_id, config.secret_access_key, config.region, "ses", config.session_token)

    def request(self, message: Outgoing) -> Request:
        config = self._config
        text, html = readable(message.text, message.html)
        body = {kind: _content(value) for kind, value in (("Text", text), ("Html", html)) if value}
        mail: dict[str, Any] = {
            "FromEmailAddress": _ascii(config.origin),
            "Destination": {"ToAddresses": [recipient(message.to).addr_spec]},
            "Content": {
                "Simple": {
                    "Subject": _content(plain(message.subject)),
                    "Body": body,
                    "Headers": [{"Name": name, "Value": value} for name, value in own_headers(message).items()],
                }
            },
        }
        if config.answers is not None:
            mail["ReplyToAddresses"] = [_ascii(config.answers)]
        if config.configuration_set:
            mail["ConfigurationSetName"] = config.configuration_set
        headers = {"Content-Type": "application/json"}
        return Request("POST", "/v2/email/outbound-emails", msgspec.json.encode(mail), headers)

    def probe(self) -> Request:
        return Request("GET", "/v2/email/account")

    def healthy(self, reply: Reply) -> str:
        """Whoever may only send is not told about the account; then the keys are right at least."""
        if reply.status == 403 and _error(reply) in ("AccessDeniedException", "AccessDenied"):
            return ""
        told = reply.told
        if reply.status == 200 and isinstance(told, dict) and told.get("SendingEnabled") is False:
            return "sending is paused for this account"
        return super().healthy(reply)

    def authorized(self, request: Request, url: URL) -> dict[str, str]:
        return self._signer.signed(request.method, url, request.body or b"", request.headers, clock.wall())

    def provider_id(self, reply: Reply) -> str:
        return reply.said("MessageId")

    def refusal(self, reply: Reply) -> Refusal:
        code = _error(reply)
        text = reply.said("message") or reply.said("Message") or code or "no reason"
        if code in _ACCOUNT or reply.status == 403:
            return Refusal(code or str(reply.status), text, "account")
        if code in _LATER:
            return Refusal(code, text, "later")
        if self._unverified(text):
            return Refusal(code, text, "account")
        dead = _NO_ADDRESS.search(text) is not None
        return Refusal(code or str(reply.status), text, "address" if dead else "message")

    def _unverified(self, text: str) -> bool:
        """Whether identities are not verified and ours is among them: it is the same for all mails. Where only the
        receiver is, the account is in the sandbox, and mails to others go out.
        """
        said, ours = text.lower(), self._config.origin.addr_spec.lower()
        sender, domain = re.escape(ours), re.escape(ours.rpartition("@")[2])
        named = re.search(rf"(?<![\w.+@-])({sender}|{domain})(?![\w-]|\.\w)", said)
        return "not verified" in said and named is not None


def _error(reply: Reply) -> str:
    """Its name: ``MessageRejected``."""
    text = reply.headers.get("x-amzn-ErrorType", "") or reply.said("__type")
    return re.sub(r"[^A-Za-z]", "", text.partition(":")[0].rpartition("#")[2])[:60]


def _content(text: str) -> dict[str, str]:
    return {"Data": text, "Charset": "UTF-8"}


def _ascii(who: Address) -> str:
    """With the name as an encoded word where it needs that: SES takes ASCII alone."""
    if who.display_name.isascii():
        return str(who)
    return f"{Header(who.display_name, 'utf-8', maxlinelen=10_000).encode()} <{who.addr_spec}>"


@hookimpl
def overture_channels() -> Iterable[ChannelPlugin[SesConfig]]:
    yield ChannelPlugin(name="ses", config=SesConfig, open=SesChannel, address_of=mail_address, serves="email")
