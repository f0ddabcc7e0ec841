"""Many streams at once."""

import asyncio
import base64

import grpc
import openai

from catenary.v1 import generation_pb2 as pb
from catenary.v1 import generation_pb2_grpc, message_pb2
from infra.local.ports import HOST
from services.server import LOAD_REPORT
from tests.mesh.conftest import Mesh
from xds.data.orca.v3.orca_load_report_pb2 import OrcaLoadReport

PORTS = {
    "Which port does the gateway listen on?": "50051",
    "Which port does the safety link listen on?": "50052",
    "Which port does the cache listen on?": "50053",
    "Which port does the router listen on?": "50054",
    "Which port does the inference link listen on?": "50055",
    "Which port does Envoy listen on?": "8080",
    "Which port does Envoy's admin listen on?": "9901",
    "Which port does Triton's gRPC listen on?": "8001",
}
EACH = 8


async def test_sixty_four_streams_complete_and_keep_apart(mesh: Mesh) -> None:
    client = openai.AsyncOpenAI(
        base_url=f"{mesh.url}/v1", api_key="none", max_retries=0, timeout=100
    )

    async def ask(question: str) -> str:
        stream = await client.chat.completions.create(
            model="pocket",
            messages=[{"role": "user", "content": question}],
            temperature=0,
            stream=True,
            extra_body={"catenary": {"cache": {"mode": "bypass"}}},
        )
        texts = [chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]
        return "".join(texts)

    questions = list(PORTS) * EACH
    async with client:
        answers = await asyncio.gather(*map(ask, questions))
    wrong = [
        (question, answer)
        for question, answer in zip(questions, answers, strict=True)
        if PORTS[question] not in answer
    ]
    assert not wrong


async def test_the_load_is_told_between_links_and_never_to_callers(mesh: Mesh) -> None:
    part = message_pb2.ContentPart(text="What is a load report?")
    message = message_pb2.Message(role=message_pb2.ROLE_USER, content=[part])
    request = pb.GenerateRequest(model="pocket", messages=[message])

    async def trailers(address: str) -> dict[str, str]:
        async with grpc.aio.insecure_channel(address) as channel:
            rpc = generation_pb2_grpc.GenerationStub(channel).Generate(request)
            async for _ in rpc:
                pass
            return {key: str(value) for key, value in await rpc.trailing_metadata()}

    assert LOAD_REPORT not in await trailers(mesh.address)
    if mesh.placement == "split":
        told = (await trailers(f"{HOST}:{mesh.ports.link('inference')}"))[LOAD_REPORT]
        report = OrcaLoadReport.FromString(base64.b64decode(told.removeprefix("BIN ")))
        assert set(report.named_metrics) == {
            *("running", "waiting", "waiting_tokens", "kv_cache_usage_ratio"),
            *("tokens_per_second", "batch_size", "max_batch_size"),
        }
        assert report.named_metrics["max_batch_size"] == 64
        assert 1 <= report.named_metrics["batch_size"] <= 64
