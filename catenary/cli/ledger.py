"""The ledger of an answer: what each link said that it did."""

from collections.abc import Sequence

from rich.table import Table

from catenary.v1 import decision_pb2 as pb

Entry = tuple[float, pb.Decision]
"""When the decision arrived, in seconds after the question was sent; and the decision."""


def table(entries: Sequence[Entry]) -> Table:
    """Lay the ledger out, a line each link and decision."""
    laid_out = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", style="dim")
    laid_out.add_column("link")
    laid_out.add_column("what it did")
    laid_out.add_column("at ms", justify="right")
    for after_s, decision in entries:
        link = decision.WhichOneof("link") or ""
        laid_out.add_row(link, describe(decision), f"{after_s * 1000:.1f}")
    return laid_out


def describe(decision: pb.Decision) -> str:
    """Say in a few words what a link did; empty for a link of a later version."""
    link = decision.WhichOneof("link")
    if link == "gateway":
        return f"let in {decision.gateway.key_id or 'anonymous'} of {decision.gateway.tenant}"
    if link == "safety":
        return _safety(decision.safety)
    if link == "cache":
        return _cache(decision.cache)
    if link == "router":
        return _router(decision.router)
    if link == "inference":
        return _inference(decision.inference)
    return ""


def _safety(decision: pb.SafetyDecision) -> str:
    direction = pb.Direction.Name(decision.direction).removeprefix("DIRECTION_").lower()
    text = f"{pb.Verdict.Name(decision.verdict).removeprefix('VERDICT_').lower()}, {direction}"
    found = ", ".join(f"{finding.detector}: {finding.category}" for finding in decision.findings)
    return f"{text} ({found})" if found else text


def _cache(decision: pb.CacheDecision) -> str:
    outcome = pb.CacheDecision.Outcome.Name(decision.outcome).removeprefix("OUTCOME_").lower()
    if decision.outcome == pb.CacheDecision.OUTCOME_HIT:
        age_s = decision.age.ToNanoseconds() / 1e9
        return f"{outcome}, {decision.tier}, {age_s:.0f} s old"
    return f"{outcome} ({decision.reason})" if decision.reason else outcome


def _router(decision: pb.RouterDecision) -> str:
    text = f"{decision.routed_model} on {decision.backend}, {decision.policy}"
    tried = ", ".join(f"{attempt.backend}: {attempt.reason}" for attempt in decision.attempts)
    return f"{text}, after {tried}" if tried else text


def _inference(decision: pb.InferenceDecision) -> str:
    queue_ms = decision.queue_time.ToNanoseconds() / 1e6
    prefill_ms = decision.prefill_time.ToNanoseconds() / 1e6
    decode_ms = decision.decode_time.ToNanoseconds() / 1e6
    return (
        f"{decision.model} on {decision.engine}: "
        f"{decision.input_tokens} tokens in, {decision.cached_input_tokens} of them cached, "
        f"{decision.output_tokens} out; "
        f"queue {queue_ms:.1f}, prefill {prefill_ms:.1f}, decode {decode_ms:.1f} ms"
    )
