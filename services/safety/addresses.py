"""Whether a text goes on inside an address: whatever is written there may be carried out.

An address ends at a blank, a double quote, a backtick or an angle bracket. The target of a Markdown
link or image goes on to the bracket that closes it, what stands in quotes behind `=` or `(` to the
next such quote, and what stands in angle brackets to their end. All of these are followed side by
side, since what opens one may only look as if it did.
"""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from services.safety.forms.escapes import escapes
from services.safety.view import View

LONGEST = 2048
"""Characters of an address that are remembered; a longer one goes on all the same."""
_NEAR = 64
"""Characters before a piece of a text with which it may open something."""

# What leads elsewhere. Browsers take backslashes for slashes.
_START = re.compile(
    r"[/\\]{2}|(?:https?|ftp|wss?|javascript|vbscript|data|blob):|(?<=[a-z0-9+.-]{2}):[/\\]"
    r"|www\.|mailto:[^\s?]*\?",
    re.IGNORECASE,
)
_ENDS_WORD = re.compile(r'[\s<>"`]')
_BLANKS = re.compile(r"\s+")
# Browsers leave these out of an address.
_LEFT_OUT = str.maketrans("", "", "\t\r\n")
_BRACKET = re.compile(r"[()\n]")
# A whole link, with the end of its label.
_LINK = re.compile(r"[^\]]*\]\([^()\\]*\)")

_TARGET = ")"
_OPENS = {
    _TARGET: re.compile(r"\]\("),
    '"': re.compile(r'[=(]\s*"'),
    "'": re.compile(r"[=(]\s*'"),
    ">": re.compile(r"\](?:\(|:)\s*<"),
}
"""What may hold an address, blanks and all: by what closes it, what opens it."""
_CLOSES = {'"': re.compile('"'), "'": re.compile("'"), ">": re.compile(r"[>\n]")}


class _Open(NamedTuple):
    text: str = ""
    depth: int = 0
    """How many brackets are open in it."""


class Place(NamedTuple):
    """Where a text goes on."""

    word: str = ""
    """What stands since the last blank."""
    inside: Mapping[str, _Open] = {}
    """What else is open, by what closes it."""
    near: str = ""
    """What stands right before."""


def followed(place: Place, text: str) -> Place:
    """Return where a text goes on behind more of it, however it is cut."""
    near = place.near + text
    inside = {
        closer: opened
        for closer in _OPENS
        if (opened := _followed(closer, place.inside.get(closer), near, len(place.near)))
    }
    start = max((end.end() for end in _ENDS_WORD.finditer(text)), default=0)
    word = text[start:] if start else place.word + text
    return Place(_kept(word), inside, _BLANKS.sub(" ", near)[-_NEAR:])


def address(place: Place) -> str:
    """Return what has been written of the address in which a text goes on, empty if it does not."""
    texts = (opened.text.translate(_LEFT_OUT) for opened in place.inside.values())
    return next(filter(None, map(_address, (_unlinked(place.word), *texts))), "")


def _followed(closer: str, opened: _Open | None, text: str, at: int) -> _Open | None:
    """Follow one kind of what may be open through the characters from `at`."""
    while True:
        if opened is None:
            opening = next(_openings(closer, text, at), None)
            if opening is None:
                return None
            opened, at = _Open(), opening
        depth, end = _closing(closer, opened.depth, text, at)
        if end < 0:
            return _Open(_kept(opened.text + text[at:]), depth)
        opened, at = None, end


def _openings(closer: str, text: str, at: int) -> Iterator[int]:
    """Give where something was opened, not before a position."""
    for match in _OPENS[closer].finditer(text, max(0, at - _NEAR)):
        if match.end() > at:
            yield match.end()


def _closing(closer: str, depth: int, text: str, at: int) -> tuple[int, int]:
    """Return how many brackets are open, and where the text is closed, or -1."""
    if closer != _TARGET:
        end = _CLOSES[closer].search(text, at)
        return 0, end.end() if end else -1
    for bracket in _BRACKET.finditer(text, at):
        is_escaped = text[bracket.start() - 1 : bracket.start()] == "\\"
        if bracket[0] == "(":
            depth += 1
        elif bracket[0] == "\n" or (depth == 0 and not is_escaped):
            return 0, bracket.end()
        elif not is_escaped:
            depth -= 1
    return depth, -1


def _kept(text: str) -> str:
    """Return what of a text has to be remembered: where an address begins in it, or may begin."""
    if len(text) <= LONGEST:
        return text
    return _address(text)[:LONGEST] or text[-_NEAR:]


def _address(text: str) -> str:
    start = _START.search(text)
    if start is None and any(sign in text for sign in "&%\\"):
        text = View(text, "", 0, len(text)).rewritten("", escapes(text)).text
        start = _START.search(text)
    return text[start.start() :] if start else ""


def _unlinked(word: str) -> str:
    """Return a word without the links that end before its end."""
    link = _LINK.match(word)
    while link and not _START.search(link[0].partition("](")[0]):
        word = word[link.end() :]
        link = _LINK.match(word)
    return word
