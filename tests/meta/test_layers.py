"""Who may import whom, and what files and functions look like: rules of the house, as tests."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LINKS = ("gateway", "safety", "cache", "router", "inference")
OWN = ("hop", "outcome", "tenant")
"""What follows `mesh.` in the name of an attribute, beside the links."""
FOLDERS = ("catenary", "services", "infra", "tests")
GENERATED = re.compile(r"_pb2(_grpc)?\.py$")
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "base", "types", "misc"}
MAX_LINES = 320
"""A file holds one idea."""


def sources(*folders: str) -> list[Path]:
    return [
        file
        for folder in folders
        for file in sorted((ROOT / folder).rglob("*.py"))
        if not GENERATED.search(file.name)
    ]


def imported(file: Path) -> Iterator[str]:
    """Every module that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def named(file: Path) -> str:
    return str(file.relative_to(ROOT))


@pytest.mark.parametrize("link", LINKS)
def test_a_link_imports_no_other_link(link: str) -> None:
    others = tuple(f"services.{other}" for other in LINKS if other != link)
    for file in sources(f"services/{link}"):
        crossing = [module for module in imported(file) if module.startswith(others)]
        assert not crossing, f"{named(file)} imports {crossing}"


@pytest.mark.parametrize("file", sorted((ROOT / "services").glob("*.py")), ids=named)
def test_what_links_share_imports_no_link(file: Path) -> None:
    if file.name == "__main__.py":
        return
    links = tuple(f"services.{link}" for link in LINKS)
    assert not [module for module in imported(file) if module.startswith(links)]


def test_what_a_caller_imports_does_not_pull_in_the_mesh() -> None:
    for file in sources("catenary"):
        crossing = [m for m in imported(file) if m.split(".")[0] in {"services", "infra", "tests"}]
        # The command that starts the mesh, and the one that asks its policy without it, know it.
        known = ("catenary/cli/up", "catenary/cli/safety")
        assert not crossing or named(file).startswith(known), named(file)


def test_nothing_that_ships_imports_a_test() -> None:
    for file in sources("catenary", "services", "infra"):
        assert not [module for module in imported(file) if module.split(".")[0] == "tests"]


def test_only_the_two_adapters_and_what_they_need_know_grpc() -> None:
    allowed = {
        *("errors.py", "rpc_status.py", "remote.py", "server.py", "transport.py", "wellformed.py"),
        *("tracing.py", "instrumentation.py", "process.py", "catalogue.py", "unary.py"),
        "checks.py",
    }
    for file in (ROOT / "services").glob("*.py"):
        if any(module.split(".")[0] == "grpc" for module in imported(file)):
            assert file.name in allowed, named(file)
    for link in ("safety", "cache", "router"):
        for file in sources(f"services/{link}"):
            assert not [m for m in imported(file) if m.split(".")[0].startswith("grpc")]


@pytest.mark.parametrize("file", sources(*FOLDERS), ids=named)
def test_a_file_is_named_by_what_it_is_and_holds_one_idea(file: Path) -> None:
    assert file.stem not in FORBIDDEN_NAMES
    text = file.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MAX_LINES
    # A test's name says what it shows.
    if text.strip() and not named(file).startswith("tests/"):
        assert ast.get_docstring(ast.parse(text)), "says in its first line what it is for"


def test_no_name_of_a_metric_or_attribute_stands_anywhere_but_in_one_file() -> None:
    ours = "|".join((*LINKS, *OWN))
    name = re.compile(rf"^(catenary_[a-z_]+|gen_ai\.[a-z_.]+|mesh\.({ours})(\..*)?)$")
    for file in sources("services", "infra", "catenary"):
        if named(file) == "services/telemetry.py":
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert not name.match(node.value), f"{named(file)}:{node.lineno}: {node.value}"


def test_nothing_is_kept_open_for_later() -> None:
    for file in sources(*FOLDERS):
        if file == Path(__file__):
            continue
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"#.*\b(TODO|FIXME|XXX|HACK)\b", text), named(file)
        assert not re.search(r"except( Exception| BaseException)?:\s*\n\s*pass\b", text), named(
            file
        )
