"""Prompts that do not fit a server's context window, recognised by what the server says."""

import re

from catenary.v1 import error_reason_pb2
from services.errors import MeshError, Violation
from services.inference.openai.problems import Problem

_KINDS = ("context_length_exceeded", "exceed_context_size_error", "string_above_max_length")
"""OpenAI's word for it, llama.cpp's, and OpenAI's for a text far too long."""

_SENTENCES = (
    # vLLM and OpenAI.
    r"maximum context length is (?P<window>\d+)",
    # SGLang.
    r"input \((?P<input>\d+) tokens\) is longer than the model's context length \((?P<window>\d+)",
    r"exceeds the model's maximum context length of (?P<window>\d+)",
    # TGI.
    r"`inputs` must have less than (?P<window>\d+) tokens\. given: (?P<input>\d+)",
    r"`max_new_tokens` must be <= (?P<window>\d+)\. given: (?P<input>\d+)",
    # OpenVINO Model Server.
    r"prompt tokens: (?P<input>\d+) exceeds model max length: (?P<window>\d+)",
)
_SENTENCE = tuple(re.compile(sentence) for sentence in _SENTENCES)
_INPUT = re.compile(r"(\d+) (?:in the messages|input tokens)")
_MAX_CHARS = 4096


def exceeded(problem: Problem, context_window: int) -> MeshError | None:
    """Return the error, if that is the problem, with the counts that are known.

    Args:
        problem: what the server says.
        context_window: the model's context window in tokens; 0 where it is not known.
    """
    said = problem.message[:_MAX_CHARS].lower()
    found = next(filter(None, (sentence.search(said) for sentence in _SENTENCE)), None)
    if found is None and problem.code not in _KINDS and problem.type not in _KINDS:
        return None
    told = found.groupdict() if found is not None else {}
    count = _INPUT.search(said)
    window = problem.counts.get("n_ctx") or told.get("window") or context_window
    tokens = problem.counts.get("n_prompt_tokens") or told.get("input") or (count and count[1])
    metadata = {"context_window": str(window)} if _is_count(window) else {}
    if _is_count(tokens):
        metadata["input_tokens"] = str(tokens)
    prompt = f"a prompt of {tokens} tokens" if "input_tokens" in metadata else "the prompt"
    of = f" of {window} tokens" if "context_window" in metadata else ""
    description = f"{prompt} and its completion exceed the model's context window{of}"
    return MeshError(
        error_reason_pb2.ERROR_REASON_CONTEXT_WINDOW_EXCEEDED,
        description,
        metadata,
        violations=(Violation("messages", description),),
    )


def _is_count(value: object) -> bool:
    return bool(value) and re.fullmatch(r"[1-9]\d{0,8}", str(value)) is not None
