"""The image that is answered where an event comes as the address of one."""

from __future__ import annotations

import base64

from overture.plugin import Answer

_GIF = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")  # 1 × 1, transparent
PIXEL = Answer(body=_GIF, content_type="image/gif", headers={"Cache-Control": "no-store"})
