import io
import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from catenary.cli import app
from infra.local.parts import Plan
from infra.local.ports import SPAN, Ports, based
from infra.local.screen import Screen
from services import config
from tests.local.processes import ends

SUPERVISE = """
import asyncio, contextlib, json, sys
from pathlib import Path
from infra.local.supervisor import Supervisor
from tests.local.processes import SLEEP, Heard, part

folder = Path(sys.argv[1])
grandchild = folder / "grandchild"
code = (
    "import subprocess, sys\\n"
    f"child = subprocess.Popen([sys.executable, '-c', {SLEEP!r}])\\n"
    f"open({str(grandchild)!r}, 'w').write(str(child.pid))\\n"
    f"open({str(folder / 'engine')!r}, 'w').close()\\n" + SLEEP
)
ignores = (
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\\n"
    f"open({str(folder / 'link')!r}, 'w').close()\\n"
    "while True: signal.pause()"
)

async def main():
    heard = Heard()
    engine = part("engine", code, folder, ready=False)
    link = part("link", ignores, folder, ready=False)
    tiers = [[engine], [link]]
    run = asyncio.create_task(Supervisor(tiers, folder, heard).run(asyncio.Event()))
    await heard.completed.wait()
    pids = [pid for started in heard.pids.values() for pid in started]
    print(json.dumps([*pids, int(grandchild.read_text())]), flush=True)
    await run

asyncio.run(main())
"""


def up(*arguments: str, yaml: str = "", models: str = "", folder: Path) -> tuple[int, str]:
    """Run `catenary up` with a configuration, and return its exit code and standard error."""
    file = folder / "mesh.yaml"
    file.write_text(yaml)
    (folder / "models.yaml").write_text(models)
    command = ["up", "--config", str(file), "--state-dir", str(folder / "state"), *arguments]
    result = CliRunner().invoke(app, command)
    return result.exit_code, result.stderr.replace(str(folder), "…")


@pytest.mark.parametrize(
    ("yaml", "line"),
    [
        (
            "gateway:\n  max_cals: 3\n",
            (
                "…/mesh.yaml:2: gateway.max_cals: there is no such field here; "
                "there are default_deadline, max_calls"
            ),
        ),
        (
            "gateway:\n  max_calls: 0\n",
            (
                "…/mesh.yaml:2: gateway.max_calls: must be greater than or equal to 1 "
                "and less than or equal to 100000"
            ),
        ),
        (
            "edge: {workers: many}\n",
            "…/mesh.yaml:1: edge.workers: must be a whole number from 0 to 4294967295",
        ),
        (
            "server:\n  drain: soon\n",
            "…/mesh.yaml:2: server.drain: must be a duration such as 1.5s",
        ),
        (
            "router:\n  aliases: {big: huge}\n",
            "…/mesh.yaml:2: router.aliases: 'big' stands for 'huge', but the models are pocket",
        ),
        ("safety: [\n", "…/mesh.yaml:2: is not YAML: "),
        (
            "inference:\n  triton_address: 127.0.0.1:1\n",
            "…/mesh.yaml: inference.triton_address: 127.0.0.1:1: does not answer",
        ),
    ],
)
def test_a_mistake_in_the_configuration_is_one_line(tmp_path: Path, yaml: str, line: str) -> None:
    code, errors = up(yaml=yaml, folder=tmp_path)
    assert code == 1
    assert errors.startswith(line)
    assert errors.count("\n") == 1
    assert not (tmp_path / "state").exists()


def test_a_mistake_in_the_safety_policy_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "safety.yaml").write_text("profiles:\n- name: a\n  ruls: []\n")
    code, errors = up(folder=tmp_path)
    assert code == 1
    assert errors.startswith("…/safety.yaml:3: profiles[0].ruls: there is no such field here")
    assert errors.count("\n") == 1
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(
    ("models", "line"),
    [
        ("models: [\n", "…/models.yaml:2: is not YAML: "),
        (
            "models:\n  - name: tiny\n    path: none\n",
            "…/models.yaml:3: models[0].path: there is no folder '…/none'",
        ),
        (
            "models:\n  - {name: tiny, path: tiny}\n",
            "…/models.yaml:2: models[0].path: the model has no file '…/tiny/tokenizer.json'",
        ),
    ],
)
def test_a_mistake_in_the_models_is_one_line(tmp_path: Path, models: str, line: str) -> None:
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "config.json").write_text("{}")
    code, errors = up(models=models, folder=tmp_path)
    assert code == 1
    assert errors.startswith(line)
    assert errors.count("\n") == 1


def test_a_taken_port_is_one_line_and_nothing_is_started(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, errors = up("--port-base", str(port), folder=tmp_path)
    assert code == 1
    assert errors == (
        f"port {port}, which envoy needs for callers, is taken: "
        "stop what listens there, or move all ports with --port-base\n"
    )
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("pair", ["inference", "inference=0", "inference=10", "envoy=2", "x=y"])
def test_replicas_that_make_no_sense_are_one_line(tmp_path: Path, pair: str) -> None:
    code, errors = up("--placement", "split", "--replicas", pair, folder=tmp_path)
    assert code == 1
    assert errors == (
        f"--replicas {pair}: must be a link and a number from 1 to 9, for example inference=2; "
        "the links are gateway, safety, cache, router, inference\n"
    )


def test_single_has_no_replicas(tmp_path: Path) -> None:
    code, errors = up("--replicas", "router=2", folder=tmp_path)
    assert code == 1
    assert errors == "--replicas: in placement single the links share one process; use split\n"


@pytest.mark.parametrize("ports", [Ports(), based(23000)], ids=["default", "based"])
def test_no_two_parts_share_a_port(tmp_path: Path, ports: Ports) -> None:
    (tmp_path / "mesh.yaml").write_text("")
    plan = Plan(
        config_file=tmp_path / "mesh.yaml",
        config=config.load(tmp_path / "mesh.yaml"),
        models_file=tmp_path / "models.yaml",
        models=config.load_models(tmp_path / "models.yaml"),
        placement="split",
        replicas=dict.fromkeys(("gateway", "safety", "cache", "router", "inference"), 9),
        ports=ports,
        folder=tmp_path,
    )
    taken = [port for tier in plan.tiers() for part in tier for port in part.ports]
    assert len(taken) == 3 + 45 * 2 + 3
    assert len(set(taken)) == len(taken)
    if ports.edge == 23000:
        assert all(23000 <= port < 23000 + SPAN for port in taken)


def test_the_commands_to_try_name_a_model_that_answers_in_text(tmp_path: Path) -> None:
    (tmp_path / "mesh.yaml").write_text("")
    models = tmp_path / "models.yaml"
    models.write_text(
        "models:\n- {name: minilm, engine: embeddings}\n"
        f"- {{name: second, path: {config.POCKET.path}}}\n"
    )
    plan = Plan(
        config_file=tmp_path / "mesh.yaml",
        config=config.load(tmp_path / "mesh.yaml"),
        models_file=models,
        models=config.load_models(models),
        placement="single",
        replicas={},
        ports=Ports(),
        folder=tmp_path,
    )
    said = io.StringIO()
    Screen(Console(file=said), plan, "").complete()
    assert "model second," in said.getvalue()
    assert '"model": "second"' in said.getvalue()
    assert "minilm" not in said.getvalue()


def test_nothing_outlives_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SUPERVISE, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as supervisor:
        assert supervisor.stdout is not None
        pids = json.loads(supervisor.stdout.readline())
        assert len(pids) == 3
        assert not any(ends(pid, within_s=0) for pid in pids)
        supervisor.kill()
    assert all(ends(pid) for pid in pids)
