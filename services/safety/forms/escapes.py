"""Undoes escapes: of URLs, of HTML, and those with a backslash."""

import html
import re
from urllib.parse import unquote

from services.safety.invisible import ANY
from services.safety.view import Part

_ESCAPES = re.compile(
    r"(?P<url>(?:%[0-9A-Fa-f]{2})+)"
    r"|(?P<html>&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]{1,30});)"
    r"|(?P<code>(?:\\(?:u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|x[0-9A-Fa-f]{2}|u\{[0-9A-Fa-f]{1,6}\}))+)"
)
_CODE = re.compile(r"\\[uUx]\{?([0-9A-Fa-f]{1,8})\}?")
_LAST = 0x10FFFF


def unescaped(text: str) -> list[Part]:
    """Return the escapes with what they stand for; none where only signs are escaped.

    Signs have to be escaped in many places; letters, digits and what is not seen nowhere, so that
    whoever escapes them may be hiding something.
    """
    parts = escapes(text)
    if not any(ANY.match(each) or each.isalnum() for part in parts for each in part.text):
        return []
    return parts


def escapes(text: str) -> list[Part]:
    """Return all escapes with what they stand for."""
    found = (Part(each.start(), each.end(), _undone(each)) for each in _ESCAPES.finditer(text))
    return [part for part in found if part.text != text[part.start : part.end]]


def _undone(found: re.Match[str]) -> str:
    match found.lastgroup:
        case "url":
            return unquote(found[0], errors="replace")
        case "html":
            return html.unescape(found[0])
        case _:
            # Halves of a character outside of the basic plane are two escapes.
            units = "".join(_character(int(code[1], 16)) for code in _CODE.finditer(found[0]))
            return units.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _character(code: int) -> str:
    return chr(code) if code <= _LAST else "\ufffd"
