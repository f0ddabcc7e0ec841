"""The wheel: whoever installs it needs nothing else of the repository."""

import os
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder that holds what the wheel does."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=60)
    [wheel] = folder.glob("*.whl")
    with ZipFile(wheel) as files:
        files.extractall(folder / "installed")
    return folder / "installed"


def run(installed: Path, folder: Path, arguments: Sequence[str]) -> str:
    """Run what the wheel holds, in an empty folder; what it depends on is that of the tests."""
    ran = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_it_holds_every_file_of_its_packages(installed: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    files = {
        file.relative_to(ROOT)
        for package in packages
        for file in (ROOT / package).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert not [str(file) for file in files if not (installed / file).is_file()]


def test_it_judges_a_text(installed: Path, tmp_path: Path) -> None:
    check = "from catenary.cli import app; app()"
    text = "my card is 4111 1111 1111 1111"
    assert "[CREDIT_CARD_1]" in run(installed, tmp_path, ["-c", check, "safety", "check", text])


def test_it_has_the_models_of_a_mesh_that_names_none(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "mesh.yaml").touch()
    print_path = "from services import config; print(config.POCKET.path)"
    assert Path(run(installed, tmp_path, ["-c", print_path]).strip()).is_relative_to(installed)
    listens = ["--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0"]
    run(installed, tmp_path, ["-m", "services", "--config", "mesh.yaml", *listens, "--check"])
