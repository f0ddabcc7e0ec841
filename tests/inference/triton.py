"""Starts and stops real Triton for tests, and looks into it."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import grpc
from prometheus_client import CollectorRegistry

from catenary.config.v1 import models_pb2
from infra.triton import repository, server
from services import config, models
from services.inference import Inference, backends
from services.inference.backends import Resources
from services.inference.engine_metrics import EngineCollector
from services.inference.load import LoadReports
from services.inference.openai.client import HttpClient
from services.tracing import Tracing
from services.transport import OPTIONS
from tests.fakes import Catalogued

POCKET = Path(config.POCKET.path)
_READY_S = 60.0


@dataclass(frozen=True)
class Triton:
    """A running Triton."""

    process: subprocess.Popen[bytes]
    ports: server.Ports
    log: Path

    def metric(self, name: str, model: str = "pocket", reason: str = "") -> float:
        """Return a metric of a model's, as Triton shows it now; 0 while it shows none."""
        lines = self.metrics().splitlines()
        labels = f'model="{model}",reason="{reason}"' if reason else f'model="{model}"'
        found = [line for line in lines if line.startswith(f"{name}{{{labels}}}")]
        return float(found[0].rpartition(" ")[2]) if found else 0.0

    def metrics(self) -> str:
        """Return all that Triton shows now."""
        url = f"http://127.0.0.1:{self.ports.metrics}/metrics"
        with urllib.request.urlopen(url, timeout=5) as response:
            shown: str = response.read().decode()
        return shown

    def index(self, model: str) -> str:
        """Return how far Triton is with a model in its repository; empty when it has none such."""
        url = f"http://127.0.0.1:{self.ports.http}/v2/repository/index"
        request = urllib.request.Request(url, method="POST")
        with urllib.request.urlopen(request, timeout=5) as response:  # noqa: S310 - Triton's own
            models = json.load(response)
        return next((str(each.get("state", "")) for each in models if each["name"] == model), "")

    def children(self) -> dict[int, str]:
        """Return the processes below Triton, with their command lines."""
        return _children(self.process.pid)

    def worker(self, max_sequences: int) -> int:
        """Return the process of the engine that runs so many sequences."""
        wanted = f"--max-sequences {max_sequences} "
        (found,) = (pid for pid, command in self.children().items() if wanted in command)
        return found


def served(
    name: str = "pocket", *, max_sequences: int = 64, max_queue: int = 256, kv_cache_mib: int = 64
) -> repository.ServedModel:
    """Describe the pocket model, as Triton is to serve it."""
    return repository.ServedModel(name, POCKET, max_sequences, max_queue, kv_cache_mib, 0.02)


def start(folder: Path, *served_models: repository.ServedModel, otlp_endpoint: str = "") -> Triton:
    """Start Triton with models of ours, and return when it is ready."""
    repository.write(folder / "models", list(served_models), sys.executable, otlp_endpoint)
    return launch(folder, server.environment(os.environ))


def launch(folder: Path, environment: Mapping[str, str]) -> Triton:
    """Start Triton with the models in `models` of a folder, and return when it is ready."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
    ports = server.Ports(*(each.getsockname()[1] for each in sockets))
    for each in sockets:
        each.close()
    server.link_backend(folder / "backends")
    log = folder / "triton.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            server.command(ports, folder / "models", folder / "backends", 5),
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    triton = Triton(process, ports, log)
    _wait_until_ready(triton)
    return triton


def stop(triton: Triton) -> int:
    """Stop Triton; return its exit code."""
    triton.process.terminate()
    return triton.process.wait(15)


@asynccontextmanager
async def connected(triton: Triton, *names: str) -> AsyncIterator[Inference]:
    """Give the link in front of a Triton that serves the pocket model under some names."""
    configured = [models_pb2.ModelConfig(name=name, path=str(POCKET)) for name in names]
    address = f"127.0.0.1:{triton.ports.grpc}"
    async with resources_at(address) as resources:
        cards = models.describe(configured)
        served = {
            model.name: await backends.build(model, cards[model.name], resources)
            for model in configured
        }
        yield Inference(served, Catalogued(cards))


@asynccontextmanager
async def resources_at(address: str, loads: LoadReports | None = None) -> AsyncIterator[Resources]:
    """Give what backends share, with Triton at an address."""
    http = HttpClient(CollectorRegistry())
    try:
        async with grpc.aio.insecure_channel(address, options=OPTIONS) as channel:
            yield Resources(
                lambda _: channel, http, Tracing(), EngineCollector(), loads or LoadReports()
            )
    finally:
        await http.close()


def _wait_until_ready(triton: Triton) -> None:
    url = f"http://127.0.0.1:{triton.ports.http}/v2/health/ready"
    deadline = time.monotonic() + _READY_S
    while time.monotonic() < deadline and triton.process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.05)
    triton.process.kill()
    triton.process.wait()
    raise AssertionError(triton.log.read_text())


def _children(pid: int) -> dict[int, str]:
    found = {}
    for listing in Path(f"/proc/{pid}/task").glob("*/children"):
        # A thread, or a child, may end between two looks.
        with suppress(FileNotFoundError, ProcessLookupError):
            for child in map(int, listing.read_text().split()):
                command = Path(f"/proc/{child}/cmdline").read_bytes()
                found[child] = command.replace(b"\0", b" ").decode()
                found |= _children(child)
    return found
