"""Tells that a part hangs: its process is there, and answers nobody."""

import asyncio
import re
import time

from catenary.health import NotReadyError
from infra.local.log import PartLog
from infra.local.part import Part

_POLL_S = 1.0
_END_S = 5.0
"""How long a part that says it crashes may take to end."""


async def hangs(part: Part, log: PartLog, silence_s: float) -> str:
    """Wait until a part hangs, and return how one knows, in words.

    It has not answered for `silence_s`, or has said that it crashes and does not end.
    """
    answered = time.monotonic()
    while True:
        if part.crashes and any(re.match(part.crashes, line) for line in log.last()):
            await asyncio.sleep(_END_S)
            return "crashed, but did not end"
        try:
            if part.alive is not None:
                await part.alive()
        except NotReadyError:
            if time.monotonic() - answered > silence_s:
                return f"had not answered for {silence_s:.0f} s"
        else:
            answered = time.monotonic()
        await asyncio.sleep(_POLL_S)
