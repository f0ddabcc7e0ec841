"""Which texts of a request a model reads."""

from catenary.v1 import generation_pb2 as pb


def test_every_text_of_a_request_is_checked_or_known_not_to_reach_the_model() -> None:
    unread = {
        "request_id",
        "model",
        "end_user",
        "messages.tool_call_id",
        "messages.tool_calls.id",
        "messages.content.media.media_type",
        "messages.content.media.detail",
        "sampling.stop",
        "tool_choice.name",
        "controls.safety_profile",
        "controls.routing.prefer_backends",
        "controls.routing.session",
        "controls.routing.policy",
    }
    read = {
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
