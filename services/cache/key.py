"""The identity of a stored answer: everything of a request that changes what is answered."""

import hashlib

from catenary.v1 import generation_pb2 as pb

Key = bytes
"""A SHA-256: two requests with the same key have the same answer."""


def key(request: pb.GenerateRequest, tenant: str) -> Key:
    """Return the key of a request within its tenant.

    A field counts unless it is taken out here, so that one added later can split entries but never
    mix them. The bytes are those of one build of protobuf: keys live no longer than the process.
    """
    identity = pb.GenerateRequest()
    identity.CopyFrom(request)
    identity.ClearField("request_id")
    identity.ClearField("end_user")
    _clear_controls(identity)
    digest = hashlib.sha256()
    name = tenant.encode()
    # The length keeps a tenant's name from running into the request.
    digest.update(len(name).to_bytes(8, "big") + name)
    digest.update(identity.SerializeToString(deterministic=True))
    return digest.digest()


def _clear_controls(identity: pb.GenerateRequest) -> None:
    """Take out what says how a request is served rather than what is asked."""
    controls = identity.controls
    for name in ("cache", "priority", "include_decisions"):
        controls.ClearField(name)
    controls.routing.ClearField("session")
    # A message that is set but empty asks for no more than one that is not set.
    if not controls.routing.ByteSize():
        controls.ClearField("routing")
    if not controls.ByteSize():
        identity.ClearField("controls")
