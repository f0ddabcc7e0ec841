import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

from catenary.cli import app
from catenary.v1 import message_pb2
from tests.local.fake_mesh import FakeMesh, serving

RUN = [sys.executable, "-c", "from catenary.cli import app; app()"]


@pytest.fixture
def mesh() -> Iterator[FakeMesh]:
    with serving(FakeMesh()) as served:
        yield served


def test_one_answer_leaves_only_its_text_on_standard_output(mesh: FakeMesh) -> None:
    result = CliRunner().invoke(app, ["chat", "Hi", "--address", mesh.address])
    assert result.exit_code == 0
    assert result.stdout == "Hello, you.\n"


def test_the_ledger_tells_what_each_link_did(mesh: FakeMesh) -> None:
    result = CliRunner().invoke(
        app, ["chat", "Hi", "--address", mesh.address], env={"COLUMNS": "200"}
    )
    rows = [line.rstrip() for line in result.stderr.splitlines()]
    links = {row.split()[0]: " ".join(row.split()[1:-1]) for row in rows[1:6]}
    assert links == {
        "gateway": "let in anonymous of default",
        "safety": "allow, input",
        "cache": "miss",
        "router": "pocket on triton, by_name",
        "inference": "pocket on openvino: 7 tokens in, 3 of them cached, 2 out; "
        "queue 0.5, prefill 2.5, decode 10.0 ms",
    }
    assert rows[6].startswith("first token after ")
    assert "; 2 tokens in " in rows[6]
    assert "\x1b" not in result.stderr


def test_an_answer_that_is_cut_says_so(mesh: FakeMesh) -> None:
    said = "the safety policy cut the answer here"
    assert said not in CliRunner().invoke(app, ["chat", "Hi", "--address", mesh.address]).stderr
    mesh.cuts = True
    result = CliRunner().invoke(app, ["chat", "Hi", "--address", mesh.address])
    assert said in result.stderr
    assert result.stdout == "Hello, you.\n"


def test_the_request_asks_for_decisions_and_carries_the_system_prompt(mesh: FakeMesh) -> None:
    CliRunner().invoke(app, ["chat", "Hi", "--address", mesh.address, "--system", "Be brief."])
    (request,) = mesh.requests
    assert request.model == "pocket"
    assert request.controls.include_decisions
    assert [(turn.role, turn.content[0].text) for turn in request.messages] == [
        (message_pb2.ROLE_SYSTEM, "Be brief."),
        (message_pb2.ROLE_USER, "Hi"),
    ]


def test_a_conversation_remembers_its_turns(mesh: FakeMesh) -> None:
    result = CliRunner().invoke(app, ["chat", "--address", mesh.address], input="Hi\n\nAnd?\n")
    assert result.exit_code == 0
    first, second = mesh.requests
    assert len(first.messages) == 1
    assert [turn.content[0].text for turn in second.messages] == ["Hi", "Hello, you.", "And?"]


def test_a_model_does_not_steer_the_terminal(mesh: FakeMesh) -> None:
    mesh.pieces = ["a\x1b[2Jb\n", "c\x07\x9bd é 👩‍🚀"]
    result = CliRunner().invoke(app, ["chat", "Hi", "--address", mesh.address])
    assert result.stdout == "a[2Jb\ncd é 👩‍🚀\n"


def test_an_error_is_one_line_with_its_reason(mesh: FakeMesh) -> None:
    result = CliRunner().invoke(app, ["chat", "Hi", "--address", mesh.address, "--model", "gpt-7"])
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr == (
        "MODEL_NOT_FOUND: no model named 'gpt-7' is served; GET /v1/models lists those that are\n"
    )


def test_no_mesh_is_one_line() -> None:
    with serving(FakeMesh()) as gone:
        pass
    result = CliRunner().invoke(app, ["chat", "Hi", "--address", gone.address])
    assert result.exit_code == 1
    assert result.stderr == "no mesh answers there; `make up` starts one\n"


def test_ctrl_c_cancels_the_answer_and_the_conversation_goes_on(mesh: FakeMesh) -> None:
    mesh.hangs = True
    with subprocess.Popen(
        [*RUN, "chat", "--address", mesh.address],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as chat:
        assert chat.stdin is not None
        assert chat.stdout is not None
        chat.stdin.write("Hi\n")
        chat.stdin.flush()
        answer = ""
        while not answer.endswith("you."):
            answer += chat.stdout.read(1)
        chat.send_signal(signal.SIGINT)
        assert mesh.left.wait(10)
        mesh.hangs = False
        output, notes = chat.communicate("And?\n", timeout=20)
    assert chat.returncode == 0
    assert output.endswith("\nHello, you.\n")
    assert "stopped" in notes
    # What was cancelled is no part of the conversation.
    assert [turn.content[0].text for turn in mesh.requests[1].messages] == ["And?"]
