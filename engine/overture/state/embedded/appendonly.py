"""The append-only file on disk: several files, and a manifest that says which of them count."""

from __future__ import annotations

from pathlib import Path

from overture.model.errors import StartupRefused

DIRECTORY = "appendonlydir"
MANIFEST = "appendonly.aof.manifest"
# A store that is killed in its first moments leaves a base of no keys, some 90 bytes, and no manifest yet. Any store
# that ever served has at least the hashes of its API keys in it.
_EMPTY_BASE = 256


def require_manifest(data_dir: Path) -> None:
    """See that a store started here finds what an earlier one wrote.

    Without its manifest it would begin empty, and overwrite the files. Raises `StartupRefused` ``data.no_manifest``.
    """
    directory = data_dir / DIRECTORY
    if (directory / MANIFEST).exists():
        return
    # Also further down, where a restored copy may have landed.
    found = [path for path in sorted(directory.rglob("appendonly.aof.*")) if _holds_data(path)]
    if not found:
        return
    names = ", ".join(str(path.relative_to(directory)) for path in found)
    raise StartupRefused(
        "data.no_manifest",
        f"{directory} has data ({names}) but no {MANIFEST}: the store would begin empty and overwrite it.",
        "Put the directory back from a backup as a whole, or write the manifest anew (docs/operating.md, The data"
        " directory); to begin empty, move it away.",
    )


def _holds_data(path: Path) -> bool:
    size = path.stat().st_size
    return size > 0 if path.name.endswith(".incr.aof") else ".base." in path.name and size > _EMPTY_BASE
