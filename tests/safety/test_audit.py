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
    audit = SafetyAudit(file=str(file), **{"max_bytes": 1 << 20, **settings})
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


def test_a_full_file_is_turned_over_and_one_old_one_kept(tmp_path: Path) -> None:
    file = tmp_path / "audit.jsonl"
    for _ in range(200):
        write(blocked(file, max_bytes=4096))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["audit.jsonl", "audit.jsonl.1"]
    assert (tmp_path / "audit.jsonl.1").stat().st_size < 4096 + 400
    assert lines(file)[0]["salt"] != lines(tmp_path / "audit.jsonl.1")[0]["salt"]


@pytest.mark.parametrize("left", ['{"sal', '{"salt": "00"}\n{"time": "x'])
def test_what_a_process_left_unfinished_does_not_spoil_what_follows(
    tmp_path: Path, left: str
) -> None:
    file = tmp_path / "audit.jsonl"
    file.write_text(left)
    write(blocked(file))
    assert json.loads(file.read_text().splitlines()[-1])["request_id"] == "r-1"


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
