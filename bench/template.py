"""`python -m bench.template`: from nothing to a message through a channel of one's own, and how long each step takes.

A new environment, Overture and the package that ``overture new channel`` writes installed in it by pip, the package's
tests, a server with a ruleset that sends through it, and a service that gets the message. Exit code 0: it arrived.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from threading import Thread
from urllib.request import Request, urlopen

from rich.console import Console

from overture.model.environ import without_settings

ROOT = Path(__file__).parents[1]
PATIENCE = 120.0  # seconds that the server and the message may take
NAME, TOKEN = "pigeon", "s3cret"


class Bed:
    """A directory and an environment of its own, and the seconds that each step took."""

    def __init__(self, directory: Path, console: Console) -> None:
        self.directory = directory
        self.package = directory / f"overture-{NAME}"
        self.took: dict[str, float] = {}
        self._bin = directory / "environment" / "bin"
        self._console = console
        kept = {name: value for name, value in without_settings().items() if name != "PYTHONPATH"}
        self.environ = {**kept, f"{NAME.upper()}_TOKEN": TOKEN, "OVERTURE_PORT": "0", "OVERTURE_LOG_LEVEL": "warning"}

    def tool(self, name: str) -> str:
        return str(self._bin / name)

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.took[what] = time.perf_counter() - began
        self._console.print(f"{what:64} {self.took[what]:7.1f} s", markup=False)

    def run(self, what: str, *command: str, cwd: Path | None = None) -> str:
        with self.step(what):
            done = subprocess.run(
                command, cwd=cwd or self.package, env=self.environ, capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise SystemExit(f"{what}: {' '.join(command)}\n{done.stdout}{done.stderr}")
        return done.stdout


@contextmanager
def service() -> Iterator[tuple[str, Queue[bytes]]]:
    """What the channel posts to, and what came."""
    came: Queue[bytes] = Queue()

    class Taking(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200 if self.headers["Authorization"] == f"Bearer {TOKEN}" else 401)
            self.send_header("Content-Length", "0")
            self.end_headers()
            came.put(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Taking) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/", came
        server.shutdown()


def serving(bed: Bed, output: Path) -> tuple[subprocess.Popen[bytes], str]:
    """The server, and its URL once it is ready."""
    with output.open("wb") as file:
        process = subprocess.Popen(
            [bed.tool("overture"), "serve"], cwd=bed.package, env=bed.environ, stdout=file, stderr=subprocess.STDOUT
        )
    deadline = time.monotonic() + PATIENCE
    while not (found := re.search(r"listens on (http://\S+)", output.read_text())):
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(output.read_text())
        time.sleep(0.05)
    return process, found[1]


def post(url: str, key: str, facts: object) -> None:
    request = Request(f"{url}/v1/facts?wait=true", json.dumps(facts).encode(), {"Authorization": f"Bearer {key}"})
    with urlopen(request, timeout=PATIENCE) as answer:
        told = json.load(answer)
    if told["rejected"]:
        raise SystemExit(str(told))


def run(bed: Bed, source: str) -> str:
    """All steps; answers what arrived."""
    bed.run("a new environment", sys.executable, "-m", "venv", "environment", cwd=bed.directory)
    bed.run("pip install overture", bed.tool("pip"), "install", "-q", source, cwd=bed.directory)
    bed.run("overture new channel", bed.tool("overture"), "new", "channel", NAME, cwd=bed.directory)
    bed.run(f"pip install -e overture-{NAME}[test]", bed.tool("pip"), "install", "-q", "-e", ".[test]")
    bed.run("its tests: the contract, and a ruleset that sends through it", bed.tool("pytest"), "-q")
    shown = bed.run("overture plugins --local", bed.tool("overture"), "plugins", "--local", "--json")
    (own,) = [plugin for plugin in json.loads(shown)["plugins"] if plugin["distribution"] == f"overture-{NAME}"]
    if own["state"] != "active":
        raise SystemExit(str(own))
    with service() as (url, came):
        (bed.package / "overture.toml").write_text(
            f'rulesets = ""\n[channels.{NAME}]\nurl = "{url}"\ntoken = "env:{NAME.upper()}_TOKEN"\n'
        )
        with bed.step("overture serve, until it listens"):
            process, at = serving(bed, bed.directory / "output.txt")
        try:
            deploy = ("deploy", f"rulesets/{NAME}.yaml", "--url", at)
            bed.run("overture deploy", bed.tool("overture"), *deploy)
            with bed.step("two facts, and the message has arrived"):
                key = json.loads((bed.package / "data" / "keys.json").read_text())["write"]
                post(at, key, [
                    {"type": "identify", "contact": "ada", "properties": {NAME: "loft-7"}},
                    {"type": "order_completed", "contact": "ada", "properties": {"order_id": "A-7"}},
                ])  # fmt: skip
                arrived = came.get(timeout=PATIENCE).decode()
        finally:
            process.terminate()
            process.wait(PATIENCE)
    return arrived


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", default=str(ROOT), help="what pip installs Overture from: a directory or a wheel")
    source = parser.parse_args().source
    console = Console(highlight=False)
    with tempfile.TemporaryDirectory(prefix="ov-template-") as folder:
        bed = Bed(Path(folder), console)
        arrived = run(bed, os.path.abspath(source))
    console.print(f"{'together':64} {sum(bed.took.values()):7.1f} s", markup=False)
    console.print(f"arrived: {arrived}", markup=False)
    return 0 if json.loads(arrived) == {"to": "loft-7", "text": "Your order A-7 is on its way."} else 1


if __name__ == "__main__":
    sys.exit(main())
