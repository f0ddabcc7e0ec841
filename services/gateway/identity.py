"""Who calls: what the gateway makes of what a caller says about itself."""

import re
from dataclasses import replace
from uuid import uuid4

from services.link import Call

_PRINTABLE = re.compile(r"[A-Za-z0-9._:-]{1,128}")


def identified(call: Call, request_id: str = "") -> Call:
    """Return the call with an identity that the mesh vouches for.

    Keys are not read yet, so every caller is the anonymous one of the tenant `default`, whatever
    its metadata claims. The request keeps the id that it has, or that its call has, if the
    id is fit for logs and traces; else it gets a new one.
    """
    known = request_id or call.request_id
    return replace(
        call,
        request_id=known if _PRINTABLE.fullmatch(known) else uuid4().hex,
        tenant="default",
        key_id="",
        scopes=frozenset(),
    )
