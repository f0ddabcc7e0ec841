"""The engine alone, without Triton round it."""

import time
from pathlib import Path

import numpy as np
import openvino
import openvino_genai
from openvino_genai import py_openvino_genai

from infra.engine.card import ModelCard
from infra.engine.openvino import PROPERTIES

_BLOCK_TOKENS = 32
_RUNNING = py_openvino_genai.GenerationFinishReason.NONE


class Bare:
    """The engine alone: a loop of steps, each token read."""

    def __init__(self, model: Path, max_sequences: int, kv_cache_mib: int) -> None:
        scheduler = openvino_genai.SchedulerConfig()
        scheduler.enable_prefix_caching = True
        scheduler.max_num_seqs = max_sequences
        block_bytes = _BLOCK_TOKENS * ModelCard.read(model).kv_bytes_per_token
        scheduler.num_kv_blocks = kv_cache_mib * 1024 * 1024 // block_bytes
        self._pipeline = openvino_genai.ContinuousBatchingPipeline(
            str(model), scheduler, "CPU", PROPERTIES
        )
        self._requests = 0

    def rate(self, streams: list[list[list[int]]], tokens: int) -> float:
        """Return tokens per second; each stream has its prompts answered one after the other."""
        began = time.perf_counter()
        waiting = [iter(prompts) for prompts in streams]
        handles = [self._submit(next(prompts), tokens) for prompts in waiting]
        read = 0
        while self._pipeline.has_non_finished_requests():
            self._pipeline.step()
            for stream, handle in enumerate(handles):
                if handle.can_read():
                    for output in handle.read().values():
                        read += len(output.generated_ids)
                        following = output.finish_reason != _RUNNING and next(waiting[stream], None)
                        if following:
                            handles[stream] = self._submit(following, tokens)
        return read / (time.perf_counter() - began)

    def _submit(self, prompt: list[int], tokens: int) -> py_openvino_genai.GenerationHandle:
        config = openvino_genai.GenerationConfig()
        config.max_new_tokens = tokens
        config.min_new_tokens = tokens
        config.apply_chat_template = False
        ids = openvino.Tensor(np.array([prompt], dtype=np.int64))
        self._requests += 1
        return self._pipeline.add_request(self._requests, ids, config)
