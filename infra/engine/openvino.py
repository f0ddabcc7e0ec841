"""The CPU engine: OpenVINO GenAI's continuous batching, with paged KV cache and prefix caching.

Traps of openvino-genai 2026.4 that the code heeds:
- `step()` holds the GIL, so the engine has a process of its own;
- `read()` on an empty handle never returns, and nothing may be read after `cancel()`;
- a request id used twice, or a guide that does not compile, breaks the pipeline for all: ids come
  from one counter here, guides are tried elsewhere first, and whatever `step()` raises is fatal;
- when the KV cache is overcommitted, sequences are preempted and computed again, but at times all
  of them end as IGNORED, which can be read and then holds nothing;
- the weights stay mapped from their file, so one that is cut short in place kills the process with
  SIGBUS. A private copy (ENABLE_MMAP) would cost their size in memory once more, beside what the
  CPU plugin repacks, and replicas could not share it: too much for so rare a mistake, which the
  death tells at once, and the model's card in plain words.
"""

import itertools
import os
import random
from pathlib import Path

import numpy as np
import openvino
import openvino_genai
from openvino_genai import py_openvino_genai

from infra.engine.card import ModelCard
from infra.engine.engine import FinishReason, Generation, KvCache, Progress
from infra.engine.guide_worker import structured_output
from infra.engine.guides import Guide

_CACHED_PRIMITIVES = 16
"""What was compiled for a batch of one size is kept for so many; left to themselves, OpenVINO and
oneDNN keep thousands, which takes another 300 MB for the pocket model and makes nothing faster."""

PROPERTIES = {
    "KV_CACHE_PRECISION": "u8",
    "ENABLE_CPU_PINNING": False,
    "CPU_RUNTIME_CACHE_CAPACITY": _CACHED_PRIMITIVES,
}
"""Threads are not pinned: Triton and the links share the cores, and a thread that is bound to a
busy one holds up all the others."""

_MESSAGES_PER_CORE_S = 100.0
"""From here to the mesh's caller a message costs 1 ms of CPU, on the cores that the engine computes
with, so a tenth of them at most goes to messages (16 streams on 2 cores: one each 80 ms)."""
_BLOCK_TOKENS = 32
_MAX_BATCHED_TOKENS = 256
_FINISH_REASONS: dict[py_openvino_genai.GenerationFinishReason, FinishReason] = {
    py_openvino_genai.GenerationFinishReason.STOP: "stop",
    py_openvino_genai.GenerationFinishReason.LENGTH: "length",
}
_SAMPLER_FIELDS = (
    "top_p",
    "min_p",
    "presence_penalty",
    "frequency_penalty",
    "repetition_penalty",
)


class OpenVinoEngine:
    """Runs one model on the CPU."""

    name = "openvino"
    messages_per_s = _MESSAGES_PER_CORE_S * (os.cpu_count() or 1)

    def __init__(self, model: Path, max_sequences: int, kv_cache_mib: int) -> None:
        scheduler = openvino_genai.SchedulerConfig()
        scheduler.enable_prefix_caching = True
        scheduler.max_num_seqs = max_sequences
        # Bounds a step, and so the time until the next token of everybody else.
        scheduler.max_num_batched_tokens = max(_MAX_BATCHED_TOKENS, max_sequences)
        block_bytes = _BLOCK_TOKENS * ModelCard.read(model).kv_bytes_per_token
        blocks = max(1, kv_cache_mib * 1024 * 1024 // block_bytes)
        self._kv_cache = KvCache(blocks, _BLOCK_TOKENS)
        scheduler.num_kv_blocks = blocks
        os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"] = str(_CACHED_PRIMITIVES)
        self._pipeline = openvino_genai.ContinuousBatchingPipeline(
            str(model), scheduler, "CPU", PROPERTIES
        )
        self._handles: dict[int, py_openvino_genai.GenerationHandle] = {}
        self._ends: dict[int, frozenset[int]] = {}
        self._ids = itertools.count()

    def submit(self, sequence: int, generation: Generation, choice: int) -> None:
        """Take a sequence in.

        Raises:
            ValueError: the sampler does not take these settings.
        """
        config = self._config(generation, choice)
        try:
            config.validate()
        except RuntimeError as error:
            raise ValueError(str(error).strip().rpartition("\n")[2]) from None
        prompt = openvino.Tensor(np.array([generation.input_ids], dtype=np.int64))
        self._handles[sequence] = self._pipeline.add_request(next(self._ids), prompt, config)
        self._ends[sequence] = frozenset({config.eos_token_id, *config.stop_token_ids})

    def cancel(self, sequence: int) -> None:
        """Free the sequence's place at the next step."""
        handle = self._handles.pop(sequence, None)
        self._ends.pop(sequence, None)
        if handle is not None:
            handle.cancel()

    def step(self) -> list[Progress]:
        """Generate one token for each running sequence, or a part of a prompt's KV cache."""
        if self._pipeline.has_non_finished_requests():
            self._pipeline.step()
        progress = []
        for sequence, handle in self._handles.items():
            if handle.can_read():
                progress.append(self._read(sequence, handle))
        for done in progress:
            if done.finish_reason is not None:
                del self._handles[done.sequence]
                del self._ends[done.sequence]
        return progress

    def kv_cache(self) -> KvCache:
        """Return the size of the KV cache."""
        return self._kv_cache

    def kv_cache_usage_ratio(self) -> float:
        """Return the share of the KV cache in use."""
        return float(self._pipeline.get_metrics().cache_usage) / 100

    def close(self) -> None:
        """Hold on to nothing that the end of the process would not free."""

    def _read(self, sequence: int, handle: py_openvino_genai.GenerationHandle) -> Progress:
        outputs = handle.read()
        if not outputs:
            return Progress(sequence, [], [], "out_of_memory")
        (output,) = outputs.values()
        tokens: list[int] = output.generated_ids
        logprobs: list[float] = output.generated_log_probs
        reason = _FINISH_REASONS.get(output.finish_reason)
        if reason == "stop" and tokens and tokens[-1] in self._ends[sequence]:
            del tokens[-1], logprobs[len(tokens) :]
        return Progress(sequence, tokens, logprobs, reason)

    def _config(self, generation: Generation, choice: int) -> openvino_genai.GenerationConfig:
        config = self._pipeline.get_config()
        config.apply_chat_template = False
        config.max_new_tokens = generation.max_output_tokens
        config.min_new_tokens = generation.min_output_tokens
        config.ignore_eos = bool(generation.ignore_eos)
        config.stop_token_ids = {*config.stop_token_ids, *generation.stop_token_ids}
        config.logprobs = generation.logprobs
        for field in _SAMPLER_FIELDS:
            value = getattr(generation, field)
            if value is not None:
                setattr(config, field, value)
        if generation.top_k:
            config.top_k = generation.top_k
        if generation.temperature is not None:
            config.do_sample = generation.temperature > 0
            if config.do_sample:
                config.temperature = generation.temperature
        # Without a seed of its own, the sampler would draw the same for everybody.
        seed = random.getrandbits(63) if generation.seed is None else generation.seed
        config.rng_seed = (seed + choice) % 2**64
        guide = Guide.of(generation)
        if guide.field:
            config.structured_output_config = structured_output(guide)
        return config
