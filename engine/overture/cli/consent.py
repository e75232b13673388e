"""`overture consent verify`: is the consent ledger whole?"""

from __future__ import annotations

import json

from overture.cli.terminal import Json, Url, connect, console


def verify(*, url: Url = None, as_json: Json = False) -> int:
    """Walk the consent ledger of a server. Exit code 0: every link follows from the one before; 1: one does not."""
    with connect(url) as client:
        check = client.verify_consent()
    if as_json:
        print(json.dumps(check))
    elif check["ok"]:
        erased = f", the details of {check['erased']:,} erased" if check["erased"] else ""
        chains = len(check["chains"])
        console.print(f"The consent ledger is whole: {check['links']:,} links in {chains} chains{erased}.")
    else:
        for broken in check["broken"]:
            console.print(f"Partition {broken['partition']}, link {broken['link']}: {broken['why']}.", markup=False)
    return 0 if check["ok"] else 1
