"""What the arguments of a tool's call must be, whatever engine wrote them: a JSON object."""

import json

from services import errors


def require_object(tool: str, arguments: str) -> None:
    """Check the arguments of a call that has ended; none at all are an empty object.

    Raises:
        MeshError: MALFORMED_TOOL_CALL.
    """
    try:
        value = json.loads(arguments or "{}")
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise errors.malformed_tool_call(tool)
