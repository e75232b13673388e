"""One server, and one year posted to it, for all tests that look at it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from yearkit import Server, serving

from overture.cli.replay import Outcome


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("replay")) as running:
        yield running


@pytest.fixture(scope="package")
def replayed(server: Server) -> Outcome:
    return server.replay()
