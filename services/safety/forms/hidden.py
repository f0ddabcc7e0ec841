"""Reads what is in a text, and not shown so: comments, tags, selectors, what is turned around."""

import re
from collections.abc import Iterator

from services.safety.forms.encodings import readable
from services.safety.view import Part

_OPENS, _CLOSES = "<!--", "-->"
# A link's target that is none, with the text as the link's title.
_LINK = re.compile(r"^[ \t]*\[[^\]\n]*\]: *#? *\(([^\n]*)\)", re.MULTILINE)
_OVERRIDDEN = re.compile("\u202e([^\u202c\u202e\n]{2,})")
_TAGS = re.compile("[\U000e0020-\U000e007e]{2,}")
_FIRST_TAG = 0xE0000
_SELECTORS = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]{4,}")
# The first sixteen selectors stand apart from the others.
_FIRST_SELECTOR, _MORE_SELECTORS = 0xFE00, 0xE0100 - 16


def comments(text: str) -> list[Part]:
    """Return what stands in comments of HTML, and in Markdown's trick for one."""
    links = (Part(link.start(), link.end(), link[1]) for link in _LINK.finditer(text))
    return sorted([*_html(text), *links])


def _html(text: str) -> Iterator[Part]:
    start = text.find(_OPENS)
    while start >= 0:
        end = text.find(_CLOSES, start + len(_OPENS))
        if end < 0:
            return
        yield Part(start, end + len(_CLOSES), text[start + len(_OPENS) : end].strip())
        start = text.find(_OPENS, end)


def overridden(text: str) -> list[Part]:
    """Return what is shown from right to left though its script is not, as it is shown."""
    return [Part(*run.span(), run[1][::-1]) for run in _OVERRIDDEN.finditer(text)]


def tags(text: str) -> list[Part]:
    """Return what is spelt in tag characters, which mirror ASCII."""
    return [
        Part(run.start(), run.end(), "".join(chr(ord(tag) - _FIRST_TAG) for tag in run[0]))
        for run in _TAGS.finditer(text)
    ]


def selectors(text: str) -> list[Part]:
    """Return what is spelt in variation selectors, one a byte."""
    return [
        Part(run.start(), run.end(), content)
        for run in _SELECTORS.finditer(text)
        if (content := readable(bytes(map(_byte, run[0]))))
    ]


def _byte(selector: str) -> int:
    code = ord(selector)
    return code - (_FIRST_SELECTOR if code < _MORE_SELECTORS else _MORE_SELECTORS)
