"""A generation in TensorRT-LLM's words: how its tokens are chosen, and when it ends."""

import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tensorrt_llm.llmapi import GuidedDecodingParams, SamplingParams

from infra.engine.engine import Generation
from infra.engine.guides import Guide

_PENALTIES = ("presence_penalty", "frequency_penalty", "repetition_penalty")


@dataclass(frozen=True, slots=True)
class Defaults:
    """What the model's `generation_config.json` says for requests that say nothing."""

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    repetition_penalty: float | None = None
    end_ids: tuple[int, ...] = ()
    """The tokens that end a text."""

    @classmethod
    def read(cls, model: Path) -> "Defaults":
        """Read them from a model's folder; without the file, `config.json` tells the ends.

        Raises:
            OSError: a file cannot be read.
            ValueError: it is not JSON.
        """
        file = model / "generation_config.json"
        said = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        config = json.loads((model / "config.json").read_text(encoding="utf-8"))
        ends = said.get("eos_token_id", config.get("eos_token_id", []))
        return cls(
            temperature=said.get("temperature", 1.0) if said.get("do_sample") else 0.0,
            top_p=said.get("top_p", 1.0),
            top_k=said.get("top_k", 0),
            repetition_penalty=said.get("repetition_penalty"),
            end_ids=tuple(ends if isinstance(ends, list) else [ends]),
        )


def sampling_params(
    generation: Generation, choice: int, defaults: Defaults, vocabulary: int
) -> SamplingParams:
    """Return the parameters of one choice; the version's own defaults are never relied on.

    Raises:
        ValueError: the engine does not take these settings; the text is for the caller.
    """
    given: dict[str, Any] = {
        "max_tokens": generation.max_output_tokens,
        "ignore_eos": bool(generation.ignore_eos),
        # The worker turns tokens into text, and finds stop strings in it.
        "detokenize": False,
        "add_special_tokens": False,
        **_drawing(generation, choice, defaults),
    }
    for field in _PENALTIES:
        value = getattr(generation, field)
        if value is not None:
            given[field] = value
    if generation.repetition_penalty is None and defaults.repetition_penalty is not None:
        given["repetition_penalty"] = defaults.repetition_penalty
    if generation.min_output_tokens:
        given["min_tokens"] = generation.min_output_tokens
    if ends := stop_token_ids(generation, defaults):
        given["stop_token_ids"] = ends
    if generation.logprobs:
        # 0, for the token's own alone, means none at all to version 1.2.
        given["logprobs"] = max(1, generation.top_logprobs)
    if generation.logit_bias:
        given["embedding_bias"] = _embedding_bias(generation.logit_bias, vocabulary)
    guide = Guide.of(generation)
    if guide.field:
        given["guided_decoding"] = GuidedDecodingParams(
            json=guide.json_schema, regex=guide.regex, structural_tag=guide.structural_tag
        )
    return SamplingParams(**given)


def stop_token_ids(generation: Generation, defaults: Defaults) -> list[int]:
    """Return the tokens that end the generation, and are not part of it."""
    own = () if generation.ignore_eos else defaults.end_ids
    return [*dict.fromkeys((*own, *generation.stop_token_ids))]


def _drawing(generation: Generation, choice: int, defaults: Defaults) -> dict[str, Any]:
    temperature = generation.temperature
    if temperature is None:
        temperature = defaults.temperature
    if temperature == 0:
        return {"top_k": 1}
    # Without a seed of its own, a sampler would draw the same for everybody.
    seed = random.getrandbits(63) if generation.seed is None else generation.seed
    drawing: dict[str, Any] = {
        "temperature": temperature,
        "top_p": defaults.top_p if generation.top_p is None else generation.top_p,
        "top_k": defaults.top_k if generation.top_k is None else generation.top_k,
        "seed": (seed + choice) % 2**64,
    }
    if generation.min_p is not None:
        drawing["min_p"] = generation.min_p
    return drawing


def _embedding_bias(logit_bias: dict[int, float], vocabulary: int) -> list[float]:
    bias = [0.0] * vocabulary
    for token, value in logit_bias.items():
        if token >= vocabulary:
            raise ValueError(f"logit_bias: token ids must be below {vocabulary}")
        bias[token] = value
    return bias
