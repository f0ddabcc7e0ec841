"""The API key, and that it goes nowhere but to the server."""

import logging
import os
from pathlib import Path

import pytest

from catenary.config.v1 import models_pb2 as config_pb
from services.errors import MeshError
from services.inference.openai.key import Key
from tests.inference.asking import ask, asking
from tests.inference.openai.conftest import Connect
from tests.inference.openai.server import FakeServer, answer, said

SECRET = "sk-very-secret"  # noqa: S105 - nobody's


async def test_a_file_is_read_again_when_it_changes(
    server: FakeServer, connect: Connect, tmp_path: Path
) -> None:
    server.will(*said("a"))
    file = tmp_path / "key"
    file.write_text("first\n")
    backend = connect(key_file=str(file))
    await ask(backend, asking())
    # As secrets are replaced in clusters: by another file of the same name.
    other = tmp_path / "other"
    other.write_text("second")
    other.replace(file)
    await ask(backend, asking())
    sent = [exchange.headers["authorization"] for exchange in server.exchanges]
    assert sent == ["Bearer first", "Bearer second"]


def test_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THEIR_KEY", SECRET)
    target = config_pb.OpenAiTarget(key_environment="THEIR_KEY")
    assert Key.configured(target, os.environ).read() == SECRET


def test_without_a_key() -> None:
    assert not Key.configured(config_pb.OpenAiTarget()).read()


def test_a_key_that_is_not_there_is_named_by_its_place(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="variable THEIR_KEY"):
        Key.configured(config_pb.OpenAiTarget(key_environment="THEIR_KEY"), {})
    with pytest.raises(ValueError, match="no-such-file"):
        Key.configured(config_pb.OpenAiTarget(key_file=str(tmp_path / "no-such-file")))


@pytest.mark.parametrize("content", ["", " \n", f"{SECRET}\nsecond: line", "k\u00e9y"])
def test_a_file_that_holds_no_key(tmp_path: Path, content: str) -> None:
    file = tmp_path / "key"
    file.write_text(content)
    with pytest.raises(ValueError, match="no API key") as raised:
        Key.configured(config_pb.OpenAiTarget(key_file=str(file)))
    assert SECRET not in str(raised.value)


async def test_a_file_that_went_away_fails_calls_until_it_is_back(
    server: FakeServer, connect: Connect, tmp_path: Path
) -> None:
    server.will(*said("a"))
    file = tmp_path / "key"
    file.write_text(SECRET)
    backend = connect(key_file=str(file))
    file.unlink()
    with pytest.raises(MeshError) as raised:
        await ask(backend, asking())
    assert raised.value.reason_name == "UPSTREAM_FAILED"
    assert not server.exchanges
    file.write_text(SECRET)
    assert (await ask(backend, asking())).text() == "a"


async def test_the_key_is_in_no_log_and_no_error(
    server: FakeServer, connect: Connect, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    file = tmp_path / "key"
    file.write_text(SECRET)
    server.will(answer(401, {"error": {"message": f"wrong key {SECRET}", "code": "invalid_key"}}))
    backend = connect(key_file=str(file), headers={"api-key": SECRET})
    with pytest.raises(MeshError) as raised:
        await ask(backend, asking())
    assert SECRET not in str(raised.value)
    assert SECRET not in repr(backend)
    assert SECRET not in str([vars(record) for record in caplog.records])
    (line,) = (record for record in caplog.records if record.levelno == logging.WARNING)
    assert (vars(line)["status"], vars(line)["kind"]) == (401, "invalid_key")


async def test_a_redirect_takes_the_key_nowhere(
    server: FakeServer, connect: Connect, tmp_path: Path
) -> None:
    file = tmp_path / "key"
    file.write_text(SECRET)
    server.will(answer(307, Location=f"{server.url}/elsewhere"))
    with pytest.raises(MeshError):
        await ask(connect(key_file=str(file)), asking())
    assert len(server.exchanges) == 1
