"""Every link has the same shape and the same manual page."""

import ast
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from catenary.config.v1.mesh_pb2 import MeshConfig
from catenary.v1 import error_reason_pb2
from services import config, telemetry
from services.chain import ORDER

SERVICES = Path(__file__).resolve().parents[2] / "services"
SECTIONS = ["Name", "Description", "Config", "Metrics", "Errors", "Examples", "Limits"]
MAX_MAIN_LINES = 40


@pytest.mark.parametrize("link", ORDER)
def test_a_link_has_its_files(link: str) -> None:
    for name in ("README.md", "__init__.py", "__main__.py", "link.py"):
        assert (SERVICES / link / name).is_file(), name


@pytest.mark.parametrize("link", ORDER)
def test_a_process_of_one_link_is_a_page(link: str) -> None:
    main = (SERVICES / link / "__main__.py").read_text(encoding="utf-8")
    assert len(main.splitlines()) <= MAX_MAIN_LINES


@pytest.mark.parametrize("link", ORDER)
def test_a_link_is_one_frozen_dataclass(link: str) -> None:
    tree = ast.parse((SERVICES / link / "link.py").read_text(encoding="utf-8"))
    [found] = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    assert found.name.lower() == link
    assert [ast.unparse(decorator) for decorator in found.decorator_list] == [
        "dataclass(frozen=True, slots=True)"
    ]


def page(link: str) -> str:
    return (SERVICES / link / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("link", ORDER)
def test_a_manual_page_has_its_sections_in_order(link: str) -> None:
    assert re.findall(r"^## (.+)$", page(link), re.MULTILINE) == SECTIONS


def section(link: str, name: str) -> str:
    return page(link).partition(f"\n## {name}\n")[2].partition("\n## ")[0]


def first_column(text: str) -> set[str]:
    return set(re.findall(r"^\| `([A-Za-z_]+)` \|", text, re.MULTILINE))


@pytest.mark.parametrize("link", ORDER)
def test_a_manual_page_names_the_reasons_that_there_are(link: str) -> None:
    reasons = {name.removeprefix("ERROR_REASON_") for name in error_reason_pb2.ErrorReason.keys()}  # noqa: SIM118
    assert first_column(section(link, "Errors")) <= reasons


@pytest.mark.parametrize("link", ORDER)
def test_a_manual_page_names_the_metrics_that_there_are(link: str) -> None:
    told = {name.removesuffix("_total") for name in first_column(section(link, "Metrics"))}
    names = {value for value in vars(telemetry).values() if isinstance(value, str)}
    assert told <= names
    assert told >= {name for name in names if name.startswith(f"catenary_{link}_")}


@pytest.mark.parametrize("link", ORDER)
def test_a_manual_page_names_every_field_of_the_configuration(link: str) -> None:
    message = MeshConfig.DESCRIPTOR.fields_by_name[link].message_type
    assert message is not None
    assert first_column(section(link, "Config")) >= set(message.fields_by_name)


@pytest.mark.parametrize("link", ORDER)
def test_the_examples_of_a_manual_page_are_a_configuration(link: str, tmp_path: Path) -> None:
    for example in re.findall(r"```yaml\n(.*?)```", page(link), re.DOTALL):
        file = tmp_path / "mesh.yaml"
        file.write_text(example, encoding="utf-8")
        config.load(file)


@pytest.mark.parametrize("link", ORDER)
def test_the_commands_of_a_manual_page_are_commands(link: str) -> None:
    commands = re.findall(r"^python -m services\..*$", page(link), re.MULTILINE)
    assert commands
    for command in commands:
        _, *arguments = shlex.split(command)
        checked = subprocess.run(
            [sys.executable, *arguments, "--check"], cwd=SERVICES.parent, check=False
        )
        assert checked.returncode == 0, command
