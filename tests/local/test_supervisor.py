import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from catenary.health import FailedError, NotReadyError
from infra.local.children import Command
from infra.local.errors import PartFailedError, PortTakenError
from infra.local.log import LAST_LINES, MAX_FILE_BYTES, PartLog
from infra.local.part import Part
from infra.local.ports import require_free
from infra.local.supervisor import Limits, Supervisor
from tests.local.processes import SLEEP, Heard, ends, part

QUICK = Limits(start_s=20.0, restarts=2, window_s=60.0, pause_s=0.01)


@asynccontextmanager
async def supervised(
    tiers: Sequence[Sequence[Part]], folder: Path, limits: Limits = QUICK
) -> AsyncGenerator[tuple[Heard, asyncio.Task[None]], None]:
    """Run parts until the block ends."""
    heard, stop = Heard(), asyncio.Event()
    run = asyncio.create_task(Supervisor(tiers, folder, heard, limits).run(stop))
    try:
        yield heard, run
    finally:
        stop.set()
        with contextlib.suppress(PartFailedError):
            await run


async def test_every_part_gets_ready_and_none_is_left(tmp_path: Path) -> None:
    tiers = [[part("engine", SLEEP, tmp_path)], [part("a", SLEEP, tmp_path)], []]
    async with supervised(tiers, tmp_path) as (heard, _):
        await heard.completed.wait()
    assert sorted(heard.pids) == ["a", "engine"]
    for pids in heard.pids.values():
        assert all(ends(pid, within_s=0) for pid in pids)


async def test_parts_stop_in_reverse_order(tmp_path: Path) -> None:
    order = tmp_path / "order"
    code = (
        "import signal, sys\n"
        "def stop(*_):\n"
        f"    open({str(order)!r}, 'a').write(sys.argv[1] + ' ')\n"
        "    sys.exit()\n"
        "signal.signal(signal.SIGTERM, stop)\n"
    )
    names = ["engine", "links", "edge"]
    tiers = []
    for name in names:
        say = f"import sys; sys.argv = ['', {name!r}]\n"
        flag = f"import pathlib; pathlib.Path({str(tmp_path / name)!r}).touch()\n"
        tiers.append([part(name, f"pass\n{say}{code}{flag}{SLEEP}", tmp_path, ready=False)])
    async with supervised(tiers, tmp_path) as (heard, _):
        await heard.completed.wait()
    assert order.read_text().split() == ["edge", "links", "engine"]


async def test_a_part_that_dies_is_named_with_its_last_lines_and_started_again(
    tmp_path: Path,
) -> None:
    flag = f"import pathlib; pathlib.Path({str(tmp_path / 'link')!r}).touch()"
    chatty = f"print('one'); print('two \\x1b[31mred', flush=True); {flag}; {SLEEP}"
    tiers = [[part("engine", SLEEP, tmp_path), part("link", chatty, tmp_path, ready=False)]]
    async with supervised(tiers, tmp_path) as (heard, _):
        await heard.completed.wait()
        assert {await heard.readiness.get(), await heard.readiness.get()} == {"engine", "link"}
        os.kill(heard.pids["link"][0], signal.SIGKILL)
        assert await heard.readiness.get() == "link"
    lines = ["one", "two ?[31mred"]
    assert heard.deaths == [("link", "was ended by signal 9 (SIGKILL)", lines)]
    assert len(heard.pids["link"]) == 2
    assert len(heard.pids["engine"]) == 1


async def test_a_part_that_keeps_dying_ends_the_mesh(tmp_path: Path) -> None:
    tiers = [
        [part("engine", SLEEP, tmp_path)],
        [
            part(
                "link",
                "import time; print('no luck', flush=True); time.sleep(0.3); exit(3)",
                tmp_path,
            )
        ],
    ]
    async with supervised(tiers, tmp_path) as (heard, run):
        with pytest.raises(
            PartFailedError, match=r"^link ended with exit code 3, after 2 restarts in 60 s$"
        ) as failed:
            await run
    assert failed.value.last_lines == ["no luck"]
    assert heard.pauses_s == [0.01, 0.02]
    assert ends(heard.pids["engine"][0], within_s=0)


async def test_a_part_that_cannot_start_is_told_at_once(tmp_path: Path) -> None:
    broken = part("link", "exit('mesh.yaml: no such thing')", tmp_path, ready=False)
    async with supervised([[part("engine", SLEEP, tmp_path)], [broken]], tmp_path) as (heard, run):
        with pytest.raises(
            PartFailedError,
            match=r"^link ended with exit code 1 before it was ready: mesh.yaml: no such thing$",
        ) as failed:
            await run
    assert failed.value.last_lines == ["mesh.yaml: no such thing"]
    assert heard.deaths == []
    assert ends(heard.pids["engine"][0], within_s=0)


async def test_a_program_that_is_not_there_is_told(tmp_path: Path) -> None:
    missing = replace(part("envoy", SLEEP, tmp_path), command=[str(tmp_path / "none")])
    async with supervised([[missing]], tmp_path) as (_, run):
        with pytest.raises(PartFailedError, match=r"^envoy cannot be started: .*No such file"):
            await run


async def test_a_part_that_is_never_ready_is_given_up(tmp_path: Path) -> None:
    limits = Limits(start_s=0.5)
    async with supervised([[part("link", SLEEP, tmp_path, ready=False)]], tmp_path, limits) as (
        heard,
        run,
    ):
        with pytest.raises(
            PartFailedError, match=r"^link was not ready within 0 s: it does not answer$"
        ):
            await run
    assert ends(heard.pids["link"][0], within_s=0)


async def test_who_ignores_the_request_to_end_is_killed_with_its_children(tmp_path: Path) -> None:
    child = tmp_path / "child"
    code = (
        "import signal, subprocess, sys\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"child = subprocess.Popen([sys.executable, '-c', {SLEEP!r}])\n"
        f"open({str(child)!r}, 'w').write(str(child.pid))\n"
        f"open({str(tmp_path / 'link')!r}, 'w').close()\n"
        "while True: signal.pause()"
    )
    stubborn = part("link", code, tmp_path, stop_s=0.2, ready=False)
    async with supervised([[stubborn]], tmp_path) as (heard, _):
        await heard.completed.wait()
    assert ends(heard.pids["link"][0], within_s=0)
    assert ends(int(child.read_text()))


async def test_the_children_of_a_part_that_dies_do_not_outlive_it(tmp_path: Path) -> None:
    code = (
        "import os, subprocess, sys, time\n"
        f"child = subprocess.Popen([sys.executable, '-c', {SLEEP!r}])\n"
        "print(child.pid, flush=True)\n"
        f"open({str(tmp_path / 'link')!r}, 'w').close()\n"
        "time.sleep(0.2); os._exit(4)"
    )
    limits = Limits(restarts=0)
    async with supervised([[part("link", code, tmp_path, ready=False)]], tmp_path, limits) as (
        _,
        run,
    ):
        with pytest.raises(PartFailedError) as failed:
            await run
    assert ends(int(failed.value.last_lines[0]))


async def test_a_part_that_loses_a_process_it_needs_is_started_again(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys\n"
        f"child = subprocess.Popen([sys.executable, '-c', {SLEEP!r}])\n"
        f"open({str(tmp_path / 'child')!r}, 'w').write(str(child.pid))\n"
        f"open({str(tmp_path / 'triton')!r}, 'w').close()\n{SLEEP}"
    )

    async def needs(child: Command, others: Sequence[Command]) -> bool:
        return child[1] == "-c" and not others

    triton = replace(part("triton", code, tmp_path, ready=False), needs_child=needs)
    async with supervised([[triton]], tmp_path) as (heard, _):
        assert await heard.readiness.get() == "triton"
        child = await asyncio.to_thread((tmp_path / "child").read_text)
        os.kill(int(child), signal.SIGKILL)
        assert await heard.readiness.get() == "triton"
    ((name, how, _),) = heard.deaths
    assert (name, how.rpartition(" ")[0]) == ("triton", "lost its process")
    assert all(ends(pid, within_s=0) for pid in heard.pids["triton"])


async def test_a_part_that_answers_no_more_is_started_again(tmp_path: Path) -> None:
    triton = part("triton", SLEEP, tmp_path)
    asked, hangs = asyncio.Event(), False

    async def alive() -> None:
        asked.set()
        if hangs:
            raise NotReadyError("does not answer")

    tiers = [[replace(triton, alive=alive)]]
    async with supervised(tiers, tmp_path, replace(QUICK, silence_s=0.1)) as (heard, _):
        assert await heard.readiness.get() == "triton"
        async with asyncio.timeout(20):
            await asked.wait()
            hangs = True
            assert await heard.readiness.get() == "triton"
        hangs = False
    ((name, how, _),) = heard.deaths
    assert (name, how) == ("triton", "had not answered for 0 s")
    assert all(ends(pid, within_s=0) for pid in heard.pids["triton"])


async def test_a_part_that_crashes_and_does_not_end_is_started_again(tmp_path: Path) -> None:
    flag = tmp_path / "before"
    code = (
        f"import pathlib; before = pathlib.Path({str(flag)!r})\n"
        "crashes = not before.exists(); before.touch()\n"
        f"pathlib.Path({str(tmp_path / 'triton')!r}).touch()\n"
        "print('Signal (6) received.' if crashes else 'serves', flush=True)\n"
        f"{SLEEP}"
    )
    crashing = replace(part("triton", code, tmp_path, ready=False), crashes=r"Signal \(6\)")
    async with supervised([[crashing]], tmp_path) as (heard, _):
        assert await heard.readiness.get() == "triton"
        async with asyncio.timeout(20):
            assert await heard.readiness.get() == "triton"
    assert heard.deaths == [("triton", "crashed, but did not end", ["Signal (6) received."])]


async def test_a_part_that_will_never_be_whole_fails_the_start_in_one_line(tmp_path: Path) -> None:
    async def probe() -> None:
        raise FailedError("cannot serve model 'm': its weights are cut short")

    mesh = replace(part("mesh", SLEEP, tmp_path), probe=probe)
    async with supervised([[mesh]], tmp_path) as (_, run):
        with pytest.raises(PartFailedError) as failed:
            await run
    assert str(failed.value) == "mesh cannot serve model 'm': its weights are cut short"


async def test_a_part_started_again_serves_what_it_can(tmp_path: Path) -> None:
    probes = 0

    async def probe() -> None:
        nonlocal probes
        probes += 1
        if probes > 1:
            raise FailedError("cannot serve model 'm'")

    mesh = replace(part("mesh", SLEEP, tmp_path), probe=probe)
    async with supervised([[mesh]], tmp_path) as (heard, _):
        assert await heard.readiness.get() == "mesh"
        os.kill(heard.pids["mesh"][0], signal.SIGKILL)
        assert await heard.readiness.get() == "mesh"


def test_a_log_keeps_the_last_lines_and_a_bounded_file(tmp_path: Path) -> None:
    path = tmp_path / "part.log"
    log = PartLog(path)
    block = b"x" * 99 + b"\n"
    for _ in range(MAX_FILE_BYTES // 100 + 10):
        log.feed(block)
    for number in range(LAST_LINES + 5):
        log.feed(f"line {number}\nhalf".encode() if number % 2 else f" of {number}\n".encode())
    log.close()
    assert path.stat().st_size < MAX_FILE_BYTES
    assert path.with_name("part.log.1").stat().st_size <= MAX_FILE_BYTES
    assert len(log.last()) == LAST_LINES
    assert log.last()[-1] == f"half of {LAST_LINES + 4}"


def test_a_line_without_end_takes_bounded_memory(tmp_path: Path) -> None:
    log = PartLog(tmp_path / "part.log")
    for _ in range(100):
        log.feed(b"x" * 10_000)
    log.close()
    assert len(log.last()[0]) == 2000


def test_a_taken_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            PortTakenError,
            match=f"^port {port}, which triton needs for gRPC, is taken: "
            "stop what listens there, or move all ports with --port-base$",
        ):
            require_free(port, "triton", "gRPC")
    require_free(port, "triton", "gRPC")
