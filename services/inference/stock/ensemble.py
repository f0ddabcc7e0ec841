"""NVIDIA's `ensemble` and `tensorrt_llm_bls`: the C++ backend of TensorRT-LLM up to 1.2.

- The ensemble's responses hold what is new, each decoded by itself: a character whose tokens come
  apart is lost, and with SentencePiece the space before each word. So with SentencePiece the answer
  is asked for whole. `tensorrt_llm_bls` with `accumulate_tokens` gives all the text so far, whole.
- There is no reason why a choice ended: it is the limit when as many tokens have come.
- A stop text is part of the answer, and is found by its own tokens only.
- `stream` is always said: without it, 26.04 crashes.
- `top_k` is 1 unless set, so that a temperature alone does nothing.
- Log probabilities come without their tokens, which are made of the text again.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from catenary.v1 import generation_pb2 as pb
from infra.engine.frames import Timings
from infra.engine.vocabulary import Vocabulary
from services.inference.engine import Piece
from services.inference.features import Feature, Refusals
from services.inference.logprobs import token_logprobs
from services.inference.stock import contract
from services.inference.stock.contract import Question
from services.inference.stock.deployment import Deployment
from services.inference.stock.tensors import Outputs, Value
from services.inference.stock.text import OpenText
from services.inference.stock.tokens import Tokens


@dataclass(frozen=True, slots=True)
class Ensemble:
    """The contract of `ensemble` and `tensorrt_llm_bls`."""

    tokens: Tokens
    vocabulary: Vocabulary
    is_cumulative: bool
    """Each response holds all the text so far."""
    name: str = "ensemble"

    @property
    def refusals(self) -> Refusals:
        """What it has no tensors for, in any version."""
        return {
            Feature.STRICT_TOOLS: "the ensemble in Triton cannot guide calls among free text",
            Feature.MIN_P: "the ensemble in Triton has no min_p",
            Feature.LOGIT_BIAS: "the ensemble in Triton biases words only, not single tokens",
            Feature.TOP_LOGPROBS: "the ensemble in Triton tells no rivals of a token",
        }

    @property
    def inputs(self) -> Mapping[str, str]:
        """The inputs that every version has."""
        return {"text_input": "BYTES", "max_tokens": "INT32", "stream": "BOOL"}

    @property
    def outputs(self) -> Mapping[str, str]:
        """The outputs that every version has."""
        return {"text_output": "BYTES"}

    @property
    def fields(self) -> Mapping[str, str]:
        """The fields of `Generation` that can be asked for, each with its input."""
        plain = ("temperature", "top_p", "top_k", "seed")
        penalties = ("presence_penalty", "frequency_penalty", "repetition_penalty")
        return {name: name for name in (*plain, *penalties)} | {
            "min_output_tokens": "min_tokens",
            "stop": "stop_words",
            "logprobs": "return_log_probs",
            "json_schema": "guided_decoding_guide",
            "regex": "guided_decoding_guide",
        }

    def ask(self, question: Question, deployment: Deployment) -> Mapping[str, Value]:
        """Return the inputs of a request."""
        generation = question.generation
        values = {name: getattr(generation, name) for name in self.fields if name != "seed"}
        values["logprobs"] = bool(generation.logprobs)
        if contract.is_greedy(generation) or not any(
            values[name] for name in ("temperature", "top_p", "top_k")
        ):
            # Said even where it is the default: log probabilities need one that is set.
            values |= {"temperature": None, "top_p": None, "top_k": 1}
        else:
            values["top_p"] = generation.top_p or 1.0
        inputs: dict[str, Value] = {
            "text_input": question.prompt,
            "max_tokens": generation.max_output_tokens,
            "stream": self._streams(deployment),
            "exclude_input_in_output": True,
            "return_num_output_tokens": True,
            "return_perf_metrics": True,
            "seed": question.seed,
        }
        inputs |= {self.fields[name]: value for name, value in values.items() if value}
        if not values["top_k"]:
            # Every token may come; left out, only the likeliest would.
            inputs["top_k"] = 0
        if "guided_decoding_guide" in inputs:
            kind = "regex" if generation.json_schema is None else "json_schema"
            inputs["guided_decoding_guide_type"] = kind
        return inputs

    def reader(self, question: Question, deployment: Deployment) -> "EnsembleReader":
        """Begin to read the responses."""
        return EnsembleReader(
            question,
            self,
            is_cumulative=self._accumulates(deployment) and self._streams(deployment),
        )

    def _streams(self, deployment: Deployment) -> bool:
        loses_spaces = self.vocabulary.strip_first_space and not self._accumulates(deployment)
        return deployment.is_decoupled and not loses_spaces

    def _accumulates(self, deployment: Deployment) -> bool:
        parameter = deployment.parameters.get("accumulate_tokens", "")
        return self.is_cumulative or parameter.lower() == "true"


class EnsembleReader:
    """Reads the responses to one question."""

    def __init__(self, question: Question, asked: Ensemble, *, is_cumulative: bool) -> None:
        self.text = OpenText(question.generation.stop)
        self._generation = question.generation
        self._asked = asked
        self._is_cumulative = is_cumulative
        self._read_chars = 0
        self._is_counted = False
        self._told_tokens = 0
        self._timings: Timings | None = None

    async def read(self, outputs: Outputs) -> Piece:
        """Return what a response brings.

        Raises:
            ValueError: it is not a response of the contract's.
        """
        text = outputs.text("text_output")
        if self._is_cumulative:
            shown = self.text.replace(text)
            new, self._read_chars = text[self._read_chars :], len(text)
        else:
            shown, new = self.text.add(text), text
        counted = outputs.integer("num_output_tokens")
        self._is_counted = self._is_counted or counted is not None
        # Versions before 0.17 do not count: at least one token made it.
        tokens = int(bool(shown)) if counted is None else counted
        self._told_tokens += tokens
        self._timings = contract.timings(outputs) or self._timings
        return Piece(
            shown,
            output_tokens=tokens,
            logprobs=self._logprobs(new, outputs.floats("output_log_probs")),
            finish_reason="stop" if self.text.matched_stop else "",
            matched_stop=self.text.matched_stop,
            timings=self._timings if self.text.matched_stop else None,
        )

    async def end(self) -> Piece:
        """Return why the choice ended, and what was held back."""
        shown = self.text.finish()
        rest = 0
        if not self._is_counted:
            counted = await self._asked.tokens.count(self.text.given)
            rest = max(0, counted - self._told_tokens)
        is_full = self._told_tokens + rest >= self._generation.max_output_tokens
        return Piece(
            shown,
            output_tokens=rest,
            finish_reason="length" if is_full else "stop",
            timings=self._timings,
        )

    def _logprobs(self, text: str, logprobs: list[float]) -> list[pb.TokenLogprob]:
        if not self._generation.logprobs or not logprobs:
            return []
        token_ids = self._asked.tokens.ids(text)
        if len(token_ids) == len(logprobs):
            return list(token_logprobs(token_ids, logprobs, self._asked.vocabulary))
        # The text was made of other tokens than it is usually: all of it stands with the first.
        first, *others = (pb.TokenLogprob(logprob=logprob) for logprob in logprobs)
        first.token, first.token_bytes = text, text.encode()
        return [first, *others]
