"""What a mail that came back is read as: how much of it counts as proof."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from overture_channels.returns import ReturnAddress
from overture_sources import returned
from overture_sources.reports import Report
from overture_sources.returned import MOST, Unread, parsed

KEY, OLD, ID = SecretStr("k" * 16), SecretStr("o" * 16), "f1:shop/welcome:1:0a1b2c3d"
RETURNS = ReturnAddress("b+{token}@back.example.org", KEY, OLD)


def quoting(*ids: str, senders: tuple[str, ...] = ()) -> bytes:
    head = ["From: x@example.net", *(f"Return-Path: <{each}>" for each in senders), "Subject: Away"]
    return "\r\n".join([*head, "", *(f"X-Overture-Message: {each}" for each in ids), ""]).encode()


def read(mail: bytes, recipient: str, returns: ReturnAddress) -> Report:
    return returned.read(parsed(mail), recipient, returns)


def others(number: int) -> list[str]:
    return [f"f1:shop/other:1:{n:08x}" for n in range(number)]


@pytest.mark.parametrize("key", [KEY, OLD])
def test_an_address_of_ours_proves_its_message(key: SecretStr) -> None:
    own = ReturnAddress("b+{token}@back.example.org", key).of(ID)
    assert read(quoting(ID), own, RETURNS).message == ID
    assert read(quoting(*others(MOST - 1), ID), own.upper(), RETURNS).message == ID
    strangers = tuple(RETURNS.of(each) for each in others(MOST - 2))
    assert read(quoting(ID, senders=(*strangers, own)), "fbl@back.example.org", RETURNS).message == ID


def test_the_same_said_often_is_said_once() -> None:
    assert read(quoting(*others(1) * 100, ID), RETURNS.of(ID), RETURNS).message == ID


def test_what_quotes_more_than_mails_do_is_not_searched_to_its_end() -> None:
    """Anyone may send it: each id times each address would be work without end."""
    with pytest.raises(Unread):
        read(quoting(*others(MOST), ID), RETURNS.of(ID), RETURNS)
    strangers = tuple(RETURNS.of(each) for each in others(MOST))
    with pytest.raises(Unread):
        read(quoting(ID, senders=(*strangers, RETURNS.of(ID))), "fbl@back.example.org", RETURNS)


def test_parts_in_parts_without_end_are_not_read() -> None:
    """The parser looks at each line once for each level that it is in."""
    nested = "".join(f'Content-Type: multipart/mixed; boundary="b{n}"\r\n\r\n--b{n}\r\n' for n in range(200))
    with pytest.raises(Unread, match="parts in parts"):
        parsed(f"{nested}\r\nX-Overture-Message: {ID}\r\n".encode())
