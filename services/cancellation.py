"""Tells a caller who leaves from a channel that is closed under a call."""

import asyncio


def is_cancelled() -> bool:
    """Tell whether the running task has been cancelled.

    `grpc.aio` raises CancelledError also in a call whose channel somebody closes.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
