"""The GPU engine, driven by one thread: `LLM` lives on an event loop of its own beside it.

What of TensorRT-LLM 1.2 to 1.4 the code heeds:
- `generate_async` must be called where a loop runs, and its arguments move: keywords only, and
  those that came later only where the version has them;
- the same output object is given again and again, grown: what is new is copied from it;
- a `RequestError` is one request's; whatever else is raised means that the executor is gone;
- an executor whose process was killed may say nothing at all: silence ends in a failure too.
"""

import asyncio
import contextlib
import inspect
import queue
import threading
import time
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any, TypeVar

from tensorrt_llm import LLM
from tensorrt_llm.llmapi import LoRARequest, RequestError, RequestOutput, SamplingParams

from infra.engine.card import ModelCard
from infra.engine.engine import Generation, KvCache, Progress
from infra.engine.tensorrt_llm.arguments import arguments
from infra.engine.tensorrt_llm.reading import Reading
from infra.engine.tensorrt_llm.sampling import Defaults, sampling_params, stop_token_ids

Result = TypeVar("Result")

_LOWEST_PRIORITY = 9
_MESSAGES_PER_S = 2000.0
"""One thread in Triton hands them over, at 0.3 ms each or less; the GPUs lose nothing by it."""
_STEP_S = 0.005
"""How long a step waits for progress; new requests wait as long at most."""
_CALL_S = 30.0
_WARM_UP_S = 120.0
_LEAVE_S = 2.0
_STATS_S = 0.5
_SILENCE_S = 120.0
"""Longer than any one iteration may take."""


class TensorRtLlmEngine:
    """Runs one model on GPUs."""

    name = "tensorrt_llm"
    messages_per_s = _MESSAGES_PER_S

    def __init__(
        self,
        model: Path,
        max_sequences: int,
        engine_args: Mapping[str, Any],
        adapters: Mapping[str, Path],
    ) -> None:
        self._vocabulary = ModelCard.read(model).vocabulary
        self._defaults = Defaults.read(model)
        self._adapters = {
            name: LoRARequest(lora_name=name, lora_int_id=number, lora_path=str(folder))
            for number, (name, folder) in enumerate(adapters.items(), 1)
        }
        given = arguments(model, max_sequences, engine_args, adapters)
        self._llm = LLM(**given)
        self._optional = _optional(self._llm, engine_args)
        self._news: queue.SimpleQueue[Progress | Exception] = queue.SimpleQueue()
        self._live: set[int] = set()
        self._reads: dict[int, tuple[RequestOutput, asyncio.Task[None]]] = {}
        self._usage = 0.0
        self._heard_s = time.monotonic()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="llm", daemon=True)
        self._thread.start()
        self._kv_cache = self._call(self._warm_up(), _WARM_UP_S)
        asyncio.run_coroutine_threadsafe(self._follow_stats(), self._loop)

    def submit(self, sequence: int, generation: Generation, choice: int) -> None:
        """Take a sequence in.

        Raises:
            ValueError: the engine does not take these settings.
        """
        if generation.adapter and generation.adapter not in self._adapters:
            raise ValueError(f"adapter: there is no adapter {generation.adapter!r}")
        request: dict[str, Any] = {
            "inputs": generation.input_ids,
            "sampling_params": sampling_params(
                generation, choice, self._defaults, self._vocabulary
            ),
            "streaming": True,
            **self._further(generation),
        }
        ends = stop_token_ids(generation, self._defaults)
        begun = self._begin(sequence, request, Reading(sequence, generation, frozenset(ends)))
        self._call(begun, _CALL_S)
        if not self._live:
            self._heard_s = time.monotonic()
        self._live.add(sequence)

    def cancel(self, sequence: int) -> None:
        """Free the sequence's place; no more is told of it."""
        self._live.discard(sequence)
        self._loop.call_soon_threadsafe(self._abort, sequence)

    def step(self) -> list[Progress]:
        """Return what has come of all sequences, once something has, or after a while.

        Raises:
            Exception: the executor is gone.
        """
        told: dict[int, Progress] = {}
        with contextlib.suppress(queue.Empty):
            news = self._news.get(timeout=_STEP_S)
            while True:
                if isinstance(news, Exception):
                    raise news
                if news.sequence in self._live:
                    before = told.get(news.sequence)
                    told[news.sequence] = news if before is None else _together(before, news)
                news = self._news.get_nowait()
        if told:
            self._heard_s = time.monotonic()
        elif time.monotonic() - self._heard_s > _SILENCE_S:
            raise TimeoutError("the executor has gone silent")
        self._live -= {done.sequence for done in told.values() if done.finish_reason is not None}
        return list(told.values())

    def kv_cache(self) -> KvCache:
        """Return the size of the KV cache."""
        return self._kv_cache

    def kv_cache_usage_ratio(self) -> float:
        """Return the share of the KV cache in use, when the executor last told."""
        return self._usage

    def close(self) -> None:
        """Stop the executor, and give the GPUs back."""
        self._llm.shutdown()
        self._call(self._leave(), _CALL_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _further(self, generation: Generation) -> dict[str, Any]:
        """Return the arguments that only some requests, or only some versions, have."""
        further: dict[str, Any] = {}
        if generation.adapter:
            further["lora_request"] = self._adapters[generation.adapter]
        if generation.cache_salt and "cache_salt" in self._optional:
            further["cache_salt"] = generation.cache_salt
        if "priority" in self._optional:
            # Theirs is from 0 to 1, and the highest goes first.
            further["priority"] = 1 - generation.priority / _LOWEST_PRIORITY
        if generation.trace_headers and "trace_headers" in self._optional:
            further["trace_headers"] = generation.trace_headers
        return further

    def _call(self, coroutine: Coroutine[Any, Any, Result], limit_s: float) -> Result:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(limit_s)

    async def _warm_up(self) -> KvCache:
        """Generate a token, and return the size of the KV cache, which is told with it."""
        given = {"inputs": [0], "sampling_params": SamplingParams(max_tokens=1, detokenize=False)}
        async for _ in self._llm.generate_async(**given, streaming=True):
            pass
        async for stats in self._llm.get_stats_async(timeout=_STATS_S):
            if cache := stats.get("kvCacheStats"):
                return KvCache(cache["maxNumBlocks"], cache["tokensPerBlock"])
        return KvCache(0, 1)

    async def _begin(self, sequence: int, request: dict[str, Any], reading: Reading) -> None:
        output = self._llm.generate_async(**request)
        task = asyncio.create_task(self._read(output, reading))
        self._reads[sequence] = (output, task)
        task.add_done_callback(lambda _: self._reads.pop(sequence, None))

    async def _read(self, output: RequestOutput, reading: Reading) -> None:
        try:
            async for grown in output:
                progress = reading.take(grown)
                if progress is not None:
                    self._news.put(progress)
            if not reading.has_ended:
                self._news.put(reading.failed())
        except RequestError:
            self._news.put(reading.failed())
        except Exception as error:  # noqa: BLE001 - whatever it is, `step` raises it
            self._news.put(error)

    def _abort(self, sequence: int) -> None:
        read = self._reads.get(sequence)
        if read is not None:
            output, task = read
            output.abort()
            task.cancel()

    async def _leave(self) -> None:
        """Cancel what still runs on the loop."""
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=_LEAVE_S)

    async def _follow_stats(self) -> None:
        """Keep the executor's figures, which it has one set of for each iteration."""
        try:
            while True:
                async for stats in self._llm.get_stats_async(timeout=_STATS_S):
                    self._heard_s = time.monotonic()
                    cache = stats.get("kvCacheStats") or {}
                    if cache.get("maxNumBlocks"):
                        self._usage = cache["usedNumBlocks"] / cache["maxNumBlocks"]
                await asyncio.sleep(_STATS_S)
        except Exception as error:  # noqa: BLE001 - whatever it is, `step` raises it
            self._news.put(error)


def _optional(llm: LLM, engine_args: Mapping[str, Any]) -> set[str]:
    """Return the later arguments of `generate_async` that are of use here."""
    optional = {"cache_salt"}
    if "otlp_traces_endpoint" in engine_args:
        optional.add("trace_headers")
    if engine_args.get("scheduler_config", {}).get("waiting_queue_policy") == "priority":
        # Under any other policy, each request with a priority costs a line in the log.
        optional.add("priority")
    return optional & inspect.signature(llm.generate_async).parameters.keys()


def _together(first: Progress, second: Progress) -> Progress:
    return Progress(
        first.sequence,
        first.token_ids + second.token_ids,
        first.logprobs + second.logprobs,
        second.finish_reason,
        [*first.top_logprobs, *second.top_logprobs],
        first.cached_input_tokens + second.cached_input_tokens,
    )
