"""From token ids to text, piece by piece: never half a character, never part of a stop string."""

import codecs
from collections.abc import Iterable, Sequence

from infra.engine import stops as stop_texts
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
        found = stop_texts.first(self._held, self._stops)
        if found is not None:
            at, self.matched_stop = found
            return self._give(at)
        return self._give(stop_texts.safe_length(self._held, self._stops))

    def _give(self, length: int) -> str:
        given, self._held = self._held[:length], self._held[length:]
        return given
