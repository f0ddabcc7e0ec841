"""Decodes what base64, base32, hexadecimal or binary digits make of a readable text."""

import base64
import binascii
import re
from collections.abc import Callable

from services.safety.view import Part

_BASE64 = re.compile(
    r"(?:[A-Za-z0-9+/_-]{16,}\r?\n)*[A-Za-z0-9+/_-]{16,}(?:\r?\n[A-Za-z0-9+/_-]+(?==))?={0,2}"
)
# So many digits of base64 stand for three bytes.
_DIGITS = 4
_PATH = re.compile(r"[/_-]")
_HEX = re.compile(
    r"(?<![0-9A-Za-z])(?:\\x|0x)?[0-9A-Fa-f]{2}(?:[ ,:]?(?:\\x|0x)?[0-9A-Fa-f]{2}){7,}"
)
_NOT_HEX = re.compile(r"\\x|0x|[^0-9A-Fa-f]")
# In a stream the last may have come in part.
_BINARY = re.compile(r"(?<!\w)[01]{8}(?:[ ,]?[01]{8}){2,}(?=[01]{0,7}(?!\w))")
_BITS = re.compile("[01]{8}")
_BASE32 = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
# The shares of characters that have to be seen, and to belong to words. Of random bytes a third may
# be seen.
_READABLE, _OF_WORDS = 0.9, 0.6
_FEWEST = 6


def from_base64(text: str) -> list[Part]:
    """Return the runs that decode from base64, of either alphabet and direction, or base32."""
    return _decoded(_BASE64, text, _base64)


def from_hex(text: str) -> list[Part]:
    """Return the runs of pairs of hexadecimal digits that decode."""
    return _decoded(_HEX, text, _hex)


def from_binary(text: str) -> list[Part]:
    """Return the runs of eight binary digits each that decode."""
    return _decoded(_BINARY, text, _binary)


def _decoded(pattern: re.Pattern[str], text: str, decode: Callable[[str], str]) -> list[Part]:
    return [
        Part(run.start(), run.end(), decoded)
        for run in pattern.finditer(text)
        if (decoded := decode(run[0]))
    ]


def _base64(run: str) -> str:
    run = "".join(run.split()).rstrip("=")
    if _BASE32.issuperset(run) and (decoded := _base32(run)):
        return decoded
    # A path may lead to it, in which case it is the longest of its names.
    longest = max(_PATH.split(run), key=len)
    return _base64_run(run) or _base64_run(longest) or _base64_run(run[::-1])


def _base64_run(run: str) -> str:
    """Decode a run; where a word stands before it, letters of it may have to be left out."""
    plain = run.replace("-", "+").replace("_", "/")
    decoded = (_base64_digits(plain[skipped:]) for skipped in range(_DIGITS))
    return next(filter(None, decoded), "")


def _base64_digits(digits: str) -> str:
    whole = digits[: len(digits) - (len(digits) % _DIGITS == 1)]
    return readable(binascii.a2b_base64(whole + "=" * (-len(whole) % _DIGITS)))


def _base32(run: str) -> str:
    try:
        return readable(base64.b32decode(run + "=" * (-len(run) % 8)))
    except binascii.Error:
        return ""


def _hex(run: str) -> str:
    digits = _NOT_HEX.sub("", run)
    return readable(bytes.fromhex(digits[: len(digits) // 2 * 2]))


def _binary(run: str) -> str:
    return readable(bytes(int(bits, 2) for bits in _BITS.findall(run)))


def readable(data: bytes) -> str:
    """Return the text of UTF-8 bytes; an empty one where most of it is nothing to read."""
    text = data.decode("utf-8", "replace")
    least = len(text) * _READABLE
    if len(text) < _FEWEST or sum(map(_is_shown, text)) < least:
        return ""
    return text if sum(map(_is_word, text)) >= len(text) * _OF_WORDS else ""


def _is_shown(character: str) -> bool:
    return (character.isprintable() or character in "\t\n\r") and character != "\ufffd"


def _is_word(character: str) -> bool:
    return character.isalnum() or character.isspace()
