"""The link with real Triton: what it refuses, and what happens when a part fails."""

import asyncio
import os
import signal
import time
from collections.abc import Iterable
from contextlib import aclosing
from pathlib import Path

import grpc
import pytest

from catenary.v1 import generation_pb2 as pb
from catenary.v1 import message_pb2
from services.errors import MeshError
from services.inference import Inference
from services.link import Call
from tests.inference.asking import ask, asking
from tests.inference.triton import connected, served, start, stop


async def failure(
    link: Inference, request: pb.GenerateRequest, call: Call | None = None
) -> MeshError:
    with pytest.raises(MeshError) as caught:
        await ask(link, request, call)
    return caught.value


def left_of(processes: Iterable[int]) -> list[int]:
    return [process for process in processes if Path(f"/proc/{process}").exists()]


async def test_a_prompt_that_does_not_fit_names_both_counts(link: Inference) -> None:
    error = await failure(link, asking(max_output_tokens=2047))
    assert error.reason_name == "CONTEXT_WINDOW_EXCEEDED"
    assert error.metadata["max_output_tokens"] == "2047"
    assert error.metadata["context_window"] == "2048"
    long = await failure(link, asking("word " * 20_000))
    assert int(long.metadata["input_tokens"]) > 20_000


async def test_what_the_engine_cannot_do_is_refused_by_name(link: Inference) -> None:
    biased = asking()
    biased.sampling.logit_bias[5] = 1.0
    rivals = asking(logprobs=3)
    tools = asking()
    tools.tools.add(name="clock")
    picture = asking()
    picture.messages[0].content.add().media.url = "https://example.org/a.png"
    fields = [
        (await failure(link, request)).violations[0].field
        for request in (biased, rivals, tools, picture)
    ]
    assert fields == [
        "sampling.logit_bias",
        "sampling.logprobs",
        "tools",
        "messages[0].content[1].media",
    ]


async def test_the_engine_s_own_checks_name_the_field(link: Inference) -> None:
    error = await failure(link, asking(n=128))
    assert error.reason_name == "INVALID_REQUEST"
    assert error.violations[0].field == "sampling.n"


async def test_a_model_that_triton_does_not_serve(link: Inference) -> None:
    assert (await failure(link, asking(model="unheard-of"))).reason_name == "MODEL_NOT_FOUND"
    # It is to be served: whoever asks again may find it.
    absent = await failure(link, asking(model="absent"))
    assert (absent.reason_name, absent.metadata["upstream"]) == ("UPSTREAM_UNREACHABLE", "model")


async def test_a_deadline_in_the_past(link: Inference) -> None:
    call = Call("r1", deadline=time.monotonic() - 1)
    assert (await failure(link, asking(), call)).reason_name == "DEADLINE_EXCEEDED"


async def test_a_full_queue_is_told_with_a_time_to_come_back(link: Inference) -> None:
    endless = asking(model="narrow", max_output_tokens=1900, min_output_tokens=1900)
    async with aclosing(link.generate(endless, Call("runs"))) as running:
        await anext(running)
        waiting = asyncio.create_task(ask(link, asking(model="narrow", max_output_tokens=2)))
        refused = None
        while refused is None:
            # Until the one that waits has reached the engine, there is still a place in the queue.
            extra = asyncio.create_task(ask(link, asking(model="narrow", max_output_tokens=2)))
            done, _ = await asyncio.wait([extra], timeout=0.2)
            if done:
                refused = extra.exception()
            extra.cancel()
            await asyncio.wait([extra])
    assert isinstance(refused, MeshError)
    assert refused.reason_name == "QUEUE_FULL"
    assert refused.retry_after_s is not None
    assert refused.retry_after_s > 0
    # The caller who left made room.
    assert (await waiting).finished.usage.output_tokens == 2


async def test_a_caller_who_leaves_frees_the_place(link: Inference) -> None:
    endless = asking(model="narrow", max_output_tokens=1900, min_output_tokens=1900)
    whole = (await ask(link, endless)).events[-2].decision.inference
    async with aclosing(link.generate(endless, Call("leaves"))) as running:
        await anext(running)
    answer = await ask(link, asking(model="narrow", max_output_tokens=2))
    waited = answer.events[-2].decision.inference.queue_time
    # Much sooner than the abandoned one would have ended.
    assert waited.ToNanoseconds() < whole.decode_time.ToNanoseconds() / 2


async def test_a_dead_engine_fails_its_streams_at_once_and_comes_back(tmp_path: Path) -> None:
    triton = start(tmp_path, served())
    try:
        async with connected(triton, "pocket") as link:
            long = asking(max_output_tokens=1900, min_output_tokens=1900)
            async with aclosing(link.generate(long, Call("r1"))) as running:
                await anext(running)
                os.kill(triton.worker(64), signal.SIGKILL)
                with pytest.raises(MeshError) as caught:
                    async for _ in running:
                        pass
            assert caught.value.reason_name == "UPSTREAM_FAILED"
            assert caught.value.retry_after_s is not None
            async with asyncio.timeout(30):
                while True:
                    try:
                        answer = await ask(link, asking(max_output_tokens=2))
                        break
                    except MeshError as error:
                        assert error.message.startswith("the engine of model 'pocket' is restart")  # noqa: PT017 - until it is back
                        assert error.code == grpc.StatusCode.UNAVAILABLE  # noqa: PT017 - likewise
                        assert error.retry_after_s is not None  # noqa: PT017 - likewise
                        await asyncio.sleep(0.1)
            assert answer.finished.usage.output_tokens == 2
    finally:
        stop(triton)


async def test_a_dead_stub_takes_triton_down_for_its_supervisor_to_see(tmp_path: Path) -> None:
    triton = start(tmp_path, served())
    async with connected(triton, "pocket") as link:
        long = asking(max_output_tokens=1900, min_output_tokens=1900)
        async with aclosing(link.generate(long, Call("r1"))) as running:
            await anext(running)
            children = triton.children()
            (stub,) = (pid for pid, command in children.items() if "backend_stub" in command)
            os.kill(stub, signal.SIGKILL)
            with pytest.raises(MeshError) as caught:
                async for _ in running:
                    pass
    assert caught.value.reason_name == "UPSTREAM_UNREACHABLE"
    assert triton.process.wait(10) == -signal.SIGKILL


async def test_a_killed_triton_leaves_nothing_behind(tmp_path: Path) -> None:
    triton = start(tmp_path, served())
    children = triton.children()
    triton.process.kill()
    triton.process.wait()
    async with asyncio.timeout(10):
        while left_of(children):  # noqa: ASYNC110 - processes tell nobody of their end
            await asyncio.sleep(0.05)


async def test_triton_leaves_nothing_behind_and_its_absence_is_told_at_once(tmp_path: Path) -> None:
    triton = start(tmp_path, served())
    children = triton.children()
    assert len(children) == 2
    async with connected(triton, "pocket") as link:
        await ask(link, asking(max_output_tokens=2))
        assert stop(triton) == 0
        assert not left_of(children)
        error = await failure(link, asking())
    assert error.reason_name == "UPSTREAM_UNREACHABLE"


async def test_messages_are_text_of_known_roles(link: Inference) -> None:
    request = asking("")
    request.messages[0].role = message_pb2.ROLE_SYSTEM
    assert (await ask(link, request)).events


@pytest.mark.parametrize(
    ("regex", "problem"),
    [
        ("[0-9", "Regex parsing error at position 5: Unclosed '['"),
        ("((a{1,1000}){1,1000}){1,1000}", "takes longer than 1 s to compile"),
    ],
)
async def test_a_guide_that_does_not_compile_harms_nobody(
    link: Inference, regex: str, problem: str
) -> None:
    beside = asyncio.create_task(ask(link, asking(max_output_tokens=1500, min_output_tokens=1500)))
    bad = asking()
    bad.response_format.regex = regex
    error = await failure(link, bad)
    assert error.violations[0].field == "response_format.regex"
    assert error.violations[0].description == problem
    good = asking(max_output_tokens=4)
    good.response_format.regex = "[0-9]{3}"
    assert (await ask(link, good)).text().isdecimal()
    assert (await beside).finished.usage.output_tokens == 1500
