"""The README's commands, run as they stand there, but on free ports."""

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from catenary.cli import record
from services import config
from tests.mesh.conftest import Mesh, free_base, started, stop

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    line.removeprefix("$ ")
    for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
    if line.startswith("$ ")
]
STARTS = [command for command in COMMANDS if command == "make up" or "catenary up" in command]
# `make test` is what runs this.
CALLS = [command for command in COMMANDS if command not in {*STARTS, "make test", "make bench"}]
MODELS = re.findall(r"```yaml\n(models:\n.*?)```", README, re.DOTALL)
PROGRAMS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def up(command: str, folder: Path) -> Mesh:
    """Run a command that starts a mesh, with options that keep it apart from others."""
    base = free_base()
    options = f"--port-base {base} --state-dir {folder}"
    command = re.sub(r" --port-base \S+| --state-dir \S+", "", command)
    if command == "make up":
        arguments, environment = ["make", "up"], {**os.environ, "ARGS": options}
    else:
        arguments, environment = shlex.split(f"{command} {options}"), dict(os.environ)
    return started(arguments, base, folder, environment)


@pytest.fixture(scope="module")
def readme_mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    mesh = up("make up", tmp_path_factory.mktemp("readme"))
    yield mesh
    running = record.load(record.folder(mesh.state_dir, mesh.base))
    assert running is not None
    # To make itself a signal is a failure, whatever its command makes of it.
    os.kill(running.pid, signal.SIGTERM)
    with mesh.process:
        assert mesh.process.wait(30) == 0


def moved(text: str, mesh: Mesh) -> str:
    """Point a command at the ports of a mesh."""
    text = text.replace("127.0.0.1:8080", mesh.address)
    if "catenary chat" in text or "catenary models" in text:
        text += f" --address {mesh.address}"
    if "catenary status" in text:
        text += f" --port-base {mesh.base} --state-dir {mesh.state_dir}"
    return text


@pytest.mark.parametrize("command", CALLS)
def test_a_command_works(command: str, readme_mesh: Mesh) -> None:
    done = subprocess.run(
        ["bash", "-c", moved(command, readme_mesh)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "error" not in done.stdout.lower()
    assert done.stdout


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_works(program: str, readme_mesh: Mesh) -> None:
    done = subprocess.run(
        [sys.executable, "-c", moved(program, readme_mesh)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "8080" in done.stdout


@pytest.mark.parametrize("command", [command for command in STARTS if command != "make up"])
def test_a_mesh_starts(command: str, tmp_path: Path) -> None:
    assert stop(up(command, tmp_path)) == 0


@pytest.mark.parametrize("models", MODELS)
def test_its_models_are_a_configuration(models: str, tmp_path: Path) -> None:
    (tmp_path / "models").symlink_to(ROOT / "models")
    (tmp_path / "key").write_text("secret")
    (tmp_path / "models.yaml").write_text(models)
    assert config.load_models(tmp_path / "models.yaml").models


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) < 200
