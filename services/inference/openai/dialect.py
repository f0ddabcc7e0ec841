"""How servers with OpenAI's API differ: what each calls things, and what it lacks.

A fact stands beside the server that it is true of. What a server would pass over in silence is
refused by name here, and so is what it would reject.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from services.inference.features import Feature, Refusals
from services.inference.openai import guides
from services.inference.openai.counts import CHAT_TOKENIZE, INPUT_TOKENS, TOKENIZE, Counting


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """What one kind of server understands."""

    name: str
    """The server's kind, as the configuration and the decisions name it."""
    refusals: Refusals = field(default_factory=dict[Feature, str])
    limit: str = "max_tokens"
    """The field that bounds the output."""
    repetition_penalty: str = "repetition_penalty"
    guide: Callable[[guides.Format], Mapping[str, Any]] = guides.openai
    """Writes the form that the completion must have."""
    continuation: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What makes the server go on with a last message of the assistant's."""
    counting: Counting | None = None
    """How it counts a prompt's tokens; None when it does not."""
    has_embeddings: bool = True
    media: tuple[str, ...] = ("data:",)
    """How the URLs of pictures may begin. Servers of one's own fetch nothing for a caller."""
    thoughts: str = ""
    """The field of a message that gives thoughts back; they are left out where it is empty."""
    seeds: int = 2**63
    """Seeds are taken modulo this."""
    fewest_top_logprobs: int = 0
    """Below this many rivals, the server gives no log probabilities at all."""
    stream_options: bool = True
    """The stream's last chunk tells the usage when it is asked to."""
    counts_each_choice: bool = False
    """The usage comes once for each choice, and not once for all."""
    keeps_stops: bool = False
    """The text holds the stop text that ended it."""
    names_tools: bool = True
    """A tool that must be called can be named."""
    rejects_top_p_of_1: bool = False


_CHAT_ONLY = "the server's chat API has no such field"
_OPENAI_LACKS: Refusals = {
    Feature.TOP_K: _CHAT_ONLY,
    Feature.MIN_P: _CHAT_ONLY,
    Feature.REPETITION_PENALTY: _CHAT_ONLY,
    Feature.MIN_OUTPUT_TOKENS: _CHAT_ONLY,
    Feature.REGEX: "the server constrains output by JSON Schema only",
    Feature.CONTINUATION: "the server cannot go on with a given text",
}

_DIALECTS = (
    Dialect(
        name="openai",
        # `max_tokens` is rejected by OpenAI's reasoning models.
        limit="max_completion_tokens",
        refusals=_OPENAI_LACKS,
        media=("data:", "https://", "http://"),
    ),
    Dialect(name="compatible", refusals=_OPENAI_LACKS, media=("data:", "https://", "http://")),
    Dialect(
        name="vllm",
        guide=guides.vllm,
        continuation={"continue_final_message": True, "add_generation_prompt": False},
        counting=TOKENIZE,
        thoughts="reasoning",
        # Strict tools are held to their schemas since 0.25; before, it passed `strict` over.
    ),
    Dialect(
        name="sglang",
        refusals={
            Feature.SINGLE_TOOL_CALL: "the server keeps to it only where a tool must be called",
        },
        guide=guides.sglang,
        continuation={"continue_final_message": True},
        # Its /tokenize takes texts, and no messages.
        thoughts="reasoning_content",
    ),
    Dialect(
        name="tgi",
        refusals={
            Feature.TOP_K: _CHAT_ONLY,
            Feature.MIN_P: _CHAT_ONLY,
            Feature.REPETITION_PENALTY: _CHAT_ONLY,
            Feature.MIN_OUTPUT_TOKENS: _CHAT_ONLY,
            Feature.PRESENCE_PENALTY: "the server takes it for another penalty",
            Feature.CONTINUATION: "the server cannot go on with a given text",
            Feature.LOGIT_BIAS: "the server passes it over",
            Feature.CHOICES: "the server generates one choice",
            Feature.SINGLE_TOOL_CALL: "the server passes it over",
        },
        guide=guides.tgi,
        counting=CHAT_TOKENIZE,
        has_embeddings=False,
        keeps_stops=True,
        rejects_top_p_of_1=True,
    ),
    Dialect(
        name="llama_cpp",
        refusals={
            Feature.MIN_OUTPUT_TOKENS: _CHAT_ONLY,
            Feature.REGEX: "the server constrains output by JSON Schema only",
        },
        repetition_penalty="repeat_penalty",
        # A last message of the assistant's is gone on with, unasked; the stream does not echo it.
        counting=INPUT_TOKENS,
        thoughts="reasoning_content",
        # Seeds have 32 bits, all ones meaning none.
        seeds=2**32 - 1,
        fewest_top_logprobs=1,
        counts_each_choice=True,
        names_tools=False,
    ),
    Dialect(
        name="ollama",
        refusals={
            **_OPENAI_LACKS,
            Feature.LOGIT_BIAS: "the server passes it over",
            Feature.CHOICES: "the server generates one choice",
            Feature.FORCED_TOOLS: "the server passes it over",
            Feature.SINGLE_TOOL_CALL: "the server passes it over",
            Feature.STRICT_TOOLS: "the server passes it over",
        },
        thoughts="reasoning",
    ),
    Dialect(
        name="openvino",
        refusals={
            Feature.MIN_P: _CHAT_ONLY,
            Feature.MIN_OUTPUT_TOKENS: _CHAT_ONLY,
            Feature.LOGIT_BIAS: _CHAT_ONLY,
            Feature.CHOICES: "the server streams one choice",
            Feature.LOGPROBS: "the server gives none in a stream",
            Feature.REGEX: "the server constrains output by JSON Schema only",
            Feature.SINGLE_TOOL_CALL: _CHAT_ONLY,
            Feature.STRICT_TOOLS: "the server passes it over",
            Feature.CONTINUATION: "the server cannot go on with a given text",
        },
        guide=guides.openvino,
        # In a stream it keeps the stop text, and rejects the option not to.
        keeps_stops=True,
    ),
    Dialect(
        name="transformers",
        refusals={
            **_OPENAI_LACKS,
            Feature.PRESENCE_PENALTY: _CHAT_ONLY,
            Feature.FREQUENCY_PENALTY: "the server takes it for another penalty",
            Feature.CHOICES: "the server generates one choice",
            Feature.LOGPROBS: _CHAT_ONLY,
            Feature.JSON_OBJECT: _CHAT_ONLY,
            Feature.JSON_SCHEMA: _CHAT_ONLY,
            Feature.REGEX: _CHAT_ONLY,
            Feature.FORCED_TOOLS: _CHAT_ONLY,
            Feature.SINGLE_TOOL_CALL: _CHAT_ONLY,
            Feature.STRICT_TOOLS: "the server passes it over",
        },
        has_embeddings=False,
        # Unknown fields are rejected; the last chunk tells the usage unasked.
        stream_options=False,
        keeps_stops=True,
    ),
)

DIALECTS: Mapping[str, Dialect] = {dialect.name: dialect for dialect in _DIALECTS}
"""The dialects by name."""
