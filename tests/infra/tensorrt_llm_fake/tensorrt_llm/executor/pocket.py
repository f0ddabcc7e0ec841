"""What is computed: the pocket model, one token after the other, on the CPU."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import openvino_genai

from tensorrt_llm import __version__
from tensorrt_llm.executor.result import Logprob
from tensorrt_llm.sampling_params import SamplingParams

Logits = np.ndarray[Any, np.dtype[np.float32]]


class Pocket:
    def __init__(self, folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        self.end_id: int = config["eos_token_id"]
        self._compiled = openvino.Core().compile_model(
            str(folder / "openvino_model.xml"), "CPU", {"INFERENCE_NUM_THREADS": 1}
        )
        self._folder = folder
        self._pipeline: openvino_genai.ContinuousBatchingPipeline | None = None

    def sequence(self, prompt: list[int], sampling: SamplingParams) -> "Sequence | Guided":
        if sampling.guided_decoding is None:
            return Sequence(self._compiled.create_infer_request(), prompt, sampling, self.end_id)
        if self._pipeline is None:
            self._pipeline = openvino_genai.ContinuousBatchingPipeline(
                str(self._folder), openvino_genai.SchedulerConfig(), "CPU", {}
            )
        return Guided(self._pipeline, prompt, sampling)


class Sequence:
    """A sequence whose tokens are drawn here, by all that `SamplingParams` asks for."""

    def __init__(self, infer: Any, prompt: list[int], sampling: SamplingParams, end: int) -> None:
        self.generated = 0
        self._infer = infer
        self._next = prompt
        self._past = 0
        self._sampling = sampling
        self._end = end
        self._random = np.random.default_rng(sampling.seed or 0)
        self._counts: dict[int, int] = {}

    def next(self) -> tuple[int, Any]:
        count = len(self._next)
        computed = self._infer.infer(
            {
                "input_ids": np.array([self._next], np.int64),
                "attention_mask": np.ones((1, self._past + count), np.int64),
                "position_ids": np.arange(self._past, self._past + count)[None],
                "beam_idx": np.zeros(1, np.int32),
            }
        )
        self._past += count
        logits = np.array(computed[0][0, -1], np.float32)
        token = self._draw(self._bias(logits.copy()))
        self._next = [token]
        self._counts[token] = self._counts.get(token, 0) + 1
        self.generated += 1
        return token, self._logprobs(logits, token)

    def _bias(self, logits: Logits) -> Logits:
        sampling = self._sampling
        if sampling.embedding_bias is not None:
            logits += np.array(sampling.embedding_bias, np.float32)
        for token, count in self._counts.items():
            repeated = sampling.repetition_penalty or 1.0
            logits[token] = logits[token] * (repeated if logits[token] < 0 else 1 / repeated)
            logits[token] -= sampling.presence_penalty or 0.0
            logits[token] -= count * (sampling.frequency_penalty or 0.0)
        if sampling.ignore_eos or self.generated < (sampling.min_tokens or 0):
            logits[self._end] = -np.inf
        return logits

    def _draw(self, logits: Logits) -> int:
        sampling = self._sampling
        if sampling.is_greedy:
            return int(np.argmax(logits))
        shares = _softmax(logits / (sampling.temperature or 1.0))
        order = np.argsort(-shares)
        kept = np.ones(len(order), bool)
        kept[sampling.top_k or len(order) :] = False
        kept &= np.cumsum(shares[order]) - shares[order] < (sampling.top_p or 1.0)
        kept &= shares[order] >= (sampling.min_p or 0.0) * shares[order[0]]
        left = np.where(kept, shares[order], 0.0)
        return int(self._random.choice(order, p=left / left.sum()))

    def _logprobs(self, logits: Logits, token: int) -> dict[int, Logprob] | None:
        asked = self._sampling.logprobs
        if asked is None or (asked == 0 and __version__.startswith("1.2")):
            return None
        values = np.log(_softmax(logits))
        order = np.argsort(-values)[:asked]
        told = {int(each): Logprob(float(values[each]), rank) for rank, each in enumerate(order, 1)}
        if token not in told and not __version__.startswith("1.2"):
            told[token] = Logprob(float(values[token]), int((values > values[token]).sum()) + 1)
        return told


class Guided:
    """A sequence that follows a guide; it is computed at once, and then told token by token."""

    def __init__(
        self,
        pipeline: openvino_genai.ContinuousBatchingPipeline,
        prompt: list[int],
        sampling: SamplingParams,
    ) -> None:
        self.generated = 0
        config = pipeline.get_config()
        config.apply_chat_template = False
        config.max_new_tokens = sampling.max_tokens
        config.do_sample = not sampling.is_greedy
        config.logprobs = 1
        guide = openvino_genai.StructuredOutputConfig()
        asked = sampling.guided_decoding
        assert asked is not None
        guide.json_schema, guide.regex = asked.json, asked.regex
        guide.structural_tags_config = asked.structural_tag
        config.structured_output_config = guide
        (made,) = pipeline.generate([openvino.Tensor(np.array([prompt], np.int64))], [config])
        self._tokens: list[int] = list(made.m_generation_ids[0])
        self._wants_logprobs = bool(sampling.logprobs)

    def next(self) -> tuple[int, Any]:
        token = self._tokens[self.generated]
        self.generated += 1
        return token, {token: Logprob(0.0, 1)} if self._wants_logprobs else None


def _softmax(logits: Logits) -> Logits:
    raised = np.exp(logits - logits.max())
    shares: Logits = raised / raised.sum()
    return shares
