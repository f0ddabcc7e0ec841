"""Bodies of OpenAI's API, as clients write and read them."""

import json
from typing import Any

GOOD: dict[str, Any] = {"model": "pocket", "messages": [{"role": "user", "content": "hi"}]}

CONVERSATION: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief."},
    {"role": "developer", "content": [{"type": "text", "text": "Be kind."}]},
    {
        "role": "user",
        "name": "ann",
        "content": [
            {"type": "text", "text": "What is this?"},
            {"type": "image_url", "image_url": {"url": "https://x.test/a.png", "detail": "low"}},
        ],
    },
    {
        "role": "assistant",
        "content": None,
        "refusal": None,
        "annotations": [],
        "reasoning_content": "Hm.",
        "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
        ],
    },
    {"role": "tool", "tool_call_id": "c1", "content": ""},
    {"role": "assistant", "content": "A cat.", "refusal": "No more."},
]


def body(**fields: Any) -> bytes:
    return json.dumps({**GOOD, **fields}).encode()


def message(**fields: Any) -> bytes:
    return body(messages=[fields])


def read(*bodies: bytes) -> list[Any]:
    """What a client reads, `[DONE]` as it stands."""
    events = b"".join(bodies).decode().split("\n\n")
    assert events.pop() == ""
    assert all(event.startswith("data: ") for event in events)
    return [
        event if event == "data: [DONE]" else json.loads(event.removeprefix("data: "))
        for event in events
    ]
