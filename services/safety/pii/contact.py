"""What reaches a person or a machine: addresses of mail, of the web and of networks."""

from collections.abc import Iterator
from ipaddress import ip_address

import re2

from services.safety.pii.candidates import Candidate
from services.safety.pii.context import Context
from services.safety.pii.kind import Kind

# What a host may end in without anything else that tells it from a sentence's end or a file's name.
_TOP = (
    r"com|org|net|edu|gov|mil|int|info|biz|io|ai|dev|app|site|online|shop|xyz|tech|cloud|blog|webcam|store|eu|"
    r"co\.[a-z]{2}|com\.[a-z]{2}|org\.[a-z]{2}|ac\.[a-z]{2}|gov\.[a-z]{2}|net\.[a-z]{2}|"
    r"de|uk|fr|it|es|nl|be|ch|at|se|dk|fi|pl|cz|pt|gr|hu|ro|ru|jp|cn|kr|br|mx|ca|au|nz|za|ie|tr|ua|vlaanderen"
)
_OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_HEX = r"[0-9a-f]{1,4}"


def _mac(number: str) -> bool:
    return number not in {"000000000000", "FFFFFFFFFFFF"}


# In version 6 the last four bytes may be written as in version 4.
_NETWORK = re2.compile(
    rf"(?i)(?:^|[^0-9a-z:.])((?:{_HEX})?:(?:[0-9a-f:]{{0,32}}:{_OCTET}(?:\.{_OCTET}){{3}}|[0-9a-f:]{{1,38}})(?:/\d{{1,3}})?)".encode()
)
_NETWORK_4 = re2.compile(rf"(?:^|[^0-9.])({_OCTET}(?:\.{_OCTET}){{3}}(?:/\d{{1,2}})?)".encode())
# Letters beyond ASCII are one byte: see `plain`. In an address the sign may be escaped.
_LOCAL = r"[a-z0-9\x02!#$%&*+/=?^_|~-]"
_AT = r"(?:@|%40|&#64;|&#x40;)"

KINDS = (
    Kind(
        "email",
        rf"(?:\b|^|[^a-z0-9\x02])([a-z0-9\x02_]{_LOCAL}{{0,63}}(?:\.{_LOCAL}{{1,64}}){{0,3}}{_AT}(?:[a-z0-9\x02-]{{1,63}}\.){{1,3}}[a-z\x02][a-z0-9\x02-]{{1,24}})",
        0.95,
        edged=True,
    ),
    Kind(
        "url",
        r"\b((?:(?:https?|ftp)://|www\.)[a-z0-9\[](?:[^\s<>\"'`{}|\\^\[\]]{0,480}[^\s<>\"'`{}|\\^.,;:!?()\[\]])?)",
        0.6,
        edged=True,
    ),
    Kind(
        "url",
        rf"(?:^|[\s\"'(<,])((?:[a-z0-9][a-z0-9-]{{0,62}}\.){{1,5}}(?:{_TOP}))(?:[\s\"')>,;:!?/]|\.\s|\.?$)",
        0.5,
        edged=True,
    ),
    Kind(
        "mac_address",
        r"[0-9a-f]{2}(?:(?::[0-9a-f]{2}){5}|(?:-[0-9a-f]{2}){5})|[0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{4}",
        0.8,
        _mac,
        r"mac|device|hardware",
    ),
)


def addresses(context: Context) -> Iterator[Candidate]:
    """Yield the addresses of networks."""
    for expression in _NETWORK, _NETWORK_4:
        for match in expression.finditer(context.plain):
            start, end = match.span(1)
            after = context.plain[end : end + 1]
            if not after.isalnum() and _is_address(match.group(1).decode().rstrip(":")):
                yield Candidate(start, end, "ip_address", 0.75)


def _is_address(text: str) -> bool:
    try:
        ip_address(text.partition("/")[0])
    except ValueError:
        return False
    return True
