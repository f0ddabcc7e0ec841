import json

from typer.testing import CliRunner

from catenary.cli import app
from catenary.v1.models_pb2 import Model, ModelPrice
from tests.local.fake_mesh import FakeMesh, serving

READY = Model(
    name="pocket",
    version=3,
    state=Model.STATE_READY,
    engine="openvino",
    context_window=2048,
    precision="int8",
    price=ModelPrice(input=0.5, output=2),
    capabilities=["chat", "tools"],
)
FAILED = Model(
    name="large",
    version=1,
    state=Model.STATE_FAILED,
    engine="tensorrt_llm",
    problem="version 1: cannot be loaded; the log of Triton tells why",
)


def ask(mesh: FakeMesh, *options: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["models", "--address", mesh.address, *options])
    return result.exit_code, result.stdout, result.stderr


def test_every_model_is_a_line() -> None:
    with serving(FakeMesh(models=[READY])) as mesh:
        code, text, _ = ask(mesh)
    assert code == 0
    heading, row = (line.split() for line in text.splitlines())
    assert heading == [
        *("name", "version", "state", "engine", "context", "precision"),
        *("price", "capabilities", "problem"),
    ]
    assert row == [
        *("pocket", "3", "ready", "openvino", "2048", "int8"),
        *("0.5/2", "chat,", "tools"),
    ]


def test_a_model_that_does_not_serve_is_told_with_its_problem() -> None:
    with serving(FakeMesh(models=[FAILED, READY])) as mesh:
        code, text, _ = ask(mesh)
    assert code == 1
    _, failed, _ = text.splitlines()
    assert failed.split()[:4] == ["large", "1", "failed", "tensorrt_llm"]
    assert failed.rstrip().endswith(FAILED.problem)


def test_a_file_that_is_not_in_force_is_told_below_what_serves() -> None:
    refusal = "models.yaml is not in force: line 3, field models[0].path: there is no folder 'x'"
    with serving(FakeMesh(models=[READY], refusal=refusal)) as mesh:
        code, text, _ = ask(mesh)
        _, as_json, _ = ask(mesh, "--json")
    assert code == 1
    *_, row, last = text.splitlines()
    assert row.split()[0] == "pocket"
    assert last == refusal
    assert json.loads(as_json)["refusal"] == refusal


def test_models_as_json() -> None:
    with serving(FakeMesh(models=[READY])) as mesh:
        code, text, _ = ask(mesh, "--json")
    assert code == 0
    (told,) = json.loads(text)["models"]
    assert told["name"] == "pocket"
    assert told["context_window"] == 2048
    assert told["state"] == "STATE_READY"


def test_no_mesh_is_one_line() -> None:
    with serving(FakeMesh()) as gone:
        pass
    code, text, notes = ask(gone)
    assert (code, text) == (1, "")
    assert notes == f"no mesh answers at {gone.address}; `make up` starts one\n"
