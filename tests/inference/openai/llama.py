"""llama.cpp's own server with the pocket model: as a program, and as what starts and stops it."""

import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import xllamacpp

from tests.models.making import pocket_weights, write_gguf

_READY_S = 60.0


@contextmanager
def llama_server(folder: Path, *, port: int = 0, embeds: bool = False) -> Iterator[str]:
    """Give the root of its API; one that embeds generates nothing."""
    model = folder / "pocket.gguf"
    if not model.exists():
        write_gguf(model, pocket_weights())
    log = folder / "llama.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(model), str(port), "embeds" if embeds else ""],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=output,
        )
    assert process.stdin
    assert process.stdout
    try:
        ready, _, _ = select.select([process.stdout], [], [], _READY_S)
        address = process.stdout.readline().decode().strip() if ready else ""
        assert address, log.read_text()
        yield f"{address}/v1"
    finally:
        process.kill()
        process.communicate()


def main(model: str, port: str, embeds: str) -> None:
    """Serve until standard input ends, as it does when whoever started this is gone."""
    parameters = xllamacpp.CommonParams()
    parameters.model.path = model
    parameters.port = int(port)
    if embeds:
        parameters.embedding = True
        parameters.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    parameters.n_ctx = 4 * 2048
    parameters.n_parallel = 4
    parameters.cpuparams.n_threads = 1
    parameters.cache_ram_mib = 0
    # Temperature comes last in its samplers; by default these would leave it nothing to choose.
    parameters.sampling.top_k = 0
    parameters.sampling.top_p = 1
    parameters.sampling.min_p = 0
    server = xllamacpp.Server(parameters)
    print(server.listening_address, flush=True)  # noqa: T201 - the parent reads it
    sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
