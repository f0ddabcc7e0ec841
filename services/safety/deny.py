"""Finds what the operator denies: phrases, and what matches an expression."""

import codecs
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import re2

from catenary.config.v1 import safety_pb2
from services.safety.detector import Detector, Finding, Text
from services.safety.expression import UNBOUNDED, width
from services.safety.forms.growing import END, grows_from
from services.safety.normalise import View, views
from services.safety.phrases import Phrases

_NAME = "deny"
_PHRASE, _PATTERN = "phrase", "pattern"
MOST_WIDTH = 512
"""Characters of a match of an expression; as many of a stream's text may have to wait."""

_MOST_PER_LETTER, _MORE = 16, 64
"""Characters that a phrase may take in a stream: for each letter in whichever form, and more."""
_FEWEST_TURNED = 8
"""Letters of phrases that are sought turned around, and moved by thirteen places, in any text."""
# Any one blank is as good as another; so are dashes, and quotes.
_ALIKE = {
    **dict.fromkeys(map(ord, "\t\n\v\f\r\x85\xa0\u2028\u2029\u202f\u3000"), " "),
    **dict.fromkeys(range(0x2000, 0x200B), " "),
    **dict.fromkeys([*range(0x2010, 0x2016), 0x2212], "-"),
    **dict.fromkeys([0x60, 0xB4, 0x2BC, *range(0x2018, 0x201C), 0x2032], "'"),
    **dict.fromkeys(range(0x201C, 0x2020), '"'),
}


@dataclass(frozen=True, slots=True)
class _Deny:
    phrases: Phrases
    categories: Mapping[str, str]
    """Of each phrase, folded."""
    patterns: Sequence["_Pattern"]
    widest: int
    """The most characters of a match of a pattern."""
    reach: int
    name: str = _NAME
    threshold: float = 0.5

    def find(self, text: Text) -> Sequence[Finding]:
        return sorted({finding for view in text.views for finding in self._found(view)})

    def open_from(self, tail: str) -> int:
        """Tell from where on the end of a stream's text may be what is denied."""
        # Nothing tells whether a match has begun: where no more may come none is waited for.
        widest = 0 if tail.endswith(END) else self.widest
        opened = min(grows_from(tail), max(0, len(tail) - widest))
        for view in views(tail.removesuffix(END)) if opened else ():
            size = len(view.text)
            if self.phrases:
                folded, origins = _folded(view.text)
                if begun := self.phrases.begun(folded):
                    opened = min(opened, view.span(origins[len(folded) - begun], size)[0])
            if widest and view.end == len(tail):
                opened = min(opened, view.span(max(0, size - widest), size)[0])
        return opened

    def _found(self, view: View) -> Iterator[Finding]:
        if self.phrases:
            folded, origins = _folded(view.text)
            for match in self.phrases.matches(folded):
                start, end = view.span(origins[match.start], origins[match.end - 1] + 1)
                category = self.categories[folded[match.start : match.end]]
                yield Finding(start, end, _NAME, category, 1.0)
        for pattern in self.patterns:
            for start, end in pattern.covered(view.text):
                yield Finding(*view.span(start, end), _NAME, pattern.category, 1.0)


def deny(config: safety_pb2.DenyDetector) -> Detector:
    """Build the detector.

    Raises:
        ValueError: a pattern is no expression of RE2's, or its matches are empty or have no bound.
    """
    categories = {_plain(phrase): _PHRASE for phrase in config.phrases}
    patterns = [_Pattern(pattern, _PATTERN) for pattern in config.patterns]
    for named in config.lists:
        categories |= {_plain(phrase): named.name for phrase in named.phrases}
        patterns += [_Pattern(pattern, named.name) for pattern in named.patterns]
    widest = max((pattern.width for pattern in patterns), default=0)
    longest = max(map(len, categories), default=0)
    reach = max(widest, _MOST_PER_LETTER * longest + _MORE)
    for phrase, category in list(categories.items()):
        if sum(map(str.isalpha, phrase)) >= _FEWEST_TURNED:
            for turned in (phrase[::-1], codecs.encode(phrase, "rot13")):
                categories.setdefault(turned, category)
    return _Deny(Phrases(categories), categories, patterns, widest, reach)


def check_deny(config: safety_pb2.DenyDetector) -> None:
    """Refuse what `deny` refuses, and what denies nothing, or everything.

    Raises:
        ValueError: it makes no sense.
    """
    if not config.phrases and not config.patterns and not config.lists:
        raise ValueError("denies nothing: give phrases, patterns or lists")
    for named in config.lists:
        if not named.phrases and not named.patterns:
            raise ValueError(f"list {named.name!r} has neither phrases nor patterns")
    lists: Sequence[safety_pb2.DenyDetector | safety_pb2.DenyList] = (config, *config.lists)
    if any(not phrase.strip() for each in lists for phrase in each.phrases):
        raise ValueError("a phrase is blank")
    deny(config)


class _Pattern:
    """One expression."""

    def __init__(self, expression: str, category: str) -> None:
        self.category = category
        options = re2.Options()
        # The longest match at each place, so that what is covered does not hang on the order of
        # alternatives.
        options.longest_match = True
        options.log_errors = False
        try:
            self._compiled = re2.compile(expression, options)
        except re2.error as error:
            reason = error.args[0].decode("utf-8", "replace")
            raise ValueError(f"pattern {expression!r}: {reason}") from None
        self.width = width(expression)
        if not self.width:
            raise ValueError(f"pattern {expression!r} matches no character")
        if self.width > MOST_WIDTH:
            takes = "without end" if self.width >= UNBOUNDED else f"of {self.width} characters"
            raise ValueError(
                f"pattern {expression!r}: there are matches {takes}, and {MOST_WIDTH} may be held "
                "back; write, for example, {0,50} instead of *"
            )

    def covered(self, text: str) -> Iterator[tuple[int, int]]:
        """Give the stretches that matches cover, one from each place where one begins.

        They are the same from wherever in the text the search begins.
        """
        data = text.encode("utf-8", "replace")
        told = told_bytes = 0
        for start, end in _joined(self._matches(data)):
            first = told + len(data[told_bytes:start].decode())
            told, told_bytes = first + len(data[start:end].decode()), end
            yield first, told

    def _matches(self, data: bytes) -> Iterator[tuple[int, int]]:
        at = 0
        while (found := self._compiled.search(data, at)) is not None:
            start, end = found.span()
            if end > start:
                yield start, end
            at = start + 1
            if at > len(data):
                return


def _joined(spans: Iterator[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Join the spans that touch; they come in the order of their beginnings."""
    start = end = -1
    for first, last in spans:
        if first > end:
            if end > start:
                yield start, end
            start = first
        end = max(end, last)
    if end > start:
        yield start, end


def _plain(phrase: str) -> str:
    return _folded(unicodedata.normalize("NFKC", phrase))[0]


def _folded(text: str) -> tuple[str, Sequence[int]]:
    """Return a text without regard to case and to how many blanks stand together.

    With it comes, for each of its characters, where in the text it is from.
    """
    plain = text.translate(_ALIKE)
    folded = plain.casefold()
    if len(folded) == len(text) and "  " not in folded:
        return folded, range(len(text))
    pairs = [
        (at, letter)
        for at, character in enumerate(plain)
        if character != " " or plain[at - 1 : at] != " "
        # Folding lengthens some characters: `ß` becomes `ss`.
        for letter in character.casefold()
    ]
    return "".join(letter for _, letter in pairs), [at for at, _ in pairs]
