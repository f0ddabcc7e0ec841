"""The executor: a thread that takes all its sequences one token further in each iteration."""

import asyncio
import itertools
import queue
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from tensorrt_llm.executor.pocket import Guided, Pocket, Sequence
from tensorrt_llm.executor.request import LoRARequest
from tensorrt_llm.executor.result import RequestOutput, Response
from tensorrt_llm.sampling_params import SamplingParams

_BLOCKS = 512


@dataclass(slots=True)
class Request:
    """What `generate_async` was called with."""

    prompt: list[int]
    sampling: SamplingParams
    lora: LoRARequest | None = None
    cache_salt: str | None = None
    priority: float = 0.5
    trace_headers: Mapping[str, str] | None = None


class Active(NamedTuple):
    output: RequestOutput
    request: Request
    sequence: Sequence | Guided


class Executor:
    def __init__(self, args: Any) -> None:
        self.args = args
        self.is_shutdown = False
        self.stats: asyncio.Queue[dict[str, Any]] | None = None
        self.requests: list[Request] = []
        """All that were ever submitted, for tests to look at."""
        self.iterations = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ids = itertools.count(1)
        self._inbox: queue.SimpleQueue[tuple[RequestOutput, Request] | int | Exception | None] = (
            queue.SimpleQueue()
        )
        self.active: dict[int, Active] = {}
        self._model = Pocket(Path(args.model))
        self._thread = threading.Thread(target=self._run, name="executor", daemon=True)
        self._thread.start()

    def submit(self, request: Request) -> RequestOutput:
        if self.stats is None:
            self.stats = asyncio.Queue(self.args.max_stats_len)
            self._loop = asyncio.get_running_loop()
        self.requests.append(request)
        output = RequestOutput(next(self._ids), request.prompt, self._inbox.put)
        self._inbox.put((output, request))
        return output

    def crash(self) -> None:
        """Die as of a CUDA error."""
        self._inbox.put(RuntimeError("CUDA error: an illegal memory access was encountered"))

    def vanish(self) -> None:
        """End without a word, as a process that is killed."""
        self._inbox.put(None)

    def shutdown(self) -> None:
        self.is_shutdown = True
        self._inbox.put(None)
        self._thread.join()

    def _run(self) -> None:
        waiting: list[tuple[RequestOutput, Request]] = []
        while True:
            while not self._inbox.empty() or not (self.active or waiting):
                news = self._inbox.get()
                if news is None:
                    return
                if isinstance(news, Exception):
                    self._die(news, [output for output, _ in waiting])
                    return
                if isinstance(news, int):
                    self._cancel(news)
                    waiting = [each for each in waiting if each[0].request_id != news]
                else:
                    waiting.append(news)
            while waiting and len(self.active) < (self.args.max_batch_size or 1):
                self._begin(*waiting.pop(0))
            self._iterate(len(waiting))

    def _begin(self, output: RequestOutput, request: Request) -> None:
        sampling = request.sampling
        if request.lora is not None and not self.args.enable_lora:
            output.put(Response(None, None, None, "LoRA is not enabled"))
        elif self.args.speculative_config is not None and (sampling.logprobs or 0) > 1:
            refused = "Speculative sampler only supports returning the sampled logprob per token"
            output.put(Response(None, None, None, refused))
        elif sampling.guided_decoding is not None and self.args.guided_decoding_backend is None:
            output.put(Response(None, None, None, "guided decoding is not enabled"))
        else:
            sequence = self._model.sequence(request.prompt, sampling)
            self.active[output.request_id] = Active(output, request, sequence)

    def _cancel(self, request_id: int) -> None:
        active = self.active.pop(request_id, None)
        if active is not None:
            active.output.put(Response(None, None, "cancelled"))

    def _die(self, error: Exception, waiting: list[RequestOutput]) -> None:
        self.is_shutdown = True
        for output in [*waiting, *(active.output for active in self.active.values())]:
            output.put(Response(None, None, None, error))
        self.active.clear()

    def _iterate(self, queued: int) -> None:
        for request_id, active in list(self.active.items()):
            sampling = active.request.sampling
            token, logprobs = active.sequence.next()
            reason = None
            if token == self._model.end_id and not sampling.ignore_eos:
                reason = "end_id"
            elif active.sequence.generated >= (sampling.max_tokens or 1 << 30):
                reason = "length"
            elif token in (sampling.stop_token_ids or []):
                reason = "stop_words"
            if reason is not None:
                del self.active[request_id]
            active.output.put(Response(token, logprobs, reason))
        self.iterations += 1
        self._tell(queued)

    def _tell(self, queued: int) -> None:
        if not self.args.enable_iter_perf_stats or self._loop is None or self.stats is None:
            return
        per_block = self.args.kv_cache_config.tokens_per_block
        held = sum(
            len(active.request.prompt) + active.sequence.generated
            for active in self.active.values()
        )
        used = min(_BLOCKS, -(-held // per_block))
        told = {
            "iter": self.iterations,
            "iterLatencyMS": 1.0,
            "numActiveRequests": len(self.active),
            "numQueuedRequests": queued,
            "gpuMemUsage": 0,
            "kvCacheStats": {
                "maxNumBlocks": _BLOCKS,
                "freeNumBlocks": _BLOCKS - used,
                "usedNumBlocks": used,
                "tokensPerBlock": per_block,
                "reusedBlocks": 3,
                "missedBlocks": 1,
                "cacheHitRate": 0.75,
            },
            "inflightBatchingStats": {
                "numScheduledRequests": len(self.active),
                "numContextRequests": 0,
                "numGenRequests": len(self.active),
                "numPausedRequests": 0,
                "numCtxTokens": 0,
                "avgNumDecodedTokensPerIter": 1.0,
            },
        }
        self._loop.call_soon_threadsafe(_put, self.stats, told)


def _put(stats: asyncio.Queue[dict[str, Any]], told: dict[str, Any]) -> None:
    if not stats.full():
        stats.put_nowait(told)
