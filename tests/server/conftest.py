"""One real server and one real mail server for each module of these tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from serverkit import SHIPPED, Mailbox, Server, mail_server


@pytest.fixture(scope="module")
def mailbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mailbox]:
    with mail_server(tmp_path_factory.mktemp("mail")) as box:
        yield box


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, mailbox: Mailbox) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("server"), SMTP_URL=mailbox.url, RULESETS=SHIPPED) as running:
        yield running
