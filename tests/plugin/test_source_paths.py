"""The paths that a source may have: what the server's router would refuse must be told when the plugin is loaded."""

from __future__ import annotations

import pytest
from pydantic import BaseModel

from overture.model.errors import PluginFailed
from overture.plugin import Answer, Endpoint, Incoming, Posted, PushSourcePlugin
from overture.plugin.listening import check_endpoints


class Nothing(BaseModel):
    pass


class Bell:
    def __init__(self, config: Nothing) -> None: ...

    async def parse(self, request: Incoming) -> Posted | Answer:
        return Answer()

    async def close(self) -> None: ...


def told(*endpoints: tuple[str, str]) -> str:
    made = [Endpoint(method=method, path=path) for method, path in endpoints]  # type: ignore[arg-type]
    try:
        check_endpoints(PushSourcePlugin(name="bell", config=Nothing, open=Bell, endpoints=made))
    except PluginFailed as error:
        return error.code
    return ""


@pytest.mark.parametrize(
    "wrong",
    [
        [("POST", "")],
        [("POST", "ring")],
        [("POST", "//ring")],
        [("POST", "/a//b")],
        [("POST", "/x/{a}/{a}")],
        [("POST", "/x/{A}")],
        [("POST", "/x y")],
        [("PUT", "~")],
        [("get", "~")],
        [("POST", "~"), ("POST", "~")],
    ],
    ids=str,
)
def test_what_is_no_path_is_told_when_the_plugin_is_loaded(wrong: list[tuple[str, str]]):
    assert told(*wrong) == "plugin.wrong_path"


def test_these_are_paths():
    right = ["~", "~/", "~/rung/{floor}/by/{who}", "/ring", "/", "/v1/x.y-z/"]
    assert not told(*((method, path) for path in right for method in ("GET", "POST")))
