"""Tokens with their log probabilities, as the contract has them."""

from collections.abc import Sequence

from catenary.v1 import generation_pb2 as pb
from infra.engine.engine import Rivals
from infra.engine.vocabulary import Vocabulary


def token_logprobs(
    token_ids: Sequence[int],
    logprobs: Sequence[float],
    vocabulary: Vocabulary,
    top_logprobs: Sequence[Rivals] = (),
) -> Sequence[pb.TokenLogprob]:
    """Return one entry a token; none when no probabilities were asked for."""
    entries = [
        _entry(token, logprob, vocabulary)
        for token, logprob in zip(token_ids, logprobs, strict=False)
    ]
    for entry, rivals in zip(entries, top_logprobs, strict=False):
        entry.top.extend(_entry(token, logprob, vocabulary) for token, logprob in rivals)
    return entries


def _entry(token: int, logprob: float, vocabulary: Vocabulary) -> pb.TokenLogprob:
    data = vocabulary.tokens[token]
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = ""
    return pb.TokenLogprob(token=text, token_bytes=data, logprob=logprob)
