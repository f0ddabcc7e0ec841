"""`LLM` of 1.2.1 and of 1.4: the same, but for the arguments of `generate_async`."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from tensorrt_llm import __version__
from tensorrt_llm.executor.request import LoRARequest
from tensorrt_llm.executor.result import RequestOutput
from tensorrt_llm.executor.worker import Executor, Request
from tensorrt_llm.llmapi.llm_args import TorchLlmArgs
from tensorrt_llm.sampling_params import SamplingParams


class _Base:
    def __init__(
        self,
        model: str | Path,
        tokenizer: Any = None,
        tokenizer_mode: str = "auto",
        skip_tokenizer_init: bool = False,
        trust_remote_code: bool = False,
        tensor_parallel_size: int = 1,
        dtype: str = "auto",
        revision: str | None = None,
        tokenizer_revision: str | None = None,
        **kwargs: Any,
    ) -> None:
        for name in kwargs:
            if name not in TorchLlmArgs.model_fields:
                raise ValueError(f"LLM got invalid argument: {name}")
        self.args = TorchLlmArgs(
            model=str(model),
            tokenizer=tokenizer,
            tokenizer_mode=tokenizer_mode,
            skip_tokenizer_init=skip_tokenizer_init,
            trust_remote_code=trust_remote_code,
            tensor_parallel_size=tensor_parallel_size,
            dtype=dtype,
            revision=revision,
            tokenizer_revision=tokenizer_revision,
            **kwargs,
        )
        self._executor = Executor(self.args)

    async def get_stats_async(self, timeout: float | None = 2) -> AsyncIterator[dict[str, Any]]:
        stats = self._executor.stats
        while stats is not None:
            try:
                async with asyncio.timeout(timeout):
                    told = await stats.get()
            except TimeoutError:
                return
            yield told

    def shutdown(self) -> None:
        self._executor.shutdown()

    def _generate(self, request: Request, *, streaming: bool) -> RequestOutput:
        if self._executor.is_shutdown:
            raise RuntimeError("LLM is shutting down")
        length, limit = len(request.prompt), self.args.max_num_tokens
        if limit and length > limit and not self.args.enable_chunked_prefill:
            raise ValueError(f"The sum of prompt length ({length}.0) should not exceed ({limit})")
        assert streaming, "this fake does nothing else"
        return self._executor.submit(request)


class LLM12(_Base):
    def generate_async(
        self,
        inputs: list[int],
        sampling_params: SamplingParams | None = None,
        lora_request: LoRARequest | None = None,
        prompt_adapter_request: Any = None,
        streaming: bool = False,
        kv_cache_retention_config: Any = None,
        disaggregated_params: Any = None,
        _postproc_params: Any = None,
        scheduling_params: Any = None,
        cache_salt: str | None = None,
    ) -> RequestOutput:
        request = Request(inputs, sampling_params or SamplingParams(), lora_request, cache_salt)
        return self._generate(request, streaming=streaming)


class LLM14(_Base):
    def generate_async(
        self,
        inputs: list[int],
        sampling_params: SamplingParams | None = None,
        lora_request: LoRARequest | None = None,
        prompt_adapter_request: Any = None,
        streaming: bool = False,
        kv_cache_retention_config: Any = None,
        disaggregated_params: Any = None,
        trace_headers: Mapping[str, str] | None = None,
        _postproc_params: Any = None,
        scheduling_params: Any = None,
        conversation_params: Any = None,
        cache_salt: str | None = None,
        priority: float = 0.5,
    ) -> RequestOutput:
        if not 0 <= priority <= 1:
            raise ValueError(f"priority must be in [0, 1], got {priority}")
        request = Request(
            inputs,
            sampling_params or SamplingParams(),
            lora_request,
            cache_salt,
            priority,
            trace_headers,
        )
        output = self._generate(request, streaming=streaming)
        output.error = None
        return output


LLM = LLM14 if __version__.startswith("1.4") else LLM12
