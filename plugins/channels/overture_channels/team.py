"""Alerts to a team, by whichever of the services that Apprise knows."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

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
)

if TYPE_CHECKING:
    from apprise import Apprise

AT_ONCE = 4
_STATUS = re.compile(r"error=(\d{3})")


class AppriseConfig(BaseModel):
    """``urls``: what rules write in ``to`` → an URL of Apprise, which is a secret. ``timeout`` in seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    urls: dict[str, Secret] = Field(min_length=1)
    timeout: float = Field(default=30.0, gt=0, le=Limits().timeout, strict=True)


class AppriseChannel:
    """Notifies what the settings have under a message's address, in threads: the library waits for answers."""

    def __init__(self, config: AppriseConfig) -> None:
        try:
            import apprise
        except ImportError:
            raise RuntimeError("The channel apprise needs apprise: pip install 'overture[apprise]'") from None
        asset = apprise.AppriseAsset(app_id="Overture", app_desc="Overture", async_mode=False, secure_logging=True)
        self._services = {name: apprise.Apprise(asset=asset) for name in config.urls}
        apprise.logger.setLevel("CRITICAL")  # what it cannot read it writes to the log, with what is secret in it
        try:
            for name, url in config.urls.items():
                if not self._services[name].add(url.get_secret_value()) or len(self._services[name]) != 1:
                    raise RuntimeError(f"The URL of {name} is not one that Apprise knows")
        finally:  # the channels that are open read what it says; below this it writes addresses to the log
            apprise.logger.setLevel("WARNING")
        self._timeout = config.timeout
        self._threads = ThreadPoolExecutor(AT_ONCE, "apprise")

    def __repr__(self) -> str:
        return f"<AppriseChannel {', '.join(self._services)}>"

    async def send(self, message: Outgoing) -> Sent | Rejected:
        service = self._services.get(message.to)
        if service is None:
            return Rejected("apprise.no_url", f"The settings have no URL for {message.to[:80]}.")
        if not message.text.strip():
            return Rejected("apprise.empty", "The message has no text.")
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._timeout):
                sent, told = await loop.run_in_executor(self._threads, _notify, service, message.subject, message.text)
        except TimeoutError:
            text = f"{message.to} did not answer within {self._timeout:g} s."
            raise AmbiguousHandOff(text, "apprise.unconfirmed") from None
        return Sent() if sent else _judge(message.to, told)

    async def check(self) -> None:
        """The services can only be asked by sending something; a closed channel raises."""
        await asyncio.get_running_loop().run_in_executor(self._threads, bool)

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def _notify(service: Apprise, title: str, body: str) -> tuple[bool, str]:
    """Whether the service took it, and what the library says where not."""
    result = service.notify(body=body, title=title, body_format="text")
    return bool(result), " ".join(entry.message for entry in result.logs())


def _judge(name: str, told: str) -> Rejected:
    """All that the library says is a line for its log, which has the status where there was an answer."""
    found = _STATUS.search(told)
    status = int(found[1]) if found else 0
    if not status:
        raise AmbiguousHandOff(f"{name} did not confirm a message.", "apprise.unconfirmed")
    said = f"{name} answered {status}."
    if status in (408, 429) or status >= 500:
        raise RetryLater(None, f"apprise.{status}", said)
    return Rejected(f"apprise.{status}", said)


@hookimpl
def overture_channels() -> Iterable[ChannelPlugin[AppriseConfig]]:
    """It is for teams, never for contacts: the rule names in ``to`` whom the settings know."""
    yield ChannelPlugin(name="apprise", config=AppriseConfig, open=AppriseChannel, address_of=lambda contact: None)
