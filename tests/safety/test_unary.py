"""Texts to embed and conversations to count, as they pass the safety link."""

import pytest

from catenary.v1 import embeddings_pb2, message_pb2, tokens_pb2
from services.errors import MeshError
from services.safety.policies import Policies
from services.safety.unary import SafetyUnary
from tests.fakes import Answering, call
from tests.guarding import inspector, policy


async def test_more_characters_than_a_prompt_may_have_are_refused() -> None:
    unary = SafetyUnary(Answering(), Policies(policy()), inspector(), 10)
    asked = embeddings_pb2.EmbedRequest(model="m", texts=["hello", "there"])
    await unary.embed(asked, call())
    asked.texts.append("!")
    with pytest.raises(MeshError, match="texts: there are 11 characters, but at most 10"):
        await unary.embed(asked, call())
    turn = message_pb2.Message(content=[message_pb2.ContentPart(text="hello there")])
    counted = tokens_pb2.CountTokensRequest(model="m", messages=[turn])
    with pytest.raises(MeshError, match="messages: the prompt has 11 characters, but at most 10"):
        await unary.count_tokens(counted, call())
