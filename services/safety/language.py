"""Finds text in other languages than those that may pass."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter

from py3langid.langid import MODEL_FILE, LanguageIdentifier

from catenary.config.v1 import safety_pb2
from services.safety.detector import Detector, Finding, Text

_NAME = "language"

# Of the 140 that the identifier knows: rare ones would only take short texts from common ones.
_CODES = (
    "af ar az be bg bn ca cs cy da de el en eo es et eu fa fi fr ga gl gu he hi hr hu hy id is it "
    "ja ka kk km kn ko lo lt lv mk ml mn mr ms my ne nl no pa pl pt ro ru si sk sl sq sr sv sw ta "
    "te th tl tr uk ur vi zh"
)
_LANGUAGES = frozenset(_CODES.split())

# Long texts are judged piece by piece, so that nothing foreign is lost in them.
_PIECE = 512
# With fewer letters a language can only be guessed. Where one letter is a syllable or a word, it
# counts for several.
_FEWEST_LETTERS = 12
_LETTER = re.compile(r"[^\W\d_]")
_FIRST_SYLLABLE, _LETTERS_PER_SYLLABLE = "\u2e80", 6


@dataclass(frozen=True, slots=True)
class _Language:
    languages: frozenset[str]
    name: str = _NAME
    threshold: float = 0.95
    reach: int = 0

    def find(self, text: Text) -> Sequence[Finding]:
        return list(self._found(text.raw))

    def _found(self, raw: str) -> Iterator[Finding]:
        for start in range(0, len(raw), _PIECE):
            piece = raw[start : start + _PIECE]
            if _letters(piece) < _FEWEST_LETTERS:
                continue
            likelihoods = _identifier().rank(piece)
            foreign = [likely for likely in likelihoods if likely[0] not in self.languages]
            if foreign:
                score = min(1.0, sum(map(itemgetter(1), foreign)))
                yield Finding(start, start + len(piece), _NAME, foreign[0][0], score)


def language(config: safety_pb2.LanguageDetector) -> Detector:
    """Build the detector; loading what knows the languages takes about a second.

    Raises:
        ValueError: a language is not known.
    """
    check_languages(config.languages)
    _identifier()
    return _Language(frozenset(config.languages))


def check_languages(languages: Iterable[str]) -> None:
    """Refuse languages that cannot be told.

    Raises:
        ValueError: there is one.
    """
    if unknown := frozenset(languages) - _LANGUAGES:
        named = f"language {min(unknown)!r} cannot be told: two letters name one, such as en"
        raise ValueError(f"{named}; there are {_CODES}")


@lru_cache(maxsize=1)
def _identifier() -> LanguageIdentifier:
    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages(_LANGUAGES)
    return identifier


def _letters(piece: str) -> int:
    letters = _LETTER.findall(piece)
    if piece.isascii():
        return len(letters)
    return sum(_LETTERS_PER_SYLLABLE if letter >= _FIRST_SYLLABLE else 1 for letter in letters)
