"""What goes up in the place of an identity that holds something of somebody's."""

import hashlib
import secrets

# Of this process alone: whoever sees a hash cannot try which name it is of.
_KEY = secrets.token_bytes(32)
_BYTES = 16


def standing_in(identity: str) -> str:
    """Return a keyed hash: the same for the same identity, as long as this process lives."""
    hashed = hashlib.blake2b(identity.encode(), key=_KEY, digest_size=_BYTES)
    return f"hidden_{hashed.hexdigest()}"
