"""The inbox: messages that are kept here, and that contacts read in the app."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict, Field

from overture.model.contact import Contact
from overture.plugin import ChannelPlugin, Inbox, Outgoing, Rejected, Sent, hookimpl, own_address

LARGEST = 64 * 1024  # characters of text and HTML


class InboxConfig(BaseModel):
    """``most`` messages of a contact are kept, each for ``days``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    most: int = Field(default=200, ge=1, le=1000, strict=True)
    days: int = Field(default=90, ge=1, le=3650, strict=True)


class InboxChannel:
    """Keeps each message where its contact reads it."""

    def __init__(self, config: InboxConfig, inbox: Inbox) -> None:
        self._config = config
        self._inbox = inbox
        self._closed = False

    async def send(self, message: Outgoing) -> Sent | Rejected:
        await self.check()
        if len(message.text) + len(message.html) > LARGEST:
            return Rejected("inbox.too_large", f"Text and HTML have more than {LARGEST} characters.")
        if not await self._inbox.put(message, most=self._config.most, days=self._config.days):
            return Rejected("inbox.no_contact", "An inbox has messages of its own contact, as long as that is known.")
        return Sent()

    async def check(self) -> None:
        """What is kept is kept in the store, which is asked elsewhere; a closed channel raises."""
        if self._closed:
            raise RuntimeError("the channel is closed")

    async def close(self) -> None:
        self._closed = True


def _address(contact: Contact) -> str | None:
    return own_address(contact, "inbox")


@hookimpl
def overture_channels() -> Iterable[ChannelPlugin[InboxConfig]]:
    yield ChannelPlugin(name="inbox", config=InboxConfig, open=InboxChannel, address_of=_address, keeps=True)
