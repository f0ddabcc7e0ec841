"""The model as Triton's Python backend runs it; the engine has a process of its own."""

# Triton adds the rest of `triton_python_backend_utils` after it has imported this module.
from __future__ import annotations

import asyncio
import json
import logging
import os
import select
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import triton_python_backend_utils as pb_utils

from infra.engine import command
from infra.engine.admission import Admission, Limits
from infra.engine.command import EngineName, EngineSettings
from infra.engine.engine import Generation
from infra.engine.failure import Failure, Reason
from infra.engine.guides import GuideChecker
from infra.engine.process import START_S, EngineProcess
from infra.engine.serving import Serving
from infra.engine.spans import EngineSpans
from infra.triton import contract, tensors
from infra.triton.caller import TritonCaller, leave, watch
from infra.triton.metrics import EngineMetrics

_log = logging.getLogger(__name__)

_START_S = {EngineName.OPENVINO: START_S, EngineName.TENSORRT_LLM: 3600.0}
"""The largest models come from disk at some 100 GiB a minute, and are tuned to the GPU then."""
_STOP_S = 15.0
_TRACE_HEADERS = ("traceparent", "tracestate")


class TritonPythonModel:
    """What Triton calls; all the work is done on a loop in a thread of its own."""

    def initialize(self, args: Mapping[str, str]) -> None:
        """Start the engine, and return when it is loaded.

        Raises:
            ConnectionError: the engine cannot be started.
        """
        logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(name)s: %(message)s")
        config = json.loads(args["model_config"])
        self._settings = {key: value["string_value"] for key, value in config["parameters"].items()}
        self._context_window = int(self._settings["context_window"])
        self._vocabulary = int(self._settings["vocabulary"])
        self._provider = _provider(self._settings["otlp_endpoint"])
        name = args["model_name"]
        engine = _engine_settings(self._settings)
        self._serving = Serving(
            EngineProcess(command.worker(engine, os.getppid()), _START_S[engine.engine]),
            Admission(_limits(self._settings), time.monotonic),
            GuideChecker(command.guide_worker(engine)),
            EngineMetrics(name),
            EngineSpans(self._provider.get_tracer("catenary"), name) if self._provider else None,
            self._context_window,
        )
        self._stopped = threading.Event()
        self._loop = asyncio.new_event_loop()
        server = os.pidfd_open(os.getppid())
        threading.Thread(target=_end_with, args=(server,), name="server", daemon=True).start()
        self._thread = threading.Thread(target=self._loop.run_forever, name="serving", daemon=True)
        self._thread.start()
        self._tasks = asyncio.run_coroutine_threadsafe(self._run(), self._loop)
        ready = asyncio.run_coroutine_threadsafe(self._serving.process.ready(), self._loop)
        try:
            ready.result(self._serving.process.start_s)
        except (ConnectionError, TimeoutError):
            self.finalize()
            raise

    def execute(self, requests: Sequence[pb_utils.InferenceRequest]) -> None:
        """Take requests in; their responses come later, through their senders."""
        for request in requests:
            sender = request.get_response_sender()
            parameters = json.loads(request.parameters())
            if contract.LEAVES in parameters:
                self._loop.call_soon_threadsafe(leave, self._serving, parameters[contract.LEAVES])
                tensors.send(sender, tensors.accepted(), is_last=True)
                continue
            try:
                generation = self._read(request)
            except ValueError as error:
                field, _, problem = str(error).partition(": ")
                refused = tensors.error(Failure(Reason.INVALID, problem, field=field))
                tensors.send(sender, refused, is_last=True)
            else:
                caller = TritonCaller(request.request_id(), sender, self._serving.load)
                self._loop.call_soon_threadsafe(
                    self._serving.accept, generation, caller, self._trace(parameters)
                )

    def finalize(self) -> None:
        """Stop the engine."""
        self._tasks.cancel()
        self._stopped.wait(_STOP_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        if self._provider is not None:
            self._provider.shutdown()

    async def _run(self) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._serving.run())
                tasks.create_task(watch(self._serving))
        except* Exception:
            _log.exception("defect: the model serves no more")
            raise
        finally:
            self._stopped.set()

    def _read(self, request: pb_utils.InferenceRequest) -> Generation:
        try:
            generation = tensors.read(request, self._context_window)
        except msgspec.ValidationError as error:
            problem, _, path = str(error).partition(" - at `$.")
            raise ValueError(f"{path.rstrip('`')}: {problem}") from None
        if max(generation.input_ids) >= self._vocabulary:
            raise ValueError(f"input_ids: token ids must be below {self._vocabulary}")
        return generation

    def _trace(self, parameters: Mapping[str, str]) -> Mapping[str, str]:
        if self._provider is None:
            return {}
        return {key: parameters[key] for key in _TRACE_HEADERS if key in parameters}


def _end_with(server: int) -> None:
    """End once Triton has: its stub outlives a Triton that was killed, and holds on to the engine.

    In a thread of its own, since the loop may wait for that very Triton to take a response.
    """
    select.select([server], [], [])
    os._exit(1)


def _limits(settings: Mapping[str, str]) -> Limits:
    return Limits(
        sequences=int(settings["max_sequences"]),
        tokens=int(settings["max_tokens"]),
        waiting=int(settings["max_queue"]),
        waiting_tokens=int(settings["max_waiting_tokens"]),
    )


def _engine_settings(settings: Mapping[str, str]) -> EngineSettings:
    return EngineSettings(
        python=settings["python"],
        model=settings["path"],
        max_sequences=int(settings["max_sequences"]),
        kv_cache_mib=int(settings["kv_cache_mib"]),
        stream_interval_ms=float(settings["stream_interval_ms"]),
        engine=EngineName(settings["engine"]),
        engine_args=settings["engine_args"],
        adapters=settings["adapters"],
    )


def _provider(endpoint: str) -> Any:
    if not endpoint:
        return None
    from services import instrumentation  # noqa: PLC0415 - the SDK is an extra

    return instrumentation.provider(endpoint, "engine")
