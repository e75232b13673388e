"""The command line as a client of the HTTP API."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from http.client import HTTPException
from typing import IO, Any, Self
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import Request, urlopen

from overture.model import Refused
from overture.settings import Settings

TIMEOUT = 30.0  # seconds

Where = Callable[[int], str]


class Client:
    """Calls the API with the keys of the settings, else with those that the server left in its data directory."""

    def __init__(self, url: str, settings: Settings) -> None:
        """Raises Refused ``client.no_api`` where the URL cannot be one of a server."""
        if not _is_address(url):
            raise no_api(url, "write http://host:port")
        self.url = url.rstrip("/")
        self._settings = settings
        self._kept: dict[str, str] = {}
        with contextlib.suppress(OSError, ValueError):
            self._kept = json.loads((settings.data_dir / "keys.json").read_text("utf-8"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def key(self, name: str) -> str:
        """The ``admin`` or ``write`` key. Raises Refused ``client.no_key`` where there is none that can be sent."""
        given = self._settings.admin_key if name == "admin" else self._settings.write_key
        key = self._kept.get(name) if given is None else given.get_secret_value()
        hint = f"Set OVERTURE_{name.upper()}_KEY, or run this where the server's data directory is."
        if key is None:
            raise Refused("client.no_key", f"There is no {name} key to call the server with.", hint)
        if not (key.isascii() and key.isprintable()):  # told here, as what refuses the header would quote it
            raise Refused("client.no_key", f"The {name} key has a line break or another character that none has.", hint)
        return key

    def put_ruleset(self, name: str, text: str, where: Where = str) -> dict[str, Any]:
        """``where`` says how a line of the document is told, if it is refused."""
        return self._call("PUT", f"/v1/rulesets/{quote(name)}", text.encode(), "application/yaml", where)

    def activate(self, name: str, revision: str, where: Where = str) -> dict[str, Any]:
        path = f"/v1/rulesets/{quote(name)}/revisions/{quote(revision)}/activate"
        return self._call("POST", path, where=where)

    def ready(self) -> dict[str, Any]:
        return self._call("GET", "/readyz")

    def active_document(self, name: str) -> str:
        """The document of the active revision. Raises Refused ``ruleset.unknown`` where there is none."""
        path = f"/v1/rulesets/{quote(name)}"
        revision = self._call("GET", path)["active"]
        if revision is None:
            raise Refused("ruleset.unknown", f"No revision of {name} is active.", "Compare with a file instead.")
        return self._call("GET", f"{path}/revisions/{revision}", read=lambda answer: answer.read().decode())

    def clock(self) -> dict[str, Any]:
        return self._call("GET", "/v1/clock")

    def advance_clock(self, by: str, *, jump: bool) -> dict[str, Any]:
        return self._call("POST", "/v1/clock", json.dumps({"advance": by, "jump": jump}).encode())

    def rollback(self, name: str) -> dict[str, Any]:
        return self._call("POST", f"/v1/rulesets/{quote(name)}/rollback")

    def backtest(self, name: str, text: str, where: Where = str, **query: str) -> dict[str, Any]:
        asked = urlencode({name: value for name, value in query.items() if value})
        path = f"/v1/rulesets/{quote(name)}/backtest?{asked}"
        return self._call("POST", path, text.encode(), "application/yaml", where)

    def look_at_backtest(self, id: str) -> dict[str, Any]:
        return self._call("GET", f"/v1/backtests/{quote(id)}")

    def contacts_of_backtest(self, id: str, cursor: str) -> dict[str, Any]:
        return self._call(
            "GET", f"/v1/backtests/{quote(id)}/contacts?limit=500" + (f"&cursor={cursor}" if cursor else "")
        )

    def remove_backtest(self, id: str) -> dict[str, Any]:
        return self._call("DELETE", f"/v1/backtests/{quote(id)}")

    def attribution(self, query: dict[str, str]) -> dict[str, Any]:
        """The answer, or how far it is: then it has no ``rows`` yet."""
        return self._call("GET", f"/v1/attribution?{urlencode({name: x for name, x in query.items() if x})}")

    def preview(self, asked: dict[str, Any]) -> dict[str, Any]:
        """What a template says."""
        return self._call("POST", "/v1/templates/preview", json.dumps(asked).encode())

    def put_artefact(self, model: str, artefact: bytes) -> dict[str, Any]:
        """Let it decide for a model, by its full name, ``ruleset/model``."""
        return self._call("PUT", f"/v1/models/{quote(model)}", artefact)

    def keys(self) -> list[dict[str, Any]]:
        return self._call("GET", "/v1/keys")

    def make_key(self, new: dict[str, Any]) -> dict[str, Any]:
        return self._call("POST", "/v1/keys", json.dumps(new).encode())

    def revoke_key(self, name: str) -> None:
        self._call("DELETE", f"/v1/keys/{quote(name, safe='')}", read=lambda answer: answer.read())

    def plugins(self) -> list[dict[str, Any]]:
        return self._call("GET", "/v1/plugins")

    def verify_consent(self) -> dict[str, Any]:
        return self._call("GET", "/v1/consent/verify")

    def erase_contact(self, contact: str) -> dict[str, Any]:
        return self._call("DELETE", f"/v1/contacts/{quote(contact, safe='')}")

    def export_contact(self, contact: str) -> dict[str, Any]:
        return self._call("GET", f"/v1/contacts/{quote(contact, safe='')}/export")

    def erasure(self, id: str) -> dict[str, Any]:
        return self._call("GET", f"/v1/erasures/{quote(id)}")

    def erasures(self) -> dict[str, Any]:
        return self._call("GET", "/v1/erasures?limit=500")

    def explain(self, contact: str, **query: str) -> dict[str, Any]:
        asked = urlencode({name: value for name, value in query.items() if value})
        return self._call("GET", f"/v1/contacts/{quote(contact, safe='')}/explain?{asked}")

    def _call(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        type: str = "application/json",
        where: Where = str,
        read: Callable[[IO[bytes]], Any] = json.load,
    ) -> Any:
        headers = {"Authorization": f"Bearer {self.key('admin')}", "Content-Type": type}
        try:
            request = Request(self.url + path, data=body, method=method, headers=headers)
            with urlopen(request, timeout=TIMEOUT) as answer:
                return read(answer)
        except HTTPError as error:
            raise _refusal(error, where) from error
        except (ValueError, HTTPException) as error:  # no URL, no header value, no JSON
            raise no_api(self.url, str(error)) from error
        except (URLError, OSError) as error:
            reason = getattr(error, "reason", error)
            raise Refused(
                "client.unreachable",
                f"The server at {self.url} does not answer: {reason}.",
                "Start it: overture serve. One elsewhere: --url, or the same OVERTURE_PORT here and there.",
            ) from error


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and " " not in url
    except ValueError:
        return False


def no_api(url: str, why: str) -> Refused:
    """What is said where something else answers, or nothing can."""
    return Refused(
        "client.no_api", f"{url} is not the address of an Overture server: {why}.", "Check --url and the key."
    )


def _refusal(error: HTTPError, where: Where) -> Refused:
    try:
        problem: dict[str, Any] = json.load(error)
    except ValueError:
        problem = dict[str, Any]()
    code = str(problem.get("code", "client.refused"))
    detail = str(problem.get("detail") or problem.get("title") or error.reason)
    more = [f"{_place(d, where)}: {d.get('code')}: {d.get('message')}" for d in problem.get("errors", [])]
    return Refused(code, "\n".join([detail, *more]), str(problem.get("hint", "")), status=error.code)


def _place(finding: dict[str, Any], where: Where) -> str:
    """Findings between several rulesets have no line, and a pointer that begins with the ruleset's name."""
    line = finding.get("line")
    return f"{where(line)}:{finding.get('column')}" if line else str(finding.get("pointer", ""))
