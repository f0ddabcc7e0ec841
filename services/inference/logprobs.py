"""Tokens with their log probabilities, as the contract has them."""

from collections.abc import Sequence

from catenary.v1 import generation_pb2 as pb
from infra.engine.vocabulary import Vocabulary


def token_logprobs(
    token_ids: Sequence[int], logprobs: Sequence[float], vocabulary: Vocabulary
) -> Sequence[pb.TokenLogprob]:
    """Return one entry a token; none when no probabilities were asked for."""
    entries = []
    for token, logprob in zip(token_ids, logprobs, strict=False):
        data = vocabulary.tokens[token]
        try:
            text = data.decode()
        except UnicodeDecodeError:
            text = ""
        entries.append(pb.TokenLogprob(token=text, token_bytes=data, logprob=logprob))
    return entries
