"""Clients that share no code with the mesh: buf's, and one for Node."""

import asyncio
import json
import shutil
import sys
from pathlib import Path

import pytest

from tests.infra.conftest import Edge

ROOT = Path(__file__).resolve().parents[2]
NODE = ROOT / "tests" / "clients" / "node"
ASKED = {"model": "echo", "messages": [{"role": "ROLE_USER", "content": [{"text": "hi"}]}]}
TIMEOUT_S = 100


async def run(*command: str, cwd: Path = ROOT) -> tuple[int | None, str, str]:
    child = await asyncio.create_subprocess_exec(
        *command, cwd=cwd, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(TIMEOUT_S):
            out, err = await child.communicate()
    except TimeoutError:
        child.kill()
        await child.wait()
        raise
    return child.returncode, out.decode(), err.decode()


def kinds(out: str) -> list[str]:
    """Name the events that a client printed, as one JSON value after the other."""
    found = []
    while out := out.lstrip():
        event, end = json.JSONDecoder().raw_decode(out)
        found.append(str(event.get("event") or next(iter(event))))
        out = out[end:]
    return found


@pytest.mark.parametrize("schema", [("--schema", "."), ("--reflect",)])
async def test_buf_curl(edge: Edge, schema: tuple[str, ...]) -> None:
    buf = str(Path(sys.executable).with_name("buf"))
    url = f"http://{edge.address}/catenary.v1.Generation/Generate"
    common = ("--protocol", "grpc", "--http2-prior-knowledge", "-d", json.dumps(ASKED))
    code, out, err = await run(buf, "curl", *schema, *common, url)
    assert (code, kinds(out)) == (0, ["started", "delta", "finished"]), err


@pytest.fixture(scope="session")
def node_client() -> str:
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node is not installed")
    return node


async def installed() -> None:
    if not (NODE / "node_modules").is_dir():
        code, _, err = await run("npm", "ci", cwd=NODE)
        assert code == 0, err


async def test_node(edge: Edge, node_client: str) -> None:
    await installed()
    client = (node_client, str(NODE / "generate.mjs"), edge.address)
    code, out, err = await run(*client, "echo", "hi")
    assert (code, kinds(out)) == (0, ["started", "delta", "finished"]), err
    code, _, err = await run(*client, "limited", "hi")
    assert code == 1
    assert err.startswith("RESOURCE_EXHAUSTED: the queue of model 'limited' is full")
