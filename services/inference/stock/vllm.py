"""Triton's vLLM backend.

- The sampling parameters are vLLM's own, as JSON in one tensor; guides are JSON in that JSON.
- Responses hold what is new. Counts include the token that ended the choice, as vLLM counts.
- With `n`, vLLM streams one choice at a time without telling which: each is asked for by itself.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from catenary.v1 import generation_pb2 as pb
from infra.engine.engine import Generation, Rivals
from infra.engine.vocabulary import Vocabulary
from services.inference.engine import Piece
from services.inference.features import Feature, Refusals
from services.inference.logprobs import token_logprobs
from services.inference.stock import contract
from services.inference.stock.contract import Question
from services.inference.stock.deployment import Deployment
from services.inference.stock.tensors import Outputs, Value
from services.inference.stock.text import OpenText

_PARAMETERS = "sampling_parameters"
_PLAIN = (
    *("temperature", "top_p", "min_p", "presence_penalty", "frequency_penalty"),
    *("repetition_penalty", "stop_token_ids"),
)
_GUIDES = ("json_schema", "regex", "structural_tag")


class _Told(msgspec.Struct, frozen=True):
    """What is told of one token."""

    logprob: float
    rank: int | None = None


@dataclass(frozen=True, slots=True)
class Vllm:
    """The contract of Triton's vLLM backend."""

    vocabulary: Vocabulary
    name: str = "vllm"

    @property
    def refusals(self) -> Refusals:
        """What it has no tensors for, in any version."""
        return {
            # JSON has no numbers for keys, which vLLM wants.
            Feature.LOGIT_BIAS: "vLLM in Triton cannot bias single tokens",
        }

    @property
    def inputs(self) -> Mapping[str, str]:
        """The inputs that every version has."""
        return {
            "text_input": "BYTES",
            "stream": "BOOL",
            _PARAMETERS: "BYTES",
            "exclude_input_in_output": "BOOL",
            "return_finish_reason": "BOOL",
            "return_num_output_tokens": "BOOL",
        }

    @property
    def outputs(self) -> Mapping[str, str]:
        """The outputs that every version has."""
        return {"text_output": "BYTES", "finish_reason": "BYTES", "num_output_tokens": "UINT32"}

    @property
    def fields(self) -> Mapping[str, str]:
        """The fields of `Generation` that can be asked for, each with its input."""
        renamed = ("top_k", "seed", "stop", "min_output_tokens", "ignore_eos", "adapter")
        return dict.fromkeys((*_PLAIN, *renamed, *_GUIDES), _PARAMETERS) | {
            "logprobs": "return_logprobs",
            "top_logprobs": "return_logprobs",
        }

    def ask(self, question: Question, _deployment: Deployment) -> Mapping[str, Value]:
        """Return the inputs of a request."""
        return {
            "text_input": question.prompt,
            "stream": True,
            _PARAMETERS: json.dumps(_parameters(question.generation, question.seed)),
            "exclude_input_in_output": True,
            "return_finish_reason": True,
            "return_num_output_tokens": True,
            "return_logprobs": bool(question.generation.logprobs),
        }

    def reader(self, question: Question, _deployment: Deployment) -> "VllmReader":
        """Begin to read the responses."""
        return VllmReader(question, self.vocabulary)


class VllmReader:
    """Reads the responses to one question."""

    def __init__(self, question: Question, vocabulary: Vocabulary) -> None:
        self.text = OpenText(question.generation.stop)
        self._vocabulary = vocabulary
        self._rivals = question.generation.top_logprobs

    async def read(self, outputs: Outputs) -> Piece:
        """Return what a response brings.

        Raises:
            ValueError: it is not a response of the contract's.
        """
        shown = self.text.add(outputs.text("text_output"))
        reason = "stop" if self.text.matched_stop else outputs.word("finish_reason")
        if reason:
            if reason not in contract.FINISH_REASONS:
                raise ValueError(f"the engine gave up: {reason}")
            shown += self.text.finish()
        return Piece(
            shown,
            output_tokens=outputs.integer("num_output_tokens") or 0,
            logprobs=self._logprobs(outputs.text("logprobs")),
            finish_reason=reason,
            matched_stop=self.text.matched_stop,
        )

    async def end(self) -> Piece:
        """Say nothing: the last response said all."""
        return Piece()

    def _logprobs(self, text: str) -> Sequence[pb.TokenLogprob]:
        try:
            # Not msgspec's own parser: Python writes -Infinity, which is not JSON.
            told = msgspec.convert(
                json.loads(text or "null"), list[dict[int, _Told]] | None, str_keys=True
            )
        except msgspec.ValidationError:
            raise ValueError("no log probabilities of vLLM's") from None
        if any(token >= len(self._vocabulary.tokens) for place in told or [] for token in place):
            raise ValueError("a token that the tokenizer does not know")
        # The token itself stands first, whatever its rank.
        chosen = [next(iter(place.items())) for place in told or [] if place]
        return token_logprobs(
            [token for token, _ in chosen],
            [each.logprob for _, each in chosen],
            self._vocabulary,
            [_likeliest(place, self._rivals) for place in told or [] if place],
        )


def _likeliest(place: Mapping[int, _Told], count: int) -> Rivals:
    ranked = sorted((each.rank, token) for token, each in place.items() if each.rank is not None)
    return [(token, place[token].logprob) for rank, token in ranked if rank <= count]


def _parameters(generation: Generation, seed: int) -> dict[str, Any]:
    named = {
        "max_tokens": generation.max_output_tokens,
        "min_tokens": generation.min_output_tokens or None,
        # 0 was no value before vLLM 0.8.
        "top_k": generation.top_k or None,
        "seed": seed,
        "stop": generation.stop or None,
        "ignore_eos": bool(generation.ignore_eos) or None,
        # The number of rivals; the token's own comes with them.
        "logprobs": generation.top_logprobs if generation.logprobs else None,
        "lora_name": generation.adapter or None,
        "structured_outputs": _guide(generation),
    }
    plain = {name: getattr(generation, name) for name in _PLAIN}
    return {key: value for key, value in (named | plain).items() if value not in (None, [])}


def _guide(generation: Generation) -> str | None:
    if generation.json_schema is not None:
        return json.dumps({"json": json.loads(generation.json_schema)})
    if generation.structural_tag is not None:
        return json.dumps({"structural_tag": generation.structural_tag})
    return None if generation.regex is None else json.dumps({"regex": generation.regex})
