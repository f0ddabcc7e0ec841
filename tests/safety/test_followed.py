"""The policy of a running process: its file is followed, and a bad one changes nothing."""

import asyncio
import json
import re
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import httpx

from catenary.v1 import decision_pb2, safety_pb2, safety_pb2_grpc
from tests.infra.conftest import free_port

GOOD = """
profiles:
- name: mine
  rules:
  - deny: {phrases: [open sesame]}
    input: {action: block}
"""
BETTER = GOOD.replace("mine", "ours")
BAD = GOOD.replace("action: block", "action: blok")
REFUSAL = "line 6, field profiles[0].rules[0].input.action"
BOUND_S = 60.0


async def begun(folder: Path, *more: str, mesh: str = "") -> Process:
    (folder / "mesh.yaml").write_text(mesh)
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.safety", "--config", str(folder / "mesh.yaml")),
        *("--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0", "--upstream", "127.0.0.1:1"),
        *more,
        stderr=PIPE,
    )


async def logged(process: Process, message: str) -> dict[str, Any]:
    """Wait for a line of the process's log."""
    assert process.stderr is not None
    async with asyncio.timeout(BOUND_S):
        while line := await process.stderr.readline():
            record: dict[str, Any] = json.loads(line)
            if record["message"] == message:
                return record
    raise AssertionError(f"the process ended without saying {message!r}")


@asynccontextmanager
async def serving(folder: Path, *more: str, mesh: str = "") -> AsyncIterator[tuple[Process, Any]]:
    """The safety link's own process, and a stub that speaks to it."""
    process = await begun(folder, *more, mesh=mesh)
    try:
        address = (await logged(process, "serving"))["address"]
        async with grpc.aio.insecure_channel(address) as channel:
            yield process, safety_pb2_grpc.SafetyStub(channel)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def in_force(stub: Any) -> safety_pb2.GetPolicyResponse:
    response: safety_pb2.GetPolicyResponse = await stub.GetPolicy(
        safety_pb2.GetPolicyRequest(), timeout=BOUND_S
    )
    return response


async def refused(address: str) -> float:
    """Return what the metric says."""
    async with httpx.AsyncClient() as client:
        shown = (await client.get(f"http://{address}/metrics")).text
    [value] = re.findall(r"(?m)^catenary_safety_policy_refused (\S+)$", shown)
    return float(value)


async def blocks(stub: Any) -> bool:
    asked = safety_pb2.CheckRequest(text="Open Sesame!")
    response: safety_pb2.CheckResponse = await stub.Check(asked, timeout=BOUND_S)
    return response.verdict == decision_pb2.VERDICT_BLOCK


async def test_a_bad_policy_changes_nothing_and_is_told_until_a_good_one_comes(
    tmp_path: Path,
) -> None:
    file = tmp_path / "safety.yaml"
    file.write_text(GOOD)
    async with serving(tmp_path) as (process, stub):
        first = await in_force(stub)
        assert (first.profile, first.refusal) == ("mine", "")
        assert await blocks(stub)
        file.write_text(BAD)
        record = await logged(process, "configuration refused")
        assert "safety.yaml:6: profiles[0].rules[0].input.action" in record["problem"]
        kept = await in_force(stub)
        assert kept.refusal.startswith(f"safety.yaml is not in force: {REFUSAL}")
        assert (kept.profile, kept.digest) == (first.profile, first.digest)
        assert await blocks(stub)
        file.write_text(BETTER)
        await logged(process, "configuration taken over")
        now = await in_force(stub)
        assert (now.profile, now.refusal) == ("ours", "")
        assert now.digest != first.digest


async def test_a_file_that_is_cut_short_or_gone_is_told_and_switches_nothing_off(
    tmp_path: Path,
) -> None:
    file = tmp_path / "safety.yaml"
    file.write_text(GOOD)
    metrics = f"127.0.0.1:{free_port()}"
    async with serving(tmp_path, "--metrics", metrics) as (process, stub):
        first = await in_force(stub)
        assert first.file == "safety.yaml"
        assert await refused(metrics) == 0
        for spoil, problem in (
            (lambda: file.write_text(""), "line 1, field profiles: must be given; "),
            (file.unlink, "it can no longer be read"),
        ):
            spoil()
            await logged(process, "configuration refused")
            kept = await in_force(stub)
            assert kept.refusal.startswith(f"safety.yaml is not in force: {problem}")
            assert kept.digest == first.digest
            assert await blocks(stub)
            assert await refused(metrics) == 1
        file.write_text(GOOD)
        await logged(process, "configuration taken over")
        assert not (await in_force(stub)).refusal
        assert await refused(metrics) == 0


async def test_a_process_does_not_start_without_the_file_that_is_named(tmp_path: Path) -> None:
    kept = ("--policy-kept", str(tmp_path / "policy.kept"))
    (tmp_path / "rules.yaml").write_text(GOOD)
    named = "safety: {policy: rules.yaml}"
    async with serving(tmp_path, *kept, mesh=named):
        (tmp_path / "rules.yaml").unlink()
    process = await begun(tmp_path, *kept, mesh=named)
    _, stderr = await asyncio.wait_for(process.communicate(), BOUND_S)
    assert "mesh.yaml:1: safety.policy: there is no file" in stderr.decode()
    assert process.returncode == 1


async def test_a_process_does_not_start_with_a_bad_policy_and_says_why_in_one_line(
    tmp_path: Path,
) -> None:
    (tmp_path / "safety.yaml").write_text(BAD)
    process = await begun(tmp_path)
    _, stderr = await asyncio.wait_for(process.communicate(), BOUND_S)
    [line] = stderr.decode().splitlines()
    assert line.startswith("catenary safety: ")
    assert "safety.yaml:6: profiles[0].rules[0].input.action" in line
    assert process.returncode == 1


async def test_what_was_in_force_outlives_a_restart_where_it_is_kept(tmp_path: Path) -> None:
    file, kept = tmp_path / "safety.yaml", ("--policy-kept", str(tmp_path / "policy.kept"))
    file.write_text(GOOD)
    async with serving(tmp_path, *kept) as (_, stub):
        first = await in_force(stub)
    file.write_text(BAD)
    async with serving(tmp_path, *kept) as (_, stub):
        again = await in_force(stub)
        assert (again.profile, again.digest) == (first.profile, first.digest)
        assert again.refusal.startswith(f"safety.yaml is not in force: {REFUSAL}")
        assert await blocks(stub)
