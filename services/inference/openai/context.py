"""Prompts that do not fit a server's context window, recognised by what the server says."""

import re
from collections.abc import Iterable, Mapping

from catenary.v1 import error_reason_pb2
from services import errors
from services.errors import MeshError, Violation
from services.inference.openai.problems import Problem

_KINDS = ("context_length_exceeded", "exceed_context_size_error", "string_above_max_length")
"""OpenAI's word for it, llama.cpp's, and OpenAI's for a text far too long."""

_MAX_CHARS = 4096
_COUNT = r"(?P<count>\\d{1,9})"


def _patterns(*sentences: str) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(re.sub("<count>", _COUNT, sentence)) for sentence in sentences)


_WINDOW = _patterns(
    # Another mesh like this one: `errors.context_window_exceeded`.
    r"exceed the model's context window(?: of <count>)?",
    # vLLM in its many versions, and OpenAI.
    r"maximum context length is <count>",
    r"context length is only <count>",
    r"cannot be greater than max_model_len=(?:\w+=)?<count>",
    r"longer than the maximum model length of <count>",
    # SGLang.
    r"exceeds the model's maximum context length of <count>",
    r"longer than the model's context length \(<count>",
    r"exceeds the maximum allowed length \(<count>",
    # TGI.
    r"`inputs` must have less than <count>",
    r"`max_new_tokens` must be <= <count>",
    # llama.cpp, and Ollama where that is its engine.
    r"exceeds the available context size(?: \(<count>)?",
    r"larger than the max context size(?: \(<count>)?",
    # Ollama.
    r"longer than the context length currently available to the model",
    r"input (?:length |after truncation )?exceeds (?:the |maximum )?context length",
    # OpenVINO Model Server.
    r"exceeds model max length: <count>",
)
"""What servers say of a window, and of nothing else."""
_INPUT = _patterns(
    # A mesh, and vLLM, which stops counting once it is too much.
    r"prompt (?:of|contains) (?P<least>at least )?<count> (?:input )?tokens",
    # vLLM.
    r"(?:passed|request has) <count> input tokens",
    r"prompt \(length <count>\)",
    # OpenAI, and older vLLM.
    r"<count> in (?:the messages|your prompt)",
    r"messages resulted in <count> tokens",
    r"requested <count> tokens in the (?:messages|input)",
    # SGLang.
    r"<count> tokens from the input messages",
    # SGLang and llama.cpp.
    r"(?:input|input length|request) \(<count> tokens\)",
    # TGI.
    r"given: <count>",
    # OpenVINO Model Server.
    r"prompt tokens: <count>",
)
"""How they tell the prompt's tokens then."""
_OUTPUT = _patterns(
    # A mesh.
    r"completion of <count>",
    # vLLM.
    r"requested <count> output tokens",
    r"is too large: <count>",
    r"max(?:_completion)?_tokens=<count>",
    # OpenAI, SGLang, and older vLLM.
    r"<count> (?:in|for|tokens for) +the completion",
    # TGI.
    r"<count> `max_new_tokens`",
)
"""And the tokens that the completion may have."""
_TEXT = re.compile(r"has (\d{1,9}) tokens, but the model reads at most (\d{1,9})")
"""Another mesh of one of several texts: `errors.text_too_long`."""


def exceeded(problem: Problem, context_window: int) -> MeshError | None:
    """Return the error, if that is the problem, with the counts that are known.

    Args:
        problem: what the server says.
        context_window: the model's context window in tokens; 0 where it is not known.
    """
    said = problem.message[:_MAX_CHARS].lower()
    if text := _TEXT.search(said):
        place = re.fullmatch(r"input\[(\d{1,9})\]", problem.param)
        return errors.text_too_long(int(place[1]) if place else 0, int(text[1]), int(text[2]))
    window = _first(_WINDOW, said)
    if window is None and problem.code not in _KINDS and problem.type not in _KINDS:
        return None
    prompt = _first(_INPUT, said)
    counts = {
        "input_tokens": problem.counts.get("n_prompt_tokens") or _count(prompt),
        "max_output_tokens": _count(_first(_OUTPUT, said)),
        "context_window": problem.counts.get("n_ctx") or _count(window) or context_window,
    }
    known = {name: str(value) for name, value in counts.items() if _is_count(value)}
    return _error(known, (prompt and prompt.groupdict().get("least")) or "")


def _error(counts: Mapping[str, str], least: str) -> MeshError:
    """Build the error in the words of `errors.context_window_exceeded`, as far as is known."""
    prompt, completion, window = "the prompt", "its completion", ""
    if "input_tokens" in counts:
        prompt = f"a prompt of {least}{counts['input_tokens']} tokens"
    if "max_output_tokens" in counts:
        completion = f"a completion of {counts['max_output_tokens']}"
    if "context_window" in counts:
        window = f" of {counts['context_window']} tokens"
    description = f"{prompt} and {completion} exceed the model's context window{window}"
    return MeshError(
        error_reason_pb2.ERROR_REASON_CONTEXT_WINDOW_EXCEEDED,
        description,
        counts,
        violations=(Violation("messages", description),),
    )


def _first(patterns: Iterable[re.Pattern[str]], said: str) -> re.Match[str] | None:
    return next(filter(None, (pattern.search(said) for pattern in patterns)), None)


def _count(found: re.Match[str] | None) -> str | None:
    return None if found is None else found.groupdict().get("count")


def _is_count(value: object) -> bool:
    return bool(value) and re.fullmatch(r"[1-9]\d{0,8}", str(value)) is not None
