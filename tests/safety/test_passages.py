"""Which texts of a request are looked at."""

from catenary.v1 import generation_pb2 as pb


def test_every_text_of_a_request_is_looked_at_or_known_to_be_a_name_of_ours() -> None:
    unread = {
        "request_id",
        "model",
        "messages.content.media.media_type",
        "messages.content.media.detail",
        "tool_choice.name",
        "controls.safety_profile",
        "controls.routing.prefer_backends",
        "controls.routing.policy",
    }
    read = {
        "end_user",
        "sampling.stop",
        "controls.routing.session",
        "messages.tool_call_id",
        "messages.tool_calls.id",
        "messages.name",
        "messages.content.text",
        "messages.content.reasoning",
        "messages.content.refusal",
        "messages.content.media.url",
        "messages.tool_calls.name",
        "messages.tool_calls.arguments",
        "tools.name",
        "tools.description",
        "tools.parameters_schema",
        "response_format.json_schema.name",
        "response_format.json_schema.description",
        "response_format.json_schema.schema",
        "response_format.regex",
        "continuation.reasoning",
        "continuation.text",
    }
    assert set(_texts(pb.GenerateRequest.DESCRIPTOR, "")) == read | unread


def _texts(descriptor: object, path: str) -> list[str]:
    found = []
    for field in descriptor.fields:  # type: ignore[attr-defined]
        name = f"{path}{field.name}"
        if field.type == field.TYPE_STRING:
            found.append(name)
        elif field.message_type is not None and not field.message_type.GetOptions().map_entry:
            found += _texts(field.message_type, f"{name}.")
    return found
