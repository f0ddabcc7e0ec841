"""The arguments of `LLM`, of which an unknown one is an error, at any depth."""

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tensorrt_llm import __version__


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class KvCacheConfig(Strict):
    enable_block_reuse: bool = True
    max_tokens: int | None = None
    max_attention_window: list[int] | None = None
    sink_token_length: int | None = None
    free_gpu_memory_fraction: Annotated[float, Field(ge=0, le=1)] | None = 0.9
    host_cache_size: int | None = None
    onboard_blocks: bool = True
    event_buffer_max_size: int = 0
    enable_partial_reuse: bool = True
    copy_on_partial_reuse: bool = True
    max_gpu_total_bytes: Annotated[int, Field(ge=0)] = 0
    dtype: str = "auto"
    tokens_per_block: int = 32


class CapacitySchedulerPolicy(StrEnum):
    MAX_UTILIZATION = "MAX_UTILIZATION"
    GUARANTEED_NO_EVICT = "GUARANTEED_NO_EVICT"
    STATIC_BATCH = "STATIC_BATCH"


class ContextChunkingPolicy(StrEnum):
    FIRST_COME_FIRST_SERVED = "FIRST_COME_FIRST_SERVED"
    EQUAL_PROGRESS = "EQUAL_PROGRESS"


class WaitingQueuePolicy(StrEnum):
    FCFS = "fcfs"
    if __version__.startswith("1.4"):
        PRIORITY = "priority"


class SchedulerConfig(Strict):
    capacity_scheduler_policy: CapacitySchedulerPolicy = CapacitySchedulerPolicy.GUARANTEED_NO_EVICT
    context_chunking_policy: ContextChunkingPolicy | None = None
    waiting_queue_policy: WaitingQueuePolicy = WaitingQueuePolicy.FCFS
    if __version__.startswith("1.4"):
        enable_prefix_aware_scheduling: bool = True


class Decoding(Strict):
    max_draft_len: int | None = None
    speculative_model: str | None = None
    acceptance_window: int | None = None
    acceptance_length_threshold: float | None = None
    allow_advanced_sampling: bool = False

    @model_validator(mode="after")
    def _drafts(self) -> "Decoding":
        if not self.max_draft_len and not isinstance(self, MTPDecodingConfig):
            raise ValueError(f"max_draft_len must be > 0 for {type(self).__name__}")
        return self


class Eagle3DecodingConfig(Decoding):
    decoding_type: Literal["Eagle3"] = "Eagle3"
    eagle3_one_model: bool | None = True
    eagle3_layers_to_capture: set[int] | None = None

    @model_validator(mode="after")
    def _has_model(self) -> "Eagle3DecodingConfig":
        if self.speculative_model is None:
            raise ValueError("Draft model must be provided for EAGLE")
        return self


class DraftTargetDecodingConfig(Decoding):
    decoding_type: Literal["Draft_Target"] = "Draft_Target"


class NGramDecodingConfig(Decoding):
    decoding_type: Literal["NGram"] = "NGram"
    max_matching_ngram_size: Annotated[int, Field(gt=0)] = 2
    is_keep_all: bool = True
    is_use_oldest: bool = True
    is_public_pool: bool = True


class MTPDecodingConfig(Decoding):
    decoding_type: Literal["MTP"] = "MTP"
    num_nextn_predict_layers: Annotated[int, Field(gt=0)] = 1


SpeculativeConfig = Annotated[
    Eagle3DecodingConfig | DraftTargetDecodingConfig | NGramDecodingConfig | MTPDecodingConfig,
    Field(discriminator="decoding_type"),
]


class LoraConfig(Strict):
    lora_dir: list[str] = []
    lora_ckpt_source: Literal["hf", "nemo"] = "hf"
    max_lora_rank: int = 64
    lora_target_modules: list[str] = []
    max_loras: int | None = None
    max_cpu_loras: int | None = None


class CudaGraphConfig(Strict):
    batch_sizes: list[int] | None = None
    max_batch_size: int = 0
    enable_padding: bool = False


class QuantConfig(Strict):
    """Filled in from the checkpoint; the PyTorch backend takes none as an argument."""

    quant_algo: str | None = None
    kv_cache_quant_algo: str | None = None


class TorchLlmArgs(Strict):
    model: str
    tokenizer: Any = None
    tokenizer_mode: Literal["auto", "slow"] = "auto"
    skip_tokenizer_init: bool = False
    trust_remote_code: bool = False
    tensor_parallel_size: int = 1
    dtype: str = "auto"
    revision: str | None = None
    tokenizer_revision: str | None = None
    model_kwargs: dict[str, Any] | None = None
    pipeline_parallel_size: int = 1
    context_parallel_size: int = 1
    gpus_per_node: int | None = None
    moe_tensor_parallel_size: int | None = None
    moe_expert_parallel_size: int | None = None
    enable_attention_dp: bool = False
    enable_lora: bool = False
    lora_config: LoraConfig | None = None
    kv_cache_config: KvCacheConfig = Field(default_factory=KvCacheConfig)
    enable_chunked_prefill: bool = False
    guided_decoding_backend: Literal["xgrammar", "llguidance"] | None = None
    iter_stats_max_iterations: int | None = None
    scheduler_config: SchedulerConfig = Field(default_factory=SchedulerConfig)
    speculative_config: SpeculativeConfig | None = None
    max_batch_size: int | None = 2048
    max_input_len: int | None = 1024
    max_seq_len: int | None = None
    max_beam_width: int | None = 1
    max_num_tokens: int | None = 8192
    otlp_traces_endpoint: str | None = None
    backend: Literal["pytorch"] = "pytorch"
    return_perf_metrics: bool = False
    orchestrator_type: Literal["rpc", "ray"] | None = None
    cuda_graph_config: CudaGraphConfig | None = Field(default_factory=CudaGraphConfig)
    disable_overlap_scheduler: bool = False
    attn_backend: str = "TRTLLM"
    sampler_type: str = "auto"
    enable_iter_perf_stats: bool = False
    enable_iter_req_stats: bool = False
    load_format: str = "auto"
    stream_interval: Annotated[int, Field(gt=0)] = 1
    force_dynamic_quantization: bool = False
    max_stats_len: int = 1000


_CONVERTED = {"lora_config": LoraConfig, "kv_cache_config": KvCacheConfig}


def update_llm_args_with_extra_dict(
    llm_args: dict[str, Any],
    llm_args_dict: dict[str, Any],
    extra_llm_api_options: str | None = None,
) -> dict[str, Any]:
    del extra_llm_api_options
    for name, form in _CONVERTED.items():
        if name in llm_args_dict:
            llm_args_dict[name] = form(**llm_args_dict[name])
    return llm_args | llm_args_dict
