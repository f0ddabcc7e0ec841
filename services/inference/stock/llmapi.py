"""NVIDIA's `llmapi` model: TensorRT-LLM's LLM API in Triton's Python backend, since 1.0.

- Each response holds the whole text so far. TensorRT-LLM 1.2 streams in name only: its one response
  holds all of it.
- Numbers come as text, and what there is not as `None`.
- It tells no counts of tokens: they are the tokenizer's, but for an answer that reached its limit.
- The prompt stands before the answer unless told otherwise, and the default limit is 32 tokens.
- It is greedy when no sampling is asked for; up to 1.1, a temperature alone does not count as such.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from services.inference.engine import Piece
from services.inference.features import Feature, Refusals
from services.inference.stock import contract
from services.inference.stock.contract import Question
from services.inference.stock.deployment import Deployment
from services.inference.stock.tensors import Outputs, Value
from services.inference.stock.text import OpenText
from services.inference.stock.tokens import Tokens

_NO_GUIDE = "the llmapi model in Triton cannot be guided"


@dataclass(frozen=True, slots=True)
class LlmApi:
    """The contract of `llmapi`."""

    tokens: Tokens
    adapters: Mapping[str, str]
    """The folders of low-rank adapters on Triton's machine, by name; since 1.3."""
    name: str = "llmapi"

    @property
    def refusals(self) -> Refusals:
        """What it has no tensors for, in any version."""
        return {
            Feature.MIN_P: "the llmapi model in Triton has no min_p",
            Feature.REPETITION_PENALTY: "the llmapi model in Triton has no repetition penalty",
            Feature.MIN_OUTPUT_TOKENS: "the llmapi model in Triton has no least number of tokens",
            Feature.LOGIT_BIAS: "the llmapi model in Triton cannot bias single tokens",
            Feature.LOGPROBS: "the llmapi model in Triton tells none of single tokens",
            Feature.TOP_LOGPROBS: "the llmapi model in Triton tells no rivals of a token",
            Feature.JSON_OBJECT: _NO_GUIDE,
            Feature.JSON_SCHEMA: _NO_GUIDE,
            Feature.REGEX: _NO_GUIDE,
            Feature.FORCED_TOOLS: _NO_GUIDE,
            Feature.STRICT_TOOLS: _NO_GUIDE,
        }

    @property
    def inputs(self) -> Mapping[str, str]:
        """The inputs that every version has."""
        return {
            "text_input": "BYTES",
            "streaming": "BOOL",
            "sampling_param_max_tokens": "INT32",
            "sampling_param_exclude_input_from_output": "BOOL",
            "return_finish_reason": "BOOL",
        }

    @property
    def outputs(self) -> Mapping[str, str]:
        """The outputs that every version has."""
        return {"text_output": "BYTES", "finish_reason": "BYTES"}

    @property
    def fields(self) -> Mapping[str, str]:
        """The fields of `Generation` that can be asked for, each with its input."""
        return {
            "temperature": "sampling_param_temperature",
            "top_p": "sampling_param_top_p",
            "top_k": "sampling_param_top_k",
            "presence_penalty": "sampling_param_presence_penalty",
            "frequency_penalty": "sampling_param_frequency_penalty",
            "seed": "sampling_param_seed",
            "stop": "sampling_param_stop",
            "adapter": "lora_name",
        }

    def ask(self, question: Question, deployment: Deployment) -> Mapping[str, Value]:
        """Return the inputs of a request."""
        generation = question.generation
        values = {name: getattr(generation, name) for name in self.fields if name != "seed"}
        if contract.is_greedy(generation):
            values |= {"temperature": None, "top_p": None, "top_k": 1}
        elif generation.temperature is not None and not generation.top_k:
            values["top_p"] = generation.top_p or 1.0
        inputs: dict[str, Value] = {
            "text_input": question.prompt,
            "streaming": deployment.is_decoupled,
            "sampling_param_max_tokens": generation.max_output_tokens,
            "sampling_param_exclude_input_from_output": True,
            "sampling_param_return_perf_metrics": True,
            "return_finish_reason": True,
            "return_stop_reason": True,
            self.fields["seed"]: question.seed,
        }
        if generation.adapter:
            inputs["lora_id"] = 1 + sorted(self.adapters).index(generation.adapter)
            inputs["lora_path"] = self.adapters[generation.adapter]
        return inputs | {self.fields[name]: value for name, value in values.items() if value}

    def reader(self, question: Question, _deployment: Deployment) -> "LlmApiReader":
        """Begin to read the responses."""
        return LlmApiReader(question, self.tokens)


class LlmApiReader:
    """Reads the responses to one question."""

    def __init__(self, question: Question, tokens: Tokens) -> None:
        self.text = OpenText(question.generation.stop)
        self._generation = question.generation
        self._tokens = tokens
        self._told_tokens = 0

    async def read(self, outputs: Outputs) -> Piece:
        """Return what a response brings.

        Raises:
            ValueError: it is not a response of the contract's.
        """
        shown = self.text.replace(outputs.text("text_output"))
        reason = "stop" if self.text.matched_stop else outputs.word("finish_reason")
        if not reason:
            # At least one token made it; the rest is told in the end.
            self._told_tokens += bool(shown)
            return Piece(shown, output_tokens=int(bool(shown)))
        if reason not in contract.FINISH_REASONS:
            raise ValueError(f"the engine gave up: {reason}")
        shown += self.text.finish()
        stop_reason = outputs.word("stop_reason")
        return Piece(
            shown,
            output_tokens=max(0, await self._count(reason) - self._told_tokens),
            finish_reason=reason,
            matched_stop=self.text.matched_stop
            or (stop_reason if stop_reason in self._generation.stop else ""),
            timings=contract.timings(outputs),
        )

    async def end(self) -> Piece:
        """Say nothing: the last response said all."""
        return Piece()

    async def _count(self, reason: str) -> int:
        if reason == "length":
            return self._generation.max_output_tokens
        return await self._tokens.count(self.text.given)
