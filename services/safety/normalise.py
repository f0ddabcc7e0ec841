"""The forms of a text that may hide something: decoded, folded, joined.

A text is first read plainly: escapes undone, look-alikes turned into what they pass for, letters
set apart joined. What is encoded in the plain form is decoded, and what comes out is treated alike,
a few layers deep. Most texts have no form but their own, which one pass of an automaton tells.
"""

import codecs
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import re2

from services.safety.forms.ciphers import rot13, turned
from services.safety.forms.encodings import from_base64, from_binary, from_hex
from services.safety.forms.escapes import unescaped
from services.safety.forms.folding import folded
from services.safety.forms.hidden import comments, overridden, selectors, tags
from services.safety.forms.leetspeak import unleeted
from services.safety.forms.spacing import joined
from services.safety.view import Part, View

__all__ = ["View", "views"]

LAYERS = 3
"""How deep what is encoded in what is encoded is followed."""
GROWTH = 4
"""All forms together have at most this many times the characters of the raw text."""


class _Form(NamedTuple):
    """One way of reading a text."""

    how: str
    trigger: str
    """An expression that a text has to match for this way of reading to change anything."""
    read: Callable[[str], list[Part]]


# Words that are common in any text, or in what is hidden.
_COMMON = (
    "the|and|that|you|for|not|with|have|this|your|what|how|write|all|are|will|can|forget|ignore|"
    "previous|instruction|instructions|password|prompt|system|tell|show|say|give|answer|question|"
    "please|der|die|das|und|nicht|ich|les|des|que|est|une|las|los|por|con|para|vous|nous|mein"
)


def _any_of(words: str) -> str:
    return rf"(?i)\b(?:{words})\b"


_PLAIN = (
    _Form("unescaped", r"%[0-9A-Fa-f]{2}|&#?[A-Za-z0-9]+;|\\[uUx]", unescaped),
    _Form("folded", r"[^\t\n\r -~]", folded),
    _Form(
        "joined", r"(?:^|\s)\S \S \S |\b\w[._*·•|/~+-]\w[._*·•|/~+-]\w(?:[._*·•|/~+-]|\b)", joined
    ),
)
_LEETSPEAK = _Form("leetspeak", r"[A-Za-z][0-9@$!]+[A-Za-z]|[0-9][A-Za-z]{2}", unleeted)
# Read from the text as it stands, since they are nothing in how it reads.
_UNSEEN = (
    _Form("tags", r"[\x{E0020}-\x{E007E}]", tags),
    _Form("selectors", r"[\x{FE00}-\x{FE0F}\x{E0100}-\x{E01EF}]{4}", selectors),
    _Form("overridden", r"\x{202E}", overridden),
    _Form("comment", r"<!--|\]: *#? *\(", comments),
)
_ENCODED = (
    _Form("hex", r"(?:(?:\\x|0x)?[0-9A-Fa-f]{2}[ ,:]?){8}", from_hex),
    _Form("binary", r"(?:[01]{8}[ ,]?){3}", from_binary),
    _Form("base64", r"[A-Za-z0-9+/_-]{16}", from_base64),
    _Form("rot13", _any_of(codecs.encode(_COMMON, "rot13")), rot13),
    _Form("reversed", _any_of(_COMMON[::-1]), turned),
)
_UNDO_THEMSELVES = {"rot13", "reversed"}
_ALL = (*_PLAIN, _LEETSPEAK, *_UNSEEN, *_ENCODED)


def _compiled() -> re2.Set:
    triggers = re2.Set.SearchSet()
    for form in _ALL:
        triggers.Add(form.trigger)
    triggers.Compile()
    return triggers


_TRIGGERS = _compiled()


class _Gathered:
    """The forms of a text, each once, as many as there is room for."""

    def __init__(self, whole: View) -> None:
        self.views = [whole]
        self._texts = {whole.text}
        self._room = GROWTH * len(whole.text)

    def add(self, view: View) -> bool:
        """Take a form in; False where it is there already, or too much."""
        if not view.text or view.text in self._texts or len(view.text) > self._room:
            return False
        self.views.append(view)
        self._texts.add(view.text)
        self._room -= len(view.text)
        return True


def views(raw: str) -> Sequence[View]:
    """Return the text as it is, then the forms of it that differ."""
    whole = View(raw, "", 0, len(raw))
    gathered, layer = _Gathered(whole), [whole]
    for _ in range(LAYERS):
        inner: list[View] = []
        for view in layer:
            triggered = _triggered(view.text)
            plain = _plain(view, triggered)
            if plain is not view:
                gathered.add(plain)
                inner += filter(gathered.add, _extracted(view, triggered, _UNSEEN))
                triggered = _triggered(plain.text)
            inner += filter(gathered.add, _extracted(plain, triggered, (*_ENCODED, *_UNSEEN)))
            if _LEETSPEAK in triggered and (parts := _LEETSPEAK.read(plain.text)):
                gathered.add(plain.rewritten(_LEETSPEAK.how, parts))
        layer = inner
    return gathered.views


def _plain(view: View, triggered: Sequence[_Form]) -> View:
    """Return how a view reads plainly; what is undone may show more to undo."""
    for _ in range(LAYERS):
        before = view
        for form in _PLAIN:
            if form in triggered and (parts := form.read(view.text)):
                view = view.rewritten(form.how, parts)
        if view is before:
            break
        triggered = _triggered(view.text)
    return view


def _extracted(view: View, triggered: Sequence[_Form], forms: Sequence[_Form]) -> Iterator[View]:
    for form in forms:
        if view.how.endswith(form.how) and form.how in _UNDO_THEMSELVES:
            continue
        if form in triggered and (parts := form.read(view.text)):
            yield view.extracted(form.how, parts)


def _triggered(text: str) -> Sequence[_Form]:
    # Halves of characters have no UTF-8, and no part in any form.
    matched: Sequence[int] | None = _TRIGGERS.Match(text.encode("utf-8", "replace"))
    return [_ALL[index] for index in matched or ()]
