"""The tensors that NVIDIA's models declare, as Triton's configuration has them."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Contract:
    """The tensors of a model: each `name type dimension`, with `?` for what may be left out."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    is_decoupled: bool = True
    max_batch_size: int = 0
    parameters: Mapping[str, str] = field(default_factory=dict)

    def config(self, name: str, parameters: Mapping[str, str]) -> str:
        """Return the `config.pbtxt` of a model that speaks it."""
        lines = [
            f'name: "{name}"',
            'backend: "python"',
            f"max_batch_size: {self.max_batch_size}",
            f"model_transaction_policy {{ decoupled: {str(self.is_decoupled).lower()} }}",
            "instance_group [ { kind: KIND_CPU count: 1 } ]",
            *(f"input [ {{ {_form(each)} }} ]" for each in self.inputs),
            *(f"output [ {{ {_form(each)} }} ]" for each in self.outputs),
        ]
        for key, value in (parameters | self.parameters).items():  # type: ignore[operator]
            lines.append(f'parameters {{ key: "{key}" value: {{ string_value: "{value}" }} }}')
        return "\n".join(lines) + "\n"


def _form(tensor: str) -> str:
    name, datatype, dimension = tensor.rstrip("?").split()
    optional = " optional: true" if tensor.endswith("?") else ""
    return f'name: "{name}" data_type: TYPE_{datatype} dims: [ {dimension} ]{optional}'


_INSTANTS = (
    *("arrival_time_ns INT64 1", "first_scheduled_time_ns INT64 1"),
    *("first_token_time_ns INT64 1", "last_token_time_ns INT64 1"),
)
_DRAFTS = (
    *("acceptance_rate FP32 1", "total_accepted_draft_tokens INT32 1"),
    "total_draft_tokens INT32 1",
)

LLMAPI = Contract(
    inputs=(
        "text_input STRING -1",
        "streaming BOOL 1?",
        "sampling_param_max_tokens INT32 1?",
        "sampling_param_temperature FP32 1?",
        "sampling_param_top_p FP32 1?",
        "sampling_param_frequency_penalty FP32 1?",
        "sampling_param_presence_penalty FP32 1?",
        "sampling_param_top_k INT32 1?",
        "sampling_param_best_of INT32 1?",
        "sampling_param_stop STRING -1?",
        "sampling_param_seed UINT64 1?",
        "sampling_param_exclude_input_from_output BOOL 1?",
        "sampling_param_return_perf_metrics BOOL 1?",
        "return_finish_reason BOOL 1?",
        "return_stop_reason BOOL 1?",
        "return_cumulative_logprob BOOL 1?",
        "stop BOOL 1?",
    ),
    outputs=(
        "text_output STRING -1",
        "finish_reason STRING -1",
        "stop_reason STRING -1",
        "cumulative_logprob FP32 -1",
        "kv_cache_reused_block INT32 1",
        "kv_cache_hit_rate FP32 1",
        "kv_cache_alloc_new_blocks INT32 1",
        "kv_cache_alloc_total_blocks INT32 1",
        "kv_cache_missed_block INT32 1",
        *_INSTANTS,
        *_DRAFTS,
    ),
)
"""`llmapi` of TensorRT-LLM 1.0 to 1.2."""

LLMAPI_1_2 = Contract(LLMAPI.inputs, LLMAPI.outputs, parameters={"is_streaming_broken": "true"})
"""With the one event that TensorRT-LLM 1.2 sends whatever is asked."""

LLMAPI_1_3 = Contract(
    (
        *LLMAPI.inputs,
        *("lora_id UINT64 1?", "lora_name STRING 1?", "lora_path STRING 1?"),
        "lora_ckpt_source STRING 1?",
    ),
    LLMAPI.outputs,
)
"""With adapters, since TensorRT-LLM 1.3."""

LLMAPI_WHOLE = Contract(LLMAPI.inputs, LLMAPI.outputs, is_decoupled=False)
"""As it is shipped: without the transaction policy in `config.pbtxt`."""

_ENSEMBLE_INPUTS = (
    "text_input STRING 1",
    "decoder_text_input STRING 1?",
    "max_tokens INT32 1",
    "num_return_sequences INT32 1?",
    "bad_words STRING -1?",
    "stop_words STRING -1?",
    "exclude_input_in_output BOOL 1?",
    "end_id INT32 1?",
    "pad_id INT32 1?",
    "top_k INT32 1?",
    "top_p FP32 1?",
    "temperature FP32 1?",
    "length_penalty FP32 1?",
    "repetition_penalty FP32 1?",
    "min_tokens INT32 1?",
    "presence_penalty FP32 1?",
    "frequency_penalty FP32 1?",
    "seed UINT64 1?",
    "return_log_probs BOOL 1?",
    "return_context_logits BOOL 1?",
    "return_generation_logits BOOL 1?",
    "return_perf_metrics BOOL 1?",
    "return_num_input_tokens BOOL 1?",
    "return_num_output_tokens BOOL 1?",
    "beam_width INT32 1?",
    "stream BOOL 1?",
    "prompt_vocab_size INT32 1?",
    "embedding_bias_words STRING -1?",
    "embedding_bias_weights FP32 -1?",
    "lora_task_id UINT64 1?",
    "guided_decoding_guide_type STRING 1?",
    "guided_decoding_guide STRING 1?",
)
_ENSEMBLE_OUTPUTS = (
    "text_output STRING -1",
    "cum_log_probs FP32 -1",
    "output_log_probs FP32 -1,-1",
    "batch_index INT32 1",
    "sequence_index INT32 1",
    "kv_cache_alloc_new_blocks INT32 1",
    "kv_cache_reused_blocks INT32 1",
    "kv_cache_alloc_total_blocks INT32 1",
    *_INSTANTS,
    *_DRAFTS,
    "num_input_tokens INT32 1",
    "num_output_tokens INT32 1",
)
_GUIDES = ("guided_decoding_guide_type STRING 1?", "guided_decoding_guide STRING 1?")
_COUNTS = ("return_num_input_tokens BOOL 1?", "return_num_output_tokens BOOL 1?")

ENSEMBLE = Contract(_ENSEMBLE_INPUTS, _ENSEMBLE_OUTPUTS, max_batch_size=8)
"""`ensemble` of TensorRT-LLM 1.2."""

ENSEMBLE_OLD = Contract(
    tuple(each for each in _ENSEMBLE_INPUTS if each not in (*_GUIDES, *_COUNTS)),
    tuple(each for each in _ENSEMBLE_OUTPUTS if not each.startswith("num_")),
)
"""As it was before it counted tokens and could be guided."""

BLS = Contract(
    _ENSEMBLE_INPUTS,
    _ENSEMBLE_OUTPUTS,
    max_batch_size=8,
    parameters={"accumulate_tokens": "true"},
)
"""`tensorrt_llm_bls` of TensorRT-LLM 1.2."""

VLLM = Contract(
    inputs=(
        "text_input STRING 1",
        "image STRING -1?",
        "stream BOOL 1?",
        "sampling_parameters STRING 1?",
        "exclude_input_in_output BOOL 1?",
        "return_finish_reason BOOL 1?",
        "return_cumulative_logprob BOOL 1?",
        "return_logprobs BOOL 1?",
        "return_num_input_tokens BOOL 1?",
        "return_num_output_tokens BOOL 1?",
        "embedding_request STRING 1?",
    ),
    outputs=(
        "text_output STRING -1",
        "finish_reason STRING -1",
        "cumulative_logprob FP32 -1",
        "logprobs STRING -1",
        "num_input_tokens UINT32 1",
        "num_output_tokens UINT32 -1",
    ),
)
"""Triton's vLLM backend of 2026."""
