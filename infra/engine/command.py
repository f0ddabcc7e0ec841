"""How the engine's processes are started."""

from dataclasses import dataclass


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


def worker(settings: EngineSettings, host: int) -> list[str]:
    """Return the command of the engine's process, without its `--socket`.

    `host` is the process that goes down with the engine's other end: Triton, or whoever started it.
    """
    return [
        *(settings.python, "-m", "infra.engine.worker"),
        *("--server", str(host)),
        *("--model", settings.model),
        *("--max-sequences", str(settings.max_sequences)),
        *("--kv-cache-mib", str(settings.kv_cache_mib)),
        *("--stream-interval-ms", f"{settings.stream_interval_ms:g}"),
    ]


def guide_worker(settings: EngineSettings) -> list[str]:
    """Return the command of the process that tries guides."""
    return [settings.python, "-m", "infra.engine.guide_worker", "--model", settings.model]
