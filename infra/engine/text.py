"""From token ids to text, piece by piece: never half a character, never part of a stop string."""

import codecs
from collections.abc import Iterable, Sequence

from infra.engine.vocabulary import Vocabulary


class TextStream:
    """The text of one choice as its tokens come in.

    What it gives out, put together, is the text of all tokens up to the first stop string, however
    the tokens were cut into calls. Text that may be the beginning of a stop string is held back.
    """

    def __init__(self, vocabulary: Vocabulary, stops: Sequence[str] = ()) -> None:
        self._tokens = vocabulary.tokens
        self._at_start = vocabulary.strip_first_space
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._stops = stops
        self._longest = max(map(len, stops), default=0)
        self._held = ""
        self.matched_stop = ""
        """The stop string that ended the text; nothing comes after it."""

    def push(self, token_ids: Iterable[int]) -> str:
        """Take tokens in, and return the text that can be given out."""
        return self._emit(self._decode(b"".join(map(self._tokens.__getitem__, token_ids))))

    def finish(self) -> str:
        """Return what was held back; half a character comes out as U+FFFD."""
        if self.matched_stop:
            return ""
        text = self._emit(self._decode(b"", final=True))
        if self.matched_stop:
            return text
        held, self._held = self._held, ""
        return text + held

    def _decode(self, data: bytes, *, final: bool = False) -> str:
        text = self._decoder.decode(data, final)
        if self._at_start and text:
            self._at_start = False
            return text.removeprefix(" ")
        return text

    def _emit(self, text: str) -> str:
        if not self._stops:
            return text
        if self.matched_stop or not text:
            return ""
        self._held += text
        found = [(at, stop) for stop in self._stops if (at := self._held.find(stop)) >= 0]
        if found:
            # The one that is complete first, so that it does not matter how the text was cut.
            at, self.matched_stop = min(
                found, key=lambda match: (match[0] + len(match[1]), match[0])
            )
            return self._give(at)
        return self._give(self._safe_length())

    def _safe_length(self) -> int:
        """Return how much of the held text cannot become part of a stop string."""
        for start in range(max(0, len(self._held) - self._longest + 1), len(self._held)):
            tail = self._held[start:]
            if any(stop.startswith(tail) for stop in self._stops):
                return start
        return len(self._held)

    def _give(self, length: int) -> str:
        given, self._held = self._held[:length], self._held[length:]
        return given
