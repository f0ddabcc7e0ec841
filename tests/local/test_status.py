import os
import time
from pathlib import Path

from typer.testing import CliRunner

from catenary.cli import app, record
from catenary.v1.models_pb2 import Model
from catenary.v1.safety_pb2 import GetPolicyResponse
from tests.local.fake_mesh import FakeMesh, serving


def recorded(folder: Path, address: str, pid: int, kind: record.Kind = "links") -> None:
    """Write the record of a mesh on port base 23900 with one part."""
    mesh = record.folder(folder, 23900)
    mesh.mkdir(parents=True)
    part = record.PartRecord(
        name="gateway",
        kind=kind,
        address=address,
        metrics="http://127.0.0.1:9464/metrics",
        pid=4711,
        started_unix_s=time.time() - 125,
        restarts=2,
    )
    record.save(record.MeshRecord(pid, "split", "127.0.0.1:1", [part]), mesh)


def ask(folder: Path) -> tuple[int, list[list[str]], str]:
    result = CliRunner().invoke(app, ["status", "--state-dir", str(folder), "--port-base", "23900"])
    return result.exit_code, [line.split() for line in result.stdout.splitlines()], result.stderr


def test_every_part_is_a_line(tmp_path: Path) -> None:
    with serving(FakeMesh()) as mesh:
        recorded(tmp_path, mesh.address, os.getpid())
        code, (heading, row, _), _ = ask(tmp_path)
    assert code == 0
    assert heading == ["part", "health", "address", "metrics", "version", "pid", "up", "restarts"]
    assert row[:4] == ["gateway", "healthy", mesh.address, "http://127.0.0.1:9464/metrics"]
    assert row[4] == "catenary"
    assert (row[6], row[8]) == ("4711", "2")
    assert row[7].startswith("2m")


def test_the_models_are_a_line_as_callers_are_told_them(tmp_path: Path) -> None:
    ready = Model(name="pocket", version=3, state=Model.STATE_READY)
    failed = Model(name="large", version=1, state=Model.STATE_FAILED)
    with serving(FakeMesh(models=[ready, failed])) as mesh:
        recorded(tmp_path, mesh.address, os.getpid(), kind="envoy")
        _, (*_, line), _ = ask(tmp_path)
    assert " ".join(line) == "placement split, models pocket 3 ready, large 1 failed"


def test_a_file_of_models_that_is_not_in_force_is_told(tmp_path: Path) -> None:
    refusal = "models.yaml is not in force: line 3, field models[0].path: there is no folder 'x'"
    with serving(FakeMesh(refusal=refusal)) as mesh:
        recorded(tmp_path, mesh.address, os.getpid(), kind="envoy")
        code, (*_, line), _ = ask(tmp_path)
    assert (code, " ".join(line)) == (1, refusal)


def test_the_safety_policy_is_a_line(tmp_path: Path) -> None:
    policy = GetPolicyResponse(
        profile="own", profiles=["own", "strict"], digest="0123456789abcdef", file="safety.yaml"
    )
    line = "safety policy safety.yaml, digest 0123456789ab, profile own, or on request strict"
    with serving(FakeMesh(policy=policy)) as mesh:
        recorded(tmp_path, mesh.address, os.getpid(), kind="envoy")
        _, (*_, told), _ = ask(tmp_path)
        assert " ".join(told) == line
        policy.refusal = "safety.yaml is not in force: it can no longer be read"
        code, (*_, told, refusal), _ = ask(tmp_path)
        assert (code, " ".join(told), " ".join(refusal)) == (1, line, policy.refusal)
        policy.CopyFrom(GetPolicyResponse(profile="standard", digest="0" * 64))
        _, (*_, told), _ = ask(tmp_path)
    expected = "safety policy the one that ships, digest 000000000000, profile standard"
    assert " ".join(told) == expected


def test_a_part_that_does_not_answer_is_told(tmp_path: Path) -> None:
    with serving(FakeMesh()) as gone:
        pass
    recorded(tmp_path, gone.address, os.getpid())
    code, (_, row, _), _ = ask(tmp_path)
    assert code == 1
    assert row[:4] == ["gateway", "does", "not", "answer"]


def test_no_mesh_is_one_line(tmp_path: Path) -> None:
    code, rows, notes = ask(tmp_path)
    assert (code, rows) == (1, [])
    assert notes == "no mesh is running with --port-base 23900; `make up` starts one\n"


def test_what_a_killed_supervisor_left_is_no_mesh(tmp_path: Path) -> None:
    pid = os.posix_spawnp("true", ["true"], os.environ)
    os.waitpid(pid, 0)
    recorded(tmp_path, "127.0.0.1:1", pid)
    code, rows, _ = ask(tmp_path)
    assert (code, rows) == (1, [])
