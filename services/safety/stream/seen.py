"""What of one text is kept for another look, and what detectors are shown before a piece of it."""

CONTEXT = 128
"""Characters before what is judged that detectors are shown."""
_HEAD = 512
"""Characters that a long finding begins with, by which detectors know it: more than any needs."""


class Seen:
    """The end of a text, as far back as it is looked at again.

    Every position is one in the whole text, what stood before it being below 0.
    """

    def __init__(self, before: str) -> None:
        self.text = before[-CONTEXT:]
        self.base = -len(self.text)
        """Where it begins."""
        self.changed_end = self.base - 1
        """Where the last finding ends that something stands for."""
        self._changed = self.changed_end
        self._head = ""
        """What that finding begins with, when it is forgotten."""

    def slice(self, start: int, end: int) -> str:
        """Return what stands between two positions."""
        return self.text[max(0, start - self.base) : end - self.base]

    def change(self, start: int, end: int, *, goes_on: bool) -> None:
        """Note that something stands for these characters: a finding, or more of the last one."""
        if not goes_on:
            self._changed, self._head = start, ""
        self.changed_end = end

    def before(self, position: int) -> str:
        """Return what detectors are shown before a position.

        Within a long finding that is its beginning and its last lines: what stands between is as
        they are, or it would not be one finding.
        """
        near = self.slice(position - CONTEXT, position)
        if not self._is_changed(position):
            return near
        if position - CONTEXT <= self._changed + _HEAD:
            return self.slice(self._changed - CONTEXT, position)
        return _whole_lines(self._head or self._beginning(), near)

    def forget(self, judged_from: int, kept_from: int) -> None:
        """Forget what is in sight neither from where is judged next, nor from another position."""
        kept = min(kept_from, judged_from - CONTEXT)
        if self._is_changed(judged_from):
            if judged_from - CONTEXT > self._changed + _HEAD:
                self._head = self._head or self._beginning()
            else:
                kept = min(kept, self._changed - CONTEXT)
        if kept > self.base:
            self.text = self.text[kept - self.base :]
            self.base = kept

    def _is_changed(self, position: int) -> bool:
        """Tell whether a position is in the last finding, or right behind it."""
        return self._changed <= position <= self.changed_end

    def _beginning(self) -> str:
        return self.slice(self._changed - CONTEXT, self._changed + _HEAD)


def _whole_lines(head: str, tail: str) -> str:
    """Put the beginning and the end of a finding together; if it has lines, no part of one."""
    last = head.rfind("\n", len(head) - _HEAD)
    return head[: last + 1 or None] + tail[tail.find("\n") + 1 :]
