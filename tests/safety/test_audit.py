"""The record of what was blocked."""

import hashlib
import json
import stat
import threading
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from catenary.config.v1.safety_pb2 import SafetyAudit
from services.safety.audit import Audit, Blocked, write
from services.safety.metrics import SafetyMetrics

SAID = "what was said"


def blocked(file: Path, **settings: Any) -> Blocked:
    audit = SafetyAudit(file=str(file), **{"max_bytes": 1 << 20, "keep": 10, **settings})
    return Blocked(audit, SAID, {"request_id": "r-1", "detector": "harm"})


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_a_record_tells_everything_but_the_text(tmp_path: Path) -> None:
    file = tmp_path / "audit.jsonl"
    write(blocked(file))
    write(blocked(file))
    [head, first, second] = lines(file)
    salted = hashlib.sha256(bytes.fromhex(head["salt"]) + SAID.encode()).hexdigest()
    assert first["sha256"] == second["sha256"] == salted
    assert (first["request_id"], first["detector"], first["chars"]) == ("r-1", "harm", len(SAID))
    assert SAID not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_the_text_is_recorded_where_the_policy_says_so(tmp_path: Path) -> None:
    write(blocked(tmp_path / "a", with_text=True))
    assert lines(tmp_path / "a")[-1]["text"] == SAID


def test_full_files_are_turned_over_and_so_many_kept(tmp_path: Path) -> None:
    file = tmp_path / "audit.jsonl"
    for number in range(120):
        write(blocked(file, max_bytes=4096, keep=3)._replace(record={"request_id": number}))
    kept = [tmp_path / f"audit.jsonl.{age}" for age in (3, 2, 1)]
    assert sorted(tmp_path.iterdir()) == sorted([file, *kept])
    assert all(4096 <= path.stat().st_size < 4096 + 400 for path in kept)
    assert len({lines(path)[0]["salt"] for path in (file, *kept)}) == 4
    told = [line["request_id"] for path in (*kept, file) for line in lines(path)[1:]]
    assert told == list(range(told[0], 120))


HEAD = json.dumps({"salt": "ab" * 16})


def test_what_a_process_left_unfinished_does_not_spoil_what_follows(tmp_path: Path) -> None:
    file = tmp_path / "audit.jsonl"
    file.write_text(HEAD + '\n{"time": "x')
    write(blocked(file))
    assert json.loads(file.read_text().splitlines()[-1])["request_id"] == "r-1"
    assert [path.name for path in tmp_path.iterdir()] == ["audit.jsonl"]


@pytest.mark.parametrize(
    "left",
    [
        *(b"[]\n", b'{"sal', b'{"salt": 1}\n', b'{"salt": "00"}\n', b"\n", b"\xff\xfe\x00\n"),
        *(b"[" * 100_000, b"a line of somebody's\n", HEAD.encode(), HEAD.encode() + b" \n"),
    ],
)
def test_a_file_that_is_something_else_is_moved_aside(
    tmp_path: Path, registry: CollectorRegistry, left: bytes
) -> None:
    file = tmp_path / "audit.jsonl"
    file.write_bytes(left)
    audit = Audit(SafetyMetrics(registry))
    for _ in range(2):
        audit.add(blocked(file))
    audit.close()
    assert registry.get_sample_value("catenary_safety_audit_records_lost_total") == 0
    assert (tmp_path / "audit.jsonl.1").read_bytes() == left
    head, *records = lines(file)
    assert (list(head), len(records)) == (["salt"], 2)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("raised", [TypeError, MemoryError, SystemExit])
def test_a_writer_that_fails_in_whatever_way_is_counted_and_goes_on(
    tmp_path: Path,
    registry: CollectorRegistry,
    monkeypatch: pytest.MonkeyPatch,
    raised: type[BaseException],
) -> None:
    def fail_once(_: Blocked) -> None:
        monkeypatch.setattr("services.safety.audit.write", write)
        raise raised

    monkeypatch.setattr("services.safety.audit.write", fail_once)
    audit = Audit(SafetyMetrics(registry))
    audit.add(blocked(tmp_path / "a"))
    if raised is SystemExit:
        assert audit._writer is not None
        audit._writer.join(30)
    audit.add(blocked(tmp_path / "a"))
    audit.close()
    assert registry.get_sample_value("catenary_safety_audit_records_lost_total") == 1
    assert len(lines(tmp_path / "a")) == 2


def test_several_writers_share_a_file(tmp_path: Path) -> None:
    file = tmp_path / "audit.jsonl"

    def write_some() -> None:
        for _ in range(20):
            write(blocked(file))

    writers = [threading.Thread(target=write_some) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    head, *records = lines(file)
    assert len(records) == 80
    assert len({record["sha256"] for record in records}) == 1
    assert "salt" in head


def test_a_disk_that_takes_nothing_fails_no_request_and_is_counted(
    tmp_path: Path, registry: CollectorRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    audit = Audit(SafetyMetrics(registry))
    for _ in range(3):
        audit.add(blocked(tmp_path / "no such folder" / "a"))
    audit.add(blocked(tmp_path / "fine"))
    audit.close()
    assert registry.get_sample_value("catenary_safety_audit_records_lost_total") == 3
    assert len(lines(tmp_path / "fine")) == 2
    assert [record.message for record in caplog.records] == ["the audit cannot be written"]


def test_without_a_file_nothing_is_recorded(registry: CollectorRegistry) -> None:
    audit = Audit(SafetyMetrics(registry))
    audit.add(Blocked(SafetyAudit(), SAID, {}))
    audit.close()
    assert audit._waiting.empty()
