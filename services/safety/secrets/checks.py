"""Closer looks at what has a secret's form: checksums, what is encoded, how random it is."""

import re
from base64 import urlsafe_b64decode
from binascii import Error as Base64Error
from binascii import crc32
from json import loads

from services.safety.secrets.rule import LIKELY

CERTAIN = 0.99
"""A checksum, or what is decoded, leaves no doubt."""

_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_CHECKSUM_DIGITS = 6
_NUMBER = re.compile(r"[0-9]+")
_LETTERS = 8
_HEAD = 256
"""Characters of a web token's header by which it is known; they decode by themselves."""
_HEADER = re.compile(rb'\{\s*(?:"\w{1,16}"\s*:\s*"[^"]*"\s*,\s*)*"(?:alg|enc|typ|kid|x5[ctu]|jwk)"')


def checksummed(secret: str) -> float:
    """Tell how sure a token of GitHub's or npm's is; the CRC-32 of its body ends it, in base 62.

    Tokens from before the checksum, and shortened ones, are secrets too.
    """
    body = secret.partition("_")[2]
    rest, digits = crc32(body[:-_CHECKSUM_DIGITS].encode("latin-1")), ""
    for _ in range(_CHECKSUM_DIGITS):
        rest, digit = divmod(rest, 62)
        digits = _BASE62[digit] + digits
    return CERTAIN if body.endswith(digits) else LIKELY


def macaroon(secret: str) -> float | None:
    """Tell how sure a token of PyPI's is: a macaroon (version 2) that names the index."""
    if secret.startswith("pypi-AgE"):
        return CERTAIN if b"pypi.org" in _decoded(secret[5:37]) else LIKELY
    return mixed(secret)


def jwt(secret: str) -> float | None:
    """Tell how sure a JSON web token is: its header is JSON that names an algorithm or a type.

    Of a long header only the beginning is looked at: in a stream the rest has not come.
    """
    head = secret[:_HEAD]
    if "." not in head:
        return CERTAIN if _HEADER.match(_decoded(head)) else None
    try:
        header = loads(_decoded(head.partition(".")[0]))
    except (ValueError, RecursionError):
        return None
    named = isinstance(header, dict) and not header.keys().isdisjoint(("alg", "enc", "typ", "kid"))
    return CERTAIN if named else None


def mixed(secret: str) -> float | None:
    """Pass what has two numbers and a letter, or one number and capitals: few words do."""
    numbers = len(_NUMBER.findall(secret))
    letters = sum(character.isalpha() for character in secret)
    is_cased = numbers and letters >= _LETTERS and secret != secret.lower()
    return LIKELY if letters and (numbers > 1 or is_cased) else None


def _decoded(text: str) -> bytes:
    """Decode base64url without its padding; nothing where it is not base64."""
    try:
        return urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except Base64Error:
        return b""
