"""Speaks the contract of Triton's vLLM backend.

vLLM shows nothing that may begin a stop text, and counts the token that ended the choice.
"""

# Triton adds the rest of `triton_python_backend_utils` after it has imported this module.
from __future__ import annotations

import json
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

from infra.engine import stops as stop_texts
from infra.engine.vocabulary import Vocabulary
from tests.inference.stock.models import pocket
from tests.inference.stock.models.pocket import StockModel

_END = 2
_MADE_UP = 100
_RENAMED = {"max_tokens": "max_output_tokens", "min_tokens": "min_output_tokens"}
_KNOWN = {
    *("temperature", "top_p", "top_k", "min_p", "seed", *_RENAMED),
    *("presence_penalty", "frequency_penalty", "repetition_penalty"),
}
_DEFAULTS: dict[str, Any] = {"temperature": 1.0, "max_tokens": 16}


class TritonPythonModel(StockModel):
    """A model with `backend: "vllm"`."""

    async def answer(self, request: pb_utils.InferenceRequest) -> None:
        """Answer one request."""
        sender = request.get_response_sender()
        one = {name: values[0] for name, values in pocket.inputs(request).items()}
        try:
            await self._answer(sender, one)
        except pocket.CancelledByClientError:
            message = "Request was cancelled"
            pocket.send_error(sender, message, pb_utils.TritonError.CANCELLED)
        except (TypeError, ValueError) as error:
            pocket.send_error(sender, f"Error generating stream: {error}")

    async def _answer(self, sender: pb_utils.InferenceResponseSender, one: dict[str, Any]) -> None:
        streams = one.get("stream", False)
        excludes = one.get("exclude_input_in_output", streams)
        if streams and not excludes:
            message = "When streaming, `exclude_input_in_output` = False is not allowed."
            raise ValueError(message)
        sampling = _DEFAULTS | json.loads(one["sampling_parameters"])
        stops = sampling.pop("stop", [])
        rivals = sampling.pop("logprobs", None)
        vocabulary = Vocabulary.read(self.model / "tokenizer.json")
        ids = {data: token for token, data in enumerate(vocabulary.tokens)}
        shown, counted = 0, 0
        logprobs: list[dict[int, dict[str, Any]]] = []
        async for step in self.generate(sender, one["text_input"], **_settings(sampling)):
            text, stop = pocket.cut(step.text, stops)
            reason = "stop" if stop else step.finish_reason
            ends = reason == "stop" and not stop
            logprobs += [
                _place(ids[data], data, logprob, rivals or 0) for data, logprob in step.logprobs
            ]
            if ends:
                logprobs.append(_place(_END, b"", -0.5, rivals or 0))
            if not streams and not reason:
                continue
            safe = len(text) if reason else stop_texts.safe_length(text.rstrip("\ufffd"), stops)
            prompt = "" if excludes else one["text_input"]
            new_tokens = step.tokens - counted + ends
            tensors = [pocket.texts("text_output", prompt + text[shown:safe])]
            tensors += _extras(one, self._input_tokens(one), reason, new_tokens)
            if one.get("return_logprobs", False):
                told = "null" if rivals is None else json.dumps(logprobs)
                tensors.append(pocket.texts("logprobs", told))
            pocket.send(sender, tensors, is_last=bool(reason))
            if reason:
                return
            shown, counted, logprobs = safe, step.tokens, []

    def _input_tokens(self, one: dict[str, Any]) -> int:
        return len(self.tokenizer.encode(one["text_input"]).ids)


def _place(token: int, data: bytes, logprob: float, rivals: int) -> dict[int, dict[str, Any]]:
    """Write a token with its rivals: itself, as the likeliest, and others that are made up."""
    told = {token: {"logprob": logprob, "rank": 1, "decoded_token": data.decode(errors="replace")}}
    for rank in range(2, rivals + 1):
        other = {"logprob": logprob - rank, "rank": rank, "decoded_token": "?"}
        told[_MADE_UP + rank] = other
    return told


def _settings(sampling: dict[str, Any]) -> dict[str, Any]:
    guide = json.loads(sampling.pop("structured_outputs", "{}"))
    unknown = set(sampling) - _KNOWN
    if unknown:
        # What vLLM does not know ends as no parameters at all.
        raise TypeError("'NoneType' object has no attribute 'lora_name'")
    settings = {_RENAMED.get(name, name): value for name, value in sampling.items()}
    if "json" in guide:
        settings["json_schema"] = json.dumps(guide["json"])
    return settings | {name: guide[name] for name in ("regex", "structural_tag") if name in guide}


def _extras(
    one: dict[str, Any], input_tokens: int, reason: str, new_tokens: int
) -> list[pb_utils.Tensor]:
    tensors = []
    if one.get("return_finish_reason", False):
        tensors.append(pocket.texts("finish_reason", reason or "None"))
    if one.get("return_num_output_tokens", False):
        tensors.append(pb_utils.Tensor("num_output_tokens", np.array([new_tokens], np.uint32)))
    if one.get("return_num_input_tokens", False):
        # A tensor without dimensions, as vLLM's backend makes it.
        tensors.append(pb_utils.Tensor("num_input_tokens", np.asarray(input_tokens, np.uint32)))
    return tensors
