"""Which requests the cache has no part in, and why."""

from catenary.v1 import generation_pb2 as pb

BYPASS = pb.CacheControl.MODE_BYPASS


def bypass_reason(request: pb.GenerateRequest) -> str:
    """Return why a request is neither answered from the cache nor stored; empty when it is.

    A caller who sets a temperature and no seed asks for answers that differ: giving the same one
    twice would be wrong. One who sets neither asks for an answer, and is served.
    """
    if request.controls.cache.mode == BYPASS:
        return "cache_control"
    if request.HasField("continuation"):
        return "continuation"
    if request.sampling.temperature > 0 and not request.sampling.HasField("seed"):
        return "sampled"
    return ""
