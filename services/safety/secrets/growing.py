"""What at the end of a stream's text may be a secret that is not over, blanks and all."""

from services.safety.secrets.credentials import ANY_NAME, CALLS, CLOSE, IS, KEY_NAME
from services.safety.secrets.patterns import compiled, encoded

_BEGUN = r"(?:\"[^\"\n]{0,256}|'[^'\n]{0,256}|`[^`\n]{0,256})"
_GROWING = compiled(
    # The line that begins a private key's block, or ends it.
    r"-{4,5} ?(?:(?:BEGIN|END) [A-Z0-9 ]{0,64}-{0,5})?\z"
    # A name, and what is said to be its value.
    rf"|(?i:{ANY_NAME}|{KEY_NAME})(?:{CLOSE}{IS}?|\s(?i:is|was)?)\s{{0,8}}@?\\?{_BEGUN}?\z"
    # A value that a name may follow.
    r"|(?:\"[^\"\s]{4,256}\"|'[^'\s]{4,256}')\s{0,8}(?:[=!]={0,2}\s{0,8}[\w.]{0,40})?\z"
    # What a call is given.
    rf"|(?i:{CALLS})\([^)]{{0,400}}\z"
)


def growing_from(tail: str) -> int:
    """Return the first character of what may grow; the tail's length when there is nothing."""
    match = _GROWING.search(encoded(tail))
    return match.start() if match else len(tail)
