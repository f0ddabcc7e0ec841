"""models.yaml is followed while the mesh serves: in each placement, and with replicas."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Container, Iterator
from pathlib import Path

import pytest

from catenary.cli import record
from catenary.client import CallError, Client
from catenary.v1 import generation_pb2, message_pb2
from catenary.v1.models_pb2 import Model
from tests.inference.triton import POCKET
from tests.inference.versions import second_version
from tests.mesh.conftest import CATENARY, Mesh, free_base, start, stop

_CALLERS = 12
_BYPASS = generation_pb2.CacheControl.MODE_BYPASS


@pytest.fixture(scope="module", params=["single", "split"])
def mesh(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mesh]:
    folder = tmp_path_factory.mktemp("models")
    second_version(folder)
    write(folder, entry("pocket"))
    replicas = ("--replicas", "inference=2") if request.param == "split" else ()
    running = start(folder, request.param, *replicas)
    yield running
    assert stop(running) == 0


def write(folder: Path, *entries: str) -> None:
    beside = folder / "models.yaml.new"
    beside.write_text("models:\n" + "".join(entries))
    beside.replace(folder / "models.yaml")


def entry(name: str, version: int = 1, path: Path | str = POCKET, more: str = "") -> str:
    facts = [f"name: {name}", f"version: {version}", f"path: {path}", "kv_cache_mib: 64", more]
    return f"- {{{', '.join(filter(None, facts))}}}\n"


async def ask(
    client: Client,
    model: str = "pocket",
    cache: generation_pb2.CacheControl.Mode.ValueType = _BYPASS,
) -> str:
    """Return a text, with the tokens of its prompt, by which to know the version."""
    content = [message_pb2.ContentPart(text="What is Catenary?")]
    request = generation_pb2.GenerateRequest(
        model=model,
        messages=[message_pb2.Message(role=message_pb2.ROLE_USER, content=content)],
        sampling=message_pb2.Sampling(temperature=0, max_output_tokens=24),
    )
    request.controls.cache.mode = cache
    text, tokens = "", 0
    async for event in client.generate(request, 60):
        text += event.delta.text
        tokens = max(tokens, event.finished.usage.input_tokens)
    return f"{tokens}: {text}"


async def cards_when(client: Client, **wanted: tuple[int, int]) -> dict[str, Model]:
    """Wait until the models are these, in these versions and states, on every replica."""
    in_a_row = 0
    async with asyncio.timeout(90):
        while True:
            cards = {card.name: card for card in await client.models()}
            told = {name: (card.version, card.state) for name, card in cards.items()}
            in_a_row = in_a_row + 1 if told == wanted else 0
            # Replicas take turns.
            if in_a_row == 6:
                return cards
            await asyncio.sleep(0.1)


def parts(folder: Path, names: Container[str] | None = None) -> list[record.PartRecord]:
    """Return the processes of a mesh, of some names or of all."""
    mesh = record.load(folder)
    assert mesh is not None
    return [part for part in mesh.parts if names is None or part.name in names]


async def comes(
    client: Client, text: str, cache: generation_pb2.CacheControl.Mode.ValueType = _BYPASS
) -> None:
    """Ask until this text is answered."""
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(CallError):
                if await ask(client, cache=cache) == text:
                    return
            await asyncio.sleep(0.1)


async def test_a_swap_under_load_loses_no_request(mesh: Mesh) -> None:
    over = asyncio.Event()
    texts: Counter[str] = Counter()

    async def keep_asking(client: Client) -> None:
        while not over.is_set():
            texts[await ask(client)] += 1

    async with Client(mesh.address) as client:
        await cards_when(client, pocket=(1, Model.STATE_READY))
        first = await ask(client)
        async with asyncio.TaskGroup() as callers:
            for _ in range(_CALLERS):
                callers.create_task(keep_asking(client))
            write(mesh.state_dir, entry("pocket", 2, "second", "price: {input: 0.5}"))
            cards = await cards_when(client, pocket=(2, Model.STATE_READY))
            second = await ask(client)
            over.set()
        assert cards["pocket"].price.input == 0.5
        assert set(texts) <= {first, second}
        assert texts[first] > 0
        assert first != second


def has_refused(logs: Path) -> bool:
    return any("configuration refused" in file.read_text() for file in logs.glob("*.log"))


async def test_a_bad_file_changes_nothing_and_a_good_one_is_taken(mesh: Mesh) -> None:
    async with Client(mesh.address) as client:
        before = {card.name: card for card in await client.models()}
        write(mesh.state_dir, entry("pocket", 2, "nowhere"))
        logs = mesh.state_dir / f"mesh-{mesh.base}" / "logs"
        async with asyncio.timeout(30):
            # Every process reads the file when it comes to it; this is the gateway's word.
            while not (refusal := (await client.list_models()).refusal):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        assert has_refused(logs)
        assert {card.name: card for card in await client.models()} == before
        told = "models.yaml is not in force: line 2, field models[0].path: there is no folder"
        assert refusal.startswith(told)
        served = before["pocket"].version
        write(mesh.state_dir, entry("pocket", served + 1, "second"), entry("other"))
        ready = Model.STATE_READY
        await cards_when(client, pocket=(served + 1, ready), other=(1, ready))
        async with asyncio.timeout(30):
            while (await client.list_models()).refusal:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        assert await ask(client, "other") != await ask(client)
        write(mesh.state_dir, entry("pocket", served + 1, "second"))
        await cards_when(client, pocket=(served + 1, ready))
        with pytest.raises(CallError, match="no model named 'other'") as caught:
            await ask(client, "other")
        assert caught.value.reason == "MODEL_NOT_FOUND"


async def test_what_the_last_version_answered_is_not_answered_again(mesh: Mesh) -> None:
    cached = generation_pb2.CacheControl.MODE_DEFAULT
    async with Client(mesh.address) as client:
        served = {card.name: card for card in await client.models()}["pocket"].version
        write(mesh.state_dir, entry("pocket", served + 1))
        await cards_when(client, pocket=(served + 1, Model.STATE_READY))
        first = await ask(client)
        # The cache's process may hear of the new version later than the inference link's.
        await comes(client, first, cached)
        assert await ask(client, cache=generation_pb2.CacheControl.MODE_ONLY_IF_CACHED) == first
        write(mesh.state_dir, entry("pocket", served + 2, "second"))
        await cards_when(client, pocket=(served + 2, Model.STATE_READY))
        second = await ask(client)
        assert second != first
        await comes(client, second, cached)


async def test_processes_that_start_while_the_file_is_bad_serve_what_was_served(
    mesh: Mesh,
) -> None:
    folder = record.folder(mesh.state_dir, mesh.base)
    async with Client(mesh.address) as client:
        before = {card.name: card for card in await client.models()}["pocket"]
        text = await ask(client)
        write(mesh.state_dir, entry("pocket", before.version, "nowhere"))
        links = {part.name: part for part in parts(folder) if part.kind == "links"}
        for part in links.values():
            os.kill(part.pid, signal.SIGKILL)
        async with asyncio.timeout(60):
            while {part.pid for part in parts(folder)} & {part.pid for part in links.values()}:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        await comes(client, text)
        wanted = (before.version, Model.STATE_READY)
        assert (await cards_when(client, pocket=wanted))["pocket"] == before
        write(mesh.state_dir, entry("pocket", before.version + 1, "second"))
        await cards_when(client, pocket=(before.version + 1, Model.STATE_READY))
    assert all(part.restarts == links[part.name].restarts + 1 for part in parts(folder, links)), (
        "a process could not start"
    )


async def test_a_killed_triton_comes_back_with_the_models_of_now(mesh: Mesh) -> None:
    (triton,) = parts(record.folder(mesh.state_dir, mesh.base), {"triton"})
    async with Client(mesh.address) as client:
        text = await ask(client)
        os.kill(triton.pid, signal.SIGKILL)
        await comes(client, text)


@pytest.mark.parametrize("placement", ["single", "split"])
def test_a_model_that_cannot_be_loaded_fails_the_start_in_one_line(
    tmp_path: Path, placement: str
) -> None:
    shutil.copytree(POCKET, tmp_path / "broken")
    graph = tmp_path / "broken" / "openvino_model.xml"
    graph.write_text(graph.read_text().replace('version="opset1"', 'version="opset99"', 1))
    write(tmp_path, entry("pocket"), entry("broken", path="broken"))
    (tmp_path / "mesh.yaml").write_text("")
    result = subprocess.run(
        [
            *(CATENARY, "up", "--config", tmp_path / "mesh.yaml", "--placement", placement),
            *("--port-base", str(free_base()), "--state-dir", tmp_path / "state"),
        ],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert result.returncode == 1
    part = "mesh" if placement == "single" else "inference"
    assert result.stderr == (
        f"{part} cannot serve model 'broken': version 1: the engine cannot be started: Cannot "
        "create Parameter layer input_ids id:0 from unsupported opset: opset99\n"
    )
