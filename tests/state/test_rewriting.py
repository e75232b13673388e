"""The store's file written anew, by one who may not do everything."""

from __future__ import annotations

from pathlib import Path

from overture.state.rewriting import write_anew
from overture.state.wire import Wire


async def test_who_may_not_clear_the_slow_log_has_it_written_anew_all_the_same(store_url: str, tmp_path: Path) -> None:
    admin = await Wire.connect(store_url)
    try:
        await admin.call("ACL", "SETUSER", "limited", "on", ">s3same", "~*", "&*", "+@all", "-slowlog")
        mine = await Wire.connect(store_url.replace("unix://", "unix://limited:s3same@"))
        try:
            assert await write_anew(mine, tmp_path) == "rewritten"
        finally:
            await mine.close()
    finally:
        await admin.call("ACL", "DELUSER", "limited")
        await admin.close()
