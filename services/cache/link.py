"""The link that answers again what it has been asked before."""

import time
from collections.abc import Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Self

from google.protobuf.duration_pb2 import Duration
from prometheus_client import CollectorRegistry

from catenary.config.v1 import mesh_pb2 as config_pb
from catenary.v1 import decision_pb2
from catenary.v1 import generation_pb2 as pb
from services import errors
from services.cache.key import key
from services.cache.metrics import CacheMetrics
from services.cache.policy import bypass_reason
from services.cache.recording import Recording
from services.cache.store import Clock, Entry, Store
from services.link import Call, Events, Link

_DECISION = decision_pb2.CacheDecision


@dataclass(frozen=True, slots=True)
class Cache:
    """Replays stored answers; stores those that finish, and only those."""

    upstream: Link
    store: Store
    versions: Mapping[str, int]
    """The version of each model that is to serve, from one moment to the next."""
    metrics: CacheMetrics

    @classmethod
    def configured(
        cls,
        upstream: Link,
        config: config_pb.CacheConfig,
        versions: Mapping[str, int],
        registry: CollectorRegistry,
        clock: Clock = time.monotonic,
    ) -> Self:
        """Build the link as the configuration says."""
        metrics = CacheMetrics(registry)
        ttl_s = config.ttl.ToNanoseconds() / 1e9
        return cls(upstream, Store(config.max_bytes, ttl_s, clock, metrics), versions, metrics)

    async def generate(self, request: pb.GenerateRequest, call: Call) -> Events:
        """Stream a stored answer, or the upstream's.

        Raises:
            MeshError: CACHE_MISS where the caller accepts stored answers only.
        """
        control = request.controls.cache
        reason = bypass_reason(request) if self.store.max_bytes else "disabled"
        identity = b"" if reason else key(request, call.tenant)
        entry = None if reason else self._find(identity, control)
        decision = self._decide(entry, reason)
        if entry is not None:
            for event in _replay(entry, decision, request, call):
                yield event
            return
        if control.mode == pb.CacheControl.MODE_ONLY_IF_CACHED:
            raise errors.cache_miss()
        recording = None if reason else Recording(self.store.max_events_bytes)
        async with aclosing(self.upstream.generate(request, call)) as events:
            async for event in events:
                answer = None if recording is None else recording.add(event)
                if answer is not None:
                    # Before the yield: a reader that has `finished` seldom asks for more.
                    self.store.put(identity, answer)
                yield event
                if event.HasField("started"):
                    yield decision

    def _find(self, identity: bytes, control: pb.CacheControl) -> Entry | None:
        if control.mode == pb.CacheControl.MODE_REFRESH:
            return None
        entry = self.store.get(identity)
        if entry is not None and not self._is_current(entry):
            self.store.remove(identity, "outdated")
            return None
        if entry is None or not control.HasField("max_age_s"):
            return entry
        return entry if self.store.age_s(entry) <= control.max_age_s else None

    def _is_current(self, entry: Entry) -> bool:
        """Tell whether it is the answer of the version that is to serve now."""
        finished = pb.GenerateResponse.FromString(entry.events[-1]).finished
        return self.versions.get(finished.served_model) == finished.served_version

    def _decide(self, entry: Entry | None, reason: str) -> pb.GenerateResponse:
        if entry is not None:
            age = Duration()
            age.FromNanoseconds(int(self.store.age_s(entry) * 1e9))
            decision = _DECISION(outcome=_DECISION.OUTCOME_HIT, tier="exact", similarity=1, age=age)
        elif reason:
            decision = _DECISION(outcome=_DECISION.OUTCOME_BYPASS, reason=reason)
        else:
            decision = _DECISION(outcome=_DECISION.OUTCOME_MISS)
        outcome = _DECISION.Outcome.Name(decision.outcome).removeprefix("OUTCOME_").lower()
        self.metrics.lookups.labels(outcome, reason).inc()
        return pb.GenerateResponse(decision=decision_pb2.Decision(cache=decision))


def _replay(
    entry: Entry, decision: pb.GenerateResponse, request: pb.GenerateRequest, call: Call
) -> Iterator[pb.GenerateResponse]:
    yield pb.GenerateResponse(started=pb.Started(request_id=call.request_id, model=request.model))
    yield decision
    yield from map(pb.GenerateResponse.FromString, entry.events)
