"""One real server with the example rulesets, for the examples of these pages."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from dockit import Running, serving


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """``overture serve`` as on a first start: it makes its keys itself. The mail server is not there."""
    with serving(tmp_path_factory.mktemp("docs"), "data") as server:
        yield server
