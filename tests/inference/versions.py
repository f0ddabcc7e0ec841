"""Versions of the pocket model that cannot be taken for each other, and fleets over real Triton."""

import asyncio
import os
import shutil
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from google.protobuf.duration_pb2 import Duration

from catenary.config.v1 import models_pb2 as config_pb
from catenary.v1 import models_pb2
from infra.triton import placement, server
from services.errors import MeshError
from services.inference import Inference
from services.inference.berth import Timing
from services.inference.deployment import Deployment
from services.inference.fleet import Fleet
from services.inference.host import BackendHost
from tests.inference.asking import ask, asking
from tests.inference.triton import POCKET, Triton, launch, resources_at, stop

PROMPT_MARK = "Speak of bridges. "
_CALLERS = 24


def second_version(folder: Path) -> Path:
    """Make a model whose prompts and whose weights are both other ones than the pocket model's."""
    second = folder / "second"
    shutil.copytree(POCKET, second)
    template = (second / "chat_template.jinja").read_text(encoding="utf-8")
    marked = template.replace("{{- text | trim }}", "{{- '" + PROMPT_MARK + "' + text | trim }}")
    assert marked != template
    (second / "chat_template.jinja").write_text(marked, encoding="utf-8")
    weights = second / "openvino_model.bin"
    data = bytearray(weights.read_bytes())
    data[2_500_000:2_600_000] = reversed(data[2_500_000:2_600_000])
    weights.write_bytes(data)
    return second


def model(
    version: int, path: Path = POCKET, *, name: str = "pocket", engine: str = "openvino"
) -> config_pb.ModelConfig:
    """Describe a version as models.yaml would."""
    return config_pb.ModelConfig(
        name=name,
        version=version,
        path=str(path),
        engine=engine,
        max_sequences=64,
        max_queue=256,
        max_waiting_tokens=4_000_000,
        kv_cache_mib=64,
        stream_interval=Duration(nanos=20_000_000),
    )


def configured(*models: config_pb.ModelConfig) -> config_pb.ModelsConfig:
    return config_pb.ModelsConfig(models=models)


@asynccontextmanager
async def fleet_over(triton: Triton, folder: Path, linger_s: float = 1.0) -> AsyncIterator[Fleet]:
    """Give a fleet of one replica of the link, which loads into a Triton."""
    address = f"127.0.0.1:{triton.ports.grpc}"
    async with resources_at(address) as resources:
        deployment = Deployment(resources.channel(""), folder / "models", "")
        fleet = Fleet(BackendHost(resources, deployment), Timing(linger_s=linger_s))
        try:
            yield fleet
        finally:
            await fleet.close()
            deployment.close()


@contextmanager
def emptied(folder: Path) -> Iterator[Triton]:
    """Run a Triton without the models that another one left, which may be killed meanwhile."""
    placement.clear(folder / "models")
    running = launch(folder, server.environment(os.environ))
    yield running
    if running.process.poll() is None:
        assert stop(running) == 0


async def card_when(
    fleet: Fleet, version: int, state: int, name: str = "pocket", problem: str = ""
) -> models_pb2.Model:
    """Wait until a model's card tells a version, a state, and how its problem begins."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        card = (await fleet.cards()).get(name)
        told = (card.version, card.state) if card else None
        if card and told == (version, state) and card.problem.startswith(problem):
            return card
        await asyncio.sleep(0.05)
    raise AssertionError(await fleet.cards())


async def answer_of(fleet: Fleet, name: str = "pocket") -> str:
    """Return a text, with the tokens of its prompt, by which to know the version."""
    request = asking(model=name, temperature=0, max_output_tokens=24)
    answer = await ask(Inference(fleet.models, fleet), request)
    return f"{answer.finished.usage.input_tokens}: {answer.text()}"


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110 - nobody is told
            await asyncio.sleep(0.02)


def stub_processes(triton: Triton) -> dict[int, str]:
    """Return the processes in Triton that run a model's Python, with the model's name."""
    return {
        process: Path(word).parents[1].name
        for process, command in triton.children().items()
        for word in command.split()[:2]
        if word.endswith("/model.py")
    }


def stubs(triton: Triton) -> list[str]:
    """Return the models whose Python runs in Triton."""
    return sorted(stub_processes(triton).values())


class Load:
    """Callers who ask one after another until they are told to stop."""

    def __init__(self) -> None:
        self.texts: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self._over = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def begin(self, fleet: Fleet, callers: int = _CALLERS) -> None:
        self._tasks += [asyncio.create_task(self._ask(fleet)) for _ in range(callers)]

    async def end(self) -> None:
        self._over.set()
        await asyncio.gather(*self._tasks)

    async def _ask(self, fleet: Fleet) -> None:
        while not self._over.is_set():
            try:
                self.texts[await answer_of(fleet)] += 1
            except MeshError as error:
                self.errors[error.message] += 1
                return

    async def answered(self, more: int) -> None:
        """Wait until so many more answers have come."""
        wanted = self.texts.total() + more
        await until(lambda: self.texts.total() >= wanted or bool(self.errors))
