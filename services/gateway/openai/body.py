"""The body of `POST /v1/chat/completions`, as OpenAI defines it, with the mesh's own `catenary`.

What the body may hold stands here and nowhere else. A field of type `None` is one that OpenAI
knows and the mesh cannot honour: only null passes. A field of type `Raw` in `ChatCompletion` is
accepted and has no effect.
"""

from typing import Annotated, Literal

from msgspec import Meta, Raw, Struct

Whole = Annotated[int, Meta(ge=0, le=2**32 - 1)]
"""A count; what a field allows beyond that stands in the contract."""

TopK = Annotated[int, Meta(ge=-1, le=2**32 - 1)]
"""A count, where -1 stands for all, as vLLM has it."""

Seed = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]


class Strict(Struct, forbid_unknown_fields=True):
    """An object without fields that nobody knows."""


class TextPart(Strict, tag_field="type", tag="text"):
    """Plain text."""

    text: str
    prompt_cache_breakpoint: Raw = Raw()


class ImageUrl(Strict):
    """Where a picture is."""

    url: str
    detail: Literal["auto", "low", "high"] = "auto"


class ImagePart(Strict, tag_field="type", tag="image_url"):
    """A picture."""

    image_url: ImageUrl
    prompt_cache_breakpoint: Raw = Raw()


class RefusalPart(Strict, tag_field="type", tag="refusal"):
    """The words with which a model refused."""

    refusal: str


class FunctionCall(Strict):
    """A function called, with arguments in JSON."""

    name: str
    arguments: str


class ToolCall(Strict, tag_field="type", tag="function"):
    """A tool that an assistant's turn called."""

    id: str
    function: FunctionCall


class SystemMessage(Strict, tag_field="role", tag="system"):
    """The operator's turn."""

    content: str | list[TextPart]
    name: str | None = None


class DeveloperMessage(Strict, tag_field="role", tag="developer"):
    """The operator's turn, by its newer name."""

    content: str | list[TextPart]
    name: str | None = None


class UserMessage(Strict, tag_field="role", tag="user"):
    """The asker's turn."""

    content: str | list[TextPart | ImagePart]
    name: str | None = None


class AssistantMessage(Strict, tag_field="role", tag="assistant"):
    """The model's turn, also as OpenAI's clients give an answer back."""

    content: str | list[TextPart | RefusalPart] | None = None
    name: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[ToolCall] | None = None
    annotations: Raw = Raw()
    audio: None = None
    function_call: None = None


class ToolMessage(Strict, tag_field="role", tag="tool"):
    """A tool's answer."""

    content: str | list[TextPart]
    tool_call_id: str
    name: str | None = None


Message = SystemMessage | DeveloperMessage | UserMessage | AssistantMessage | ToolMessage


class Function(Strict):
    """A function that the model may call; `parameters` is a JSON Schema."""

    name: str
    description: str | None = None
    parameters: Raw = Raw()
    strict: bool | None = None


class Tool(Strict, tag_field="type", tag="function"):
    """A tool that the model may call."""

    function: Function


class FunctionName(Strict):
    """A function, by its name."""

    name: str


class NamedToolChoice(Strict, tag_field="type", tag="function"):
    """The one tool that must be called."""

    function: FunctionName


class TextFormat(Strict, tag_field="type", tag="text"):
    """Free text."""


class JsonObjectFormat(Strict, tag_field="type", tag="json_object"):
    """Any JSON object."""


class JsonSchema(Strict):
    """A JSON Schema with its name."""

    name: str
    description: str | None = None
    schema: Raw = Raw(b"{}")
    strict: bool | None = None


class JsonSchemaFormat(Strict, tag_field="type", tag="json_schema"):
    """JSON that follows a schema."""

    json_schema: JsonSchema


class StreamOptions(Strict):
    """What a stream carries beside its deltas."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class Cache(Strict):
    """What the cache may do: catenary.v1.CacheControl."""

    mode: Literal["default", "bypass", "refresh", "only_if_cached"] = "default"
    max_age_s: Whole | None = None
    error_bound: float | None = None
    paced: bool = False


class Routing(Strict):
    """Where to compute it: catenary.v1.RoutingHints."""

    prefer_backends: list[str] = []
    session: str = ""
    policy: str = ""


class Extras(Strict):
    """What a caller may ask of the links: catenary.v1.Controls."""

    cache: Cache | None = None
    safety_profile: str = ""
    routing: Routing | None = None
    priority: Whole | None = None
    include_decisions: bool = False


class ChatCompletion(Strict):
    """The whole body."""

    model: str
    messages: list[Message]
    max_completion_tokens: Whole | None = None
    max_tokens: Whole | None = None
    temperature: float | None = None
    top_p: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    seed: Seed | None = None
    stop: str | list[str] | None = None
    n: Whole | None = None
    logprobs: bool | None = None
    top_logprobs: Whole | None = None
    logit_bias: dict[Whole, float] | None = None
    tools: list[Tool] | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedToolChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: TextFormat | JsonObjectFormat | JsonSchemaFormat | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None

    # Not OpenAI's, but spelt as vLLM and its clients spell them.
    top_k: TopK | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None
    min_tokens: Whole | None = None
    guided_regex: str | None = None
    continue_final_message: bool | None = None
    add_generation_prompt: bool | None = None

    # The mesh's own.
    catenary: Extras | None = None

    # Accepted without effect: bookkeeping, and hints that a model is free not to take.
    metadata: Raw = Raw()
    prediction: Raw = Raw()
    prompt_cache_options: Raw = Raw()
    prompt_cache_retention: Raw = Raw()
    reasoning_effort: Raw = Raw()
    service_tier: Raw = Raw()
    verbosity: Raw = Raw()

    # Refused: the answer would not be what was asked for.
    store: bool | None = None
    modalities: list[Literal["text"]] | None = None
    audio: None = None
    function_call: None = None
    functions: None = None
    moderation: None = None
    web_search_options: None = None
