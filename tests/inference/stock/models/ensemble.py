"""Speaks the contract of NVIDIA's `ensemble`, and of `tensorrt_llm_bls` with `accumulate_tokens`.

Each response is decoded by itself, so that a character whose tokens come apart is lost; not so with
`accumulate_tokens`. A stop text is part of the answer.
"""

# Triton adds the rest of `triton_python_backend_utils` after it has imported this module.
from __future__ import annotations

from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

from tests.inference.stock.models import pocket
from tests.inference.stock.models.pocket import Step, StockModel


class TritonPythonModel(StockModel):
    """The model `ensemble`, or `tensorrt_llm_bls`."""

    async def answer(self, request: pb_utils.InferenceRequest) -> None:
        """Answer one request."""
        sender = request.get_response_sender()
        given = {name: values for name, values in pocket.inputs(request).items() if values}
        one = {name: values[0] for name, values in given.items()}
        try:
            await self._answer(sender, one, given.get("stop_words", []))
        except pocket.CancelledByClientError:
            message = "Request was cancelled"
            pocket.send_error(sender, message, pb_utils.TritonError.CANCELLED)
        except ValueError as error:
            pocket.send_error(sender, str(error))

    async def _answer(
        self, sender: pb_utils.InferenceResponseSender, one: dict[str, Any], stops: list[str]
    ) -> None:
        if "stream" not in one:
            raise ValueError("the executor crashed")
        if one["stream"] and not self.is_decoupled:
            raise ValueError("Streaming is only supported in decoupled mode.")
        accumulates = one["stream"] and "accumulate_tokens" in self.parameters
        begin, counted, logprobs = 0, 0, []
        async for step in self.generate(sender, one["text_input"], **_settings(one)):
            reason = "stop" if pocket.cut(step.text, stops)[1] else step.finish_reason
            logprobs += [logprob for _, logprob in step.logprobs]
            if not one["stream"] and not reason:
                continue
            text = step.text if accumulates else step.data[begin:].decode(errors="replace")
            if not one["stream"] and not one.get("exclude_input_in_output", False):
                text = one["text_input"] + text
            tensors = _response(text, step, step.tokens - counted, logprobs, one)
            pocket.send(sender, tensors, is_last=bool(reason))
            if reason:
                return
            begin, counted, logprobs = len(step.data), step.tokens, []


def _settings(one: dict[str, Any]) -> dict[str, Any]:
    penalties = ("repetition_penalty", "presence_penalty", "frequency_penalty")
    settings = {name: one.get(name) for name in ("temperature", "top_p", "seed", *penalties)}
    settings["top_k"] = one.get("top_k", 1)
    if settings["top_k"] == 1:
        settings |= {"temperature": 0.0, "top_p": None, "top_k": None}
    settings["max_output_tokens"] = one["max_tokens"]
    settings["min_output_tokens"] = one.get("min_tokens")
    match one.get("guided_decoding_guide_type"):
        case "json_schema":
            settings["json_schema"] = one["guided_decoding_guide"]
        case "regex":
            settings["regex"] = one["guided_decoding_guide"]
    return pocket.sampled(settings)


def _response(
    text: str, step: Step, new_tokens: int, logprobs: list[float], one: dict[str, Any]
) -> list[pb_utils.Tensor]:
    tensors = [pocket.texts("text_output", text)]
    if one.get("return_num_output_tokens", False):
        tensors.append(pb_utils.Tensor("num_output_tokens", np.array([new_tokens], np.int32)))
    if one.get("return_log_probs", False):
        told = np.array([logprobs], np.float32)
        tensors.append(pb_utils.Tensor("output_log_probs", told))
    if one.get("return_perf_metrics", False) and step.timings is not None:
        instants = np.cumsum([1000, *step.timings])
        names = ("arrival", "first_scheduled", "first_token", "last_token")
        tensors += [
            pb_utils.Tensor(f"{name}_time_ns", np.array([instant], np.int64))
            for name, instant in zip(names, instants, strict=True)
        ]
    return tensors
