import asyncio

import pytest

from services.gateway.deadline import Deadline
from tests.fakes import Scripted, call
from tests.fakes import request as a_request


async def test_a_caller_who_leaves_as_the_deadline_passes_has_left() -> None:
    deadline = Deadline(60)
    waiting = Scripted([asyncio.Event()])
    events = waiting.generate(a_request(), call())
    reader = asyncio.create_task(deadline.next_of(events))
    await asyncio.sleep(0)
    assert waiting.running == 1
    reader.cancel()
    deadline._pass()
    with pytest.raises(asyncio.CancelledError):
        await reader
    deadline.close()
    assert waiting.running == 0
