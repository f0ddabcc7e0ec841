"""Private keys in blocks: what stands between a line that begins one and the line that ends it."""

from collections.abc import Iterator

from services.safety.secrets.patterns import compiled

_BEGIN = compiled(
    r"-{4,5} ?BEGIN (?:[A-Z0-9]{1,16} ){0,3}PRIVATE KEY(?: BLOCK)? ?-{4,5}"
    r"|PuTTY-User-Key-File-[0-9]:|-{4} BEGIN SSH2 ENCRYPTED PRIVATE KEY -{4}"
)
_BODY = compiled(
    r"(?:\\[nrt]|[\s\"'+,;\\|>#*.]|[0-9A-Za-z+/=]{16,}|[0-9A-Za-z+/=]{1,64}(?:\\[nr]|\s|[\"'])"
    r"|(?:Proc-Type|DEK-Info|Version|Comment|Charset|Hash|Encryption|Public-Lines|Private-Lines"
    r"|Private-MAC|Key-Derivation|Argon2-[A-Za-z]+): ?[^\n\\]{0,80})*"
    r"(?:-{4,5} ?END [A-Z0-9 ]{1,64}-{4,5})?"
)


def private_keys(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield the spans of private keys."""
    done = 0
    for begin in _BEGIN.finditer(data):
        if begin.start() < done:
            continue
        body = _BODY.match(data, begin.end())
        done = body.end()
        yield begin.start(), done
