"""Whole meshes, started as a person starts them: `catenary up`, in each placement."""

import os
import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent import futures
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.trace.v1 import trace_pb2

from infra.local import ports

_START_S = 90.0
_STOP_S = 30.0
_TRACE_S = 30.0
CATENARY = Path(sys.executable).with_name("catenary")


@dataclass(frozen=True, slots=True)
class ReceivedSpan:
    """A span, with the process that sent it."""

    service: str
    span: trace_pb2.Span


class OtlpReceiver(trace_service_pb2_grpc.TraceServiceServicer):
    """A real OTLP/gRPC receiver of traces."""

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._spans: list[ReceivedSpan] = []

    def Export(  # noqa: N802 - gRPC's name
        self, request: trace_service_pb2.ExportTraceServiceRequest, context: object
    ) -> trace_service_pb2.ExportTraceServiceResponse:
        del context
        with self._lock:
            for resource in request.resource_spans:
                service = next(
                    attribute.value.string_value
                    for attribute in resource.resource.attributes
                    if attribute.key == "service.name"
                )
                for scope in resource.scope_spans:
                    self._spans += [ReceivedSpan(service, span) for span in scope.spans]
            self._lock.notify_all()
        return trace_service_pb2.ExportTraceServiceResponse()

    def trace(self, trace_id: bytes, caller: bytes, names: set[str]) -> list[ReceivedSpan]:
        """Wait for spans of all the names whose parents have all come, up to the caller's own."""
        found: list[ReceivedSpan] = []

        def is_whole() -> bool:
            found[:] = [one for one in self._spans if one.span.trace_id == trace_id]
            known = {one.span.span_id for one in found} | {caller}
            return names <= {one.span.name for one in found} and all(
                one.span.parent_span_id in known for one in found
            )

        with self._lock:
            if not self._lock.wait_for(is_whole, _TRACE_S):
                shown = [(one.service, one.span.name) for one in found]
                raise AssertionError(f"no whole trace within {_TRACE_S} s: {shown}")
        return found


@pytest.fixture(scope="session")
def otlp() -> Iterator[tuple[OtlpReceiver, str]]:
    receiver = OtlpReceiver()
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(receiver, server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield receiver, f"http://127.0.0.1:{port}"
    server.stop(grace=None).wait()


@dataclass(slots=True)
class Mesh:
    """A running mesh."""

    placement: str
    process: subprocess.Popen[str]
    ports: ports.Ports
    state_dir: Path
    base: int
    lines: "queue.Queue[str]" = field(default_factory=queue.Queue)
    said: list[str] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.ports.edge}"

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    def line_with(self, text: str, timeout_s: float) -> str:
        """Wait for a line of what `catenary up` prints."""
        while True:
            try:
                line = self.lines.get(timeout=timeout_s)
            except queue.Empty:
                raise AssertionError(f"no {text!r} within {timeout_s} s in {self.said}") from None
            if text in line:
                return line
            if not line:
                raise AssertionError(f"no {text!r} before the end of {self.said}")


def free_base() -> int:
    """Find a base from which all ports of a mesh are free."""
    for base in range(26000, 32000, ports.SPAN):
        taken = 0
        for port in range(base, base + ports.SPAN):
            with socket.socket() as probe:
                taken += probe.connect_ex(("127.0.0.1", port)) == 0
        if not taken:
            return base
    raise AssertionError("no free ports")


def start(state_dir: Path, placement: str, *options: str, config: str = "") -> Mesh:
    """Start a mesh, and wait until it says that it is ready."""
    state_dir.mkdir(parents=True, exist_ok=True)
    file = state_dir / "mesh.yaml"
    file.write_text(config)
    base = free_base()
    command = [
        *(str(CATENARY), "up", "--config", str(file), "--placement", placement),
        *("--port-base", str(base), "--state-dir", str(state_dir), *options),
    ]
    return started(command, base, state_dir, dict(os.environ), placement)


def started(
    command: Sequence[str],
    base: int,
    state_dir: Path,
    environment: Mapping[str, str],
    placement: str = "single",
) -> Mesh:
    """Run a command that starts a mesh, and wait until it says that it is ready."""
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    )
    mesh = Mesh(placement, process, ports.based(base), state_dir, base)
    threading.Thread(target=_pump, args=(mesh,), daemon=True).start()
    mesh.line_with("Ready after", _START_S)
    return mesh


def _pump(mesh: Mesh) -> None:
    assert mesh.process.stdout is not None
    for line in mesh.process.stdout:
        mesh.said.append(line)
        mesh.lines.put(line)
    mesh.lines.put("")


def stop(mesh: Mesh) -> int:
    """Stop a mesh as Ctrl-C does; return its exit code."""
    with mesh.process:
        mesh.process.terminate()
        try:
            return mesh.process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            mesh.process.kill()
            raise


@pytest.fixture(scope="session", params=["single", "split"])
def mesh(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    otlp: tuple[OtlpReceiver, str],
) -> Iterator[Mesh]:
    placement = cast("str", request.param)
    config = f"telemetry:\n  otlp_endpoint: {otlp[1]}\n"
    running = start(tmp_path_factory.mktemp(placement), placement, config=config)
    yield running
    assert stop(running) == 0
    assert not [line for line in running.said if "starts again" in line], "a part died unasked"
