"""One trace: every edge from Envoy's span to the engine's, as a receiver sees them."""

import httpx

from tests.mesh.conftest import Mesh, OtlpReceiver, ReceivedSpan

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
CALLER = "b7ad6b7169203331"
LINKS = ("gateway", "safety", "cache", "router", "inference")


def path_to_root(spans: list[ReceivedSpan], leaf: str) -> list[tuple[str, str]]:
    """Follow the parents of the one span of that name; give (process, span) from the root."""
    by_id = {one.span.span_id: one for one in spans}
    (current,) = [one for one in spans if one.span.name == leaf]
    path = []
    while True:
        path.append((current.service, current.span.name))
        parent = by_id.get(current.span.parent_span_id)
        if parent is None:
            assert current.span.parent_span_id.hex() == CALLER
            return path[::-1]
        current = parent


def expected_path(placement: str) -> list[tuple[str, str]]:
    generate = "/catenary.v1.Generation/Generate"
    path = [("envoy", "edge"), ("catenary-gateway", "/catenary.v1.OpenAI/CreateChatCompletion")]
    for link in LINKS:
        path.append((f"catenary-{link}", link))
        if link != LINKS[-1]:
            upstream = LINKS[LINKS.index(link) + 1]
            path.append((f"catenary-{link}", generate))
            path.append(("envoy", f"mesh {upstream}"))
            path.append((f"catenary-{upstream}", generate))
    if placement == "single":
        path = [("catenary-mesh", name) for service, name in path if name in LINKS]
        path.insert(0, ("catenary-mesh", "/catenary.v1.OpenAI/CreateChatCompletion"))
        path.insert(0, ("envoy", "edge"))
    last = path[-1][0]
    path.append((last, "/inference.GRPCInferenceService/ModelStreamInfer"))
    return [*path, ("engine", "engine"), ("engine", "decode")]


async def test_every_edge_from_the_socket_to_the_last_token(
    mesh: Mesh, otlp: tuple[OtlpReceiver, str]
) -> None:
    trace_id = (TRACE_ID[:-6] + mesh.placement.encode().hex())[:32]
    async with httpx.AsyncClient(timeout=30) as client:
        answer = await client.post(
            f"{mesh.url}/v1/chat/completions",
            headers={"traceparent": f"00-{trace_id}-{CALLER}-01"},
            json={
                "model": "pocket",
                "messages": [{"role": "user", "content": "What is a span?"}],
                "catenary": {"cache": {"mode": "bypass"}},
            },
        )
    assert answer.status_code == httpx.codes.OK
    spans = otlp[0].trace(
        bytes.fromhex(trace_id), bytes.fromhex(CALLER), {"edge", *LINKS, "engine", "decode"}
    )
    assert path_to_root(spans, "decode") == expected_path(mesh.placement)
    names = {one.span.name for one in spans}
    assert {"queue", "prefill"} <= names
    (engine,) = [one.span for one in spans if one.span.name == "engine"]
    attributes = {attribute.key: attribute.value for attribute in engine.attributes}
    usage = answer.json()["usage"]
    assert attributes["gen_ai.usage.output_tokens"].int_value == usage["completion_tokens"]
    assert attributes["gen_ai.server.time_to_first_token"].double_value > 0
