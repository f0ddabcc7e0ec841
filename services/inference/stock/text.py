"""The text of a choice as responses bring it, be it what is new or all of it so far."""

from collections.abc import Sequence

from infra.engine import stops as stop_texts

_HALF = "\ufffd"
"""What stands for a character of which only some bytes have been generated."""


class OpenText:
    """The text of one choice.

    What it gives out, put together, is the text up to the first stop text. What may begin a stop
    text, or is half a character, is held back.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self.given = ""
        """What has been given out."""
        self.matched_stop = ""
        """The stop text that ended it; nothing comes after it."""
        self._stops = stops
        self._held = ""

    def add(self, text: str) -> str:
        """Take in what is new, and return what can be given out."""
        self._held += text
        return self._release()

    def replace(self, text: str) -> str:
        """Take in all the text so far, and return what can be given out.

        It may be shorter than it was by what was held back: an engine that finds a stop text takes
        back what it has shown of it.

        Raises:
            ValueError: it is another text than the one given out.
        """
        if not text.startswith(self.given):
            raise ValueError("the text is not what it was")
        self._held = text[len(self.given) :]
        return self._release()

    def finish(self) -> str:
        """Return what was held back; half a character comes out as U+FFFD."""
        return "" if self.matched_stop else self._give(len(self._held))

    def _release(self) -> str:
        if self.matched_stop:
            return ""
        settled = self._held.rstrip(_HALF)
        found = stop_texts.first(settled, self._stops)
        if found is not None:
            at, self.matched_stop = found
            return self._give(at)
        return self._give(stop_texts.safe_length(settled, self._stops))

    def _give(self, length: int) -> str:
        text, self._held = self._held[:length], self._held[length:]
        self.given += text
        return text
