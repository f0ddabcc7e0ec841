"""A body into the mesh's own request."""

from collections.abc import Sequence
from typing import assert_never

from msgspec import Raw

from catenary.v1 import generation_pb2 as pb
from catenary.v1 import message_pb2
from services import errors
from services.gateway.openai import body
from services.gateway.openai.continuation import continuation

_TOOL_MODES = {
    "none": message_pb2.ToolChoice.MODE_NONE,
    "auto": message_pb2.ToolChoice.MODE_AUTO,
    "required": message_pb2.ToolChoice.MODE_REQUIRED,
}
_CACHE_MODES = {
    "default": pb.CacheControl.MODE_DEFAULT,
    "bypass": pb.CacheControl.MODE_BYPASS,
    "refresh": pb.CacheControl.MODE_REFRESH,
    "only_if_cached": pb.CacheControl.MODE_ONLY_IF_CACHED,
}

Part = body.TextPart | body.ImagePart | body.RefusalPart


def to_request(chat: body.ChatCompletion) -> pb.GenerateRequest:
    """Say in the mesh's contract what the body asks for; the contract's rules are not checked here.

    Raises:
        MeshError: INVALID_REQUEST, for fields that contradict each other or cannot be honoured.
    """
    _refuse_what_would_not_be_done(chat)
    _refuse_contradictions(chat)
    begun = continuation(chat)
    turns = chat.messages if begun is None else chat.messages[:-1]
    return pb.GenerateRequest(
        model=chat.model,
        messages=[_message(message) for message in turns],
        sampling=_sampling(chat),
        tools=[_tool(tool.function) for tool in chat.tools or ()],
        tool_choice=_tool_choice(chat.tool_choice),
        response_format=_response_format(chat),
        controls=_controls(chat),
        continuation=begun,
        parallel_tool_calls=chat.parallel_tool_calls,
        end_user=chat.safety_identifier or chat.user or "",
    )


def _refuse_what_would_not_be_done(chat: body.ChatCompletion) -> None:
    if chat.store:
        raise errors.invalid_field("store", "must not be true: completions are not stored")
    if chat.stream_options is not None and chat.stream_options.include_obfuscation:
        field = "stream_options.include_obfuscation"
        raise errors.invalid_field(field, "must not be true: chunks are not padded")


def _refuse_contradictions(chat: body.ChatCompletion) -> None:
    if chat.max_tokens is not None and chat.max_completion_tokens is not None:
        raise errors.invalid_field("max_tokens", "must not stand beside max_completion_tokens")
    if chat.top_logprobs is not None and not chat.logprobs:
        raise errors.invalid_field("top_logprobs", "is allowed only where logprobs is true")
    if chat.stream_options is not None and not chat.stream:
        raise errors.invalid_field("stream_options", "is allowed only where stream is true")
    if chat.guided_regex is not None and chat.response_format is not None:
        raise errors.invalid_field("guided_regex", "must not stand beside response_format")


def _message(message: body.Message) -> message_pb2.Message:
    match message:
        case body.SystemMessage() | body.DeveloperMessage():
            return _turn(message_pb2.ROLE_SYSTEM, message.content, message.name)
        case body.UserMessage():
            return _turn(message_pb2.ROLE_USER, message.content, message.name)
        case body.AssistantMessage():
            return _answer(message)
        case body.ToolMessage():
            turn = _turn(message_pb2.ROLE_TOOL, message.content, message.name)
            turn.tool_call_id = message.tool_call_id
            return turn
        case _:
            assert_never(message)


def _turn(
    role: message_pb2.Role.ValueType, content: str | Sequence[Part] | None, name: str | None
) -> message_pb2.Message:
    parts: list[message_pb2.ContentPart] = []
    if isinstance(content, str):
        parts += [message_pb2.ContentPart(text=content)] if content else []
    else:
        parts += [_part(part) for part in content or ()]
    return message_pb2.Message(role=role, content=parts, name=name or "")


def _answer(message: body.AssistantMessage) -> message_pb2.Message:
    turn = _turn(message_pb2.ROLE_ASSISTANT, message.content, message.name)
    if message.reasoning_content:
        turn.content.insert(0, message_pb2.ContentPart(reasoning=message.reasoning_content))
    if message.refusal:
        turn.content.append(message_pb2.ContentPart(refusal=message.refusal))
    for call in message.tool_calls or ():
        function = call.function
        turn.tool_calls.add(id=call.id, name=function.name, arguments=function.arguments)
    return turn


def _part(part: Part) -> message_pb2.ContentPart:
    match part:
        case body.TextPart():
            return message_pb2.ContentPart(text=part.text)
        case body.RefusalPart():
            return message_pb2.ContentPart(refusal=part.refusal)
        case body.ImagePart():
            image = part.image_url
            media = message_pb2.Media(url=image.url, detail=image.detail)
            return message_pb2.ContentPart(media=media)
        case _:
            assert_never(part)


def _sampling(chat: body.ChatCompletion) -> message_pb2.Sampling:
    return message_pb2.Sampling(
        max_output_tokens=(
            chat.max_tokens if chat.max_completion_tokens is None else chat.max_completion_tokens
        ),
        temperature=chat.temperature,
        top_p=chat.top_p,
        top_k=None if chat.top_k is None else max(0, chat.top_k),
        min_p=chat.min_p,
        presence_penalty=chat.presence_penalty,
        frequency_penalty=chat.frequency_penalty,
        repetition_penalty=chat.repetition_penalty,
        # OpenAI's seeds have a sign: a negative one stands for its two's complement.
        seed=None if chat.seed is None else chat.seed % 2**64,
        stop=[chat.stop] if isinstance(chat.stop, str) else chat.stop,
        logprobs=(chat.top_logprobs or 0) if chat.logprobs else None,
        n=chat.n,
        logit_bias=chat.logit_bias,
        min_output_tokens=chat.min_tokens,
    )


def _tool(function: body.Function) -> message_pb2.Tool:
    return message_pb2.Tool(
        name=function.name,
        description=function.description or "",
        parameters_schema=_json(function.parameters),
        strict=bool(function.strict),
    )


def _tool_choice(
    choice: str | body.NamedToolChoice | None,
) -> message_pb2.ToolChoice | None:
    if choice is None:
        return None
    if isinstance(choice, str):
        return message_pb2.ToolChoice(mode=_TOOL_MODES[choice])
    return message_pb2.ToolChoice(mode=message_pb2.ToolChoice.MODE_NAMED, name=choice.function.name)


def _response_format(chat: body.ChatCompletion) -> message_pb2.ResponseFormat | None:
    if chat.guided_regex is not None:
        return message_pb2.ResponseFormat(regex=chat.guided_regex)
    match chat.response_format:
        case None | body.TextFormat():
            return None
        case body.JsonObjectFormat():
            return message_pb2.ResponseFormat(json_object=True)
        case body.JsonSchemaFormat(json_schema):
            return message_pb2.ResponseFormat(
                json_schema=message_pb2.JsonSchema(
                    name=json_schema.name,
                    description=json_schema.description or "",
                    schema=_json(json_schema.schema),
                    strict=bool(json_schema.strict),
                )
            )


def _controls(chat: body.ChatCompletion) -> pb.Controls | None:
    extras = chat.catenary or body.Extras()
    return pb.Controls(
        cache=_cache(extras.cache),
        safety_profile=extras.safety_profile,
        routing=_routing(extras.routing or body.Routing(), chat.prompt_cache_key),
        priority=extras.priority,
        include_decisions=extras.include_decisions,
    )


def _cache(cache: body.Cache | None) -> pb.CacheControl | None:
    if cache is None:
        return None
    return pb.CacheControl(
        mode=_CACHE_MODES[cache.mode],
        max_age_s=cache.max_age_s,
        error_bound=cache.error_bound,
        paced=cache.paced,
    )


def _routing(routing: body.Routing, prompt_cache_key: str | None) -> pb.RoutingHints:
    return pb.RoutingHints(
        prefer_backends=routing.prefer_backends,
        # OpenAI's name for what keeps a prefix on the replica that has computed it.
        session=routing.session or prompt_cache_key or "",
        policy=routing.policy,
    )


def _json(raw: Raw) -> str:
    text = bytes(raw).decode()
    return "" if text == "null" else text
