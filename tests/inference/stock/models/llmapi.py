"""Speaks the contract of NVIDIA's `llmapi`, with every quirk that its clients meet.

With the parameter `is_streaming_broken` it is that of TensorRT-LLM 1.2, whose `streaming` goes
astray: the one response holds everything.
"""

# Triton adds the rest of `triton_python_backend_utils` after it has imported this module.
from __future__ import annotations

from typing import Any

import triton_python_backend_utils as pb_utils

from tests.inference.stock.models import pocket
from tests.inference.stock.models.pocket import Step, StockModel

_DEFAULT_MAX_TOKENS = 32
_PREFIX = "sampling_param_"


class TritonPythonModel(StockModel):
    """The model `tensorrt_llm` of `all_models/llmapi`."""

    async def answer(self, request: pb_utils.InferenceRequest) -> None:
        """Answer one request."""
        sender = request.get_response_sender()
        given = {name: values for name, values in pocket.inputs(request).items() if values}
        one = {name: values[0] for name, values in given.items()}
        try:
            await self._answer(sender, one, given.get(f"{_PREFIX}stop", []))
        except pocket.CancelledByClientError:
            message, code = "Request cancelled by client", pb_utils.TritonError.CANCELLED
            pocket.send_error(sender, message, code)
        except ValueError as error:
            pocket.send_error(sender, f"Error generating request: {error}")

    async def _answer(
        self, sender: pb_utils.InferenceResponseSender, one: dict[str, Any], stops: list[str]
    ) -> None:
        streams = one.get("streaming", False)
        if streams and not self.is_decoupled:
            raise ValueError("Streaming is only supported in decoupled mode.")
        prompt = one["text_input"]
        echo = "" if one.get(f"{_PREFIX}exclude_input_from_output", False) else prompt
        async for step in self.generate(sender, prompt, **_settings(one)):
            text, stop = pocket.cut(step.text, stops)
            reason = "stop" if stop else step.finish_reason
            shows = streams and "is_streaming_broken" not in self.parameters
            if shows or reason:
                tensors = _response(echo + text, reason, stop, step, one)
                pocket.send(sender, tensors, is_last=bool(reason))
            if reason:
                return


def _settings(one: dict[str, Any]) -> dict[str, Any]:
    names = ("temperature", "top_p", "top_k", "frequency_penalty", "presence_penalty", "seed")
    settings = {name: one.get(_PREFIX + name) for name in names}
    # As up to TensorRT-LLM 1.1: a temperature alone is not heeded.
    if settings["top_k"] in (None, 1) and not settings["top_p"]:
        settings |= {"temperature": 0.0, "top_p": None, "top_k": None}
    settings["max_output_tokens"] = one.get(f"{_PREFIX}max_tokens", _DEFAULT_MAX_TOKENS)
    return pocket.sampled(settings)


def _response(
    text: str, reason: str, stop: str, step: Step, one: dict[str, Any]
) -> list[pb_utils.Tensor]:
    """Write what all outputs are sent as: texts, whatever they are declared to be."""
    tensors = [pocket.texts("text_output", text)]
    if one.get("return_finish_reason", False):
        tensors.append(pocket.texts("finish_reason", reason or "None"))
    if one.get("return_stop_reason", False):
        tensors.append(pocket.texts("stop_reason", stop or "None"))
    if one.get(f"{_PREFIX}return_perf_metrics", False) and step.timings is not None:
        instants = {"arrival": 1000}
        instants["first_scheduled"] = instants["arrival"] + step.timings.queue_ns
        instants["first_token"] = instants["first_scheduled"] + step.timings.prefill_ns
        instants["last_token"] = instants["first_token"] + step.timings.decode_ns
        tensors += [
            pocket.texts(f"{name}_time_ns", str(instant)) for name, instant in instants.items()
        ]
        tensors.append(pocket.texts("kv_cache_hit_rate", "0.5"))
    return tensors
