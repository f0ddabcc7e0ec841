"""Holds back the end of a streamed text while it may be the beginning of a denied phrase."""

from services.safety.phrases import Phrases


class Hold:
    """Lets one text through, piece by piece, up to the first denied phrase.

    However the text is cut into pieces, the same characters leave: all of them, or those before
    the phrase. Never more is held than the longest phrase is long.
    """

    def __init__(self, phrases: Phrases) -> None:
        self.blocked = False
        """A phrase has been found; nothing leaves any more."""
        self.held = ""
        """What has not left yet."""
        self._held_folded = 0
        self._phrases = phrases
        self._state = 0

    def push(self, piece: str) -> str:
        """Take the next piece; return what can no longer be part of a phrase."""
        text, folded = self.held + piece, piece.casefold()
        length = self._held_folded + len(folded)
        self._state, match = self._phrases.scan(self._state, folded)
        if match is None:
            safe = _before(text, length - self._phrases.depth(self._state))
            self.held = text[len(safe) :]
            self._held_folded = length - len(safe.casefold())
        else:
            self.blocked = True
            safe = _before(text, self._held_folded + match.start)
            self.held, self._held_folded = "", 0
        return safe

    def flush(self) -> str:
        """Return what is held, now that the text has ended."""
        rest, self.held, self._held_folded, self._state = self.held, "", 0, 0
        return rest


def _before(text: str, folded: int) -> str:
    """Return the whole characters of a text that stand before a position of its folded form."""
    if len(text.casefold()) == len(text):
        return text[:folded]
    # Folding lengthens some characters: `ß` becomes `ss`, and `İ` an `i` with a dot above.
    for index, character in enumerate(text):
        folded -= len(character.casefold())
        if folded < 0:
            return text[:index]
    return text
