"""How the engine's processes are started."""

from dataclasses import dataclass
from enum import StrEnum


class EngineName(StrEnum):
    """The engines that there are."""

    OPENVINO = "openvino"
    TENSORRT_LLM = "tensorrt_llm"


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """An engine, and how it is to run its model."""

    python: str
    """The interpreter that runs it."""
    model: str
    """The folder with the model's files."""
    max_sequences: int
    """The most sequences generated at once."""
    kv_cache_mib: int
    """The memory of the paged KV cache."""
    stream_interval_ms: float
    """How long tokens may pile up before they leave together; the first never waits."""
    engine: EngineName = EngineName.OPENVINO
    engine_args: str = "{}"
    """Further arguments of the engine `tensorrt_llm`, as a JSON object."""
    adapters: str = "{}"
    """The folders of its low-rank adapters by name, as a JSON object."""


def worker(settings: EngineSettings, triton: int | None = None) -> list[str]:
    """Return the command of the engine's process, without its `--socket`.

    `triton` is Triton's process, where it hosts the engine.
    """
    return [
        *(settings.python, "-m", "infra.engine.worker"),
        *(() if triton is None else ("--triton", str(triton))),
        *("--model", settings.model),
        *("--max-sequences", str(settings.max_sequences)),
        *("--kv-cache-mib", str(settings.kv_cache_mib)),
        *("--stream-interval-ms", f"{settings.stream_interval_ms:g}"),
        *("--engine", settings.engine),
        *("--engine-args", settings.engine_args),
        *("--adapters", settings.adapters),
    ]


def guide_worker(settings: EngineSettings) -> list[str]:
    """Return the command of the process that tries guides."""
    module = "infra.engine.guide_worker"
    if settings.engine is EngineName.TENSORRT_LLM:
        module = "infra.engine.tensorrt_llm.guide_worker"
    return [settings.python, "-m", module, "--model", settings.model]
