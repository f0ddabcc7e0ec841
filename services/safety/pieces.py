"""A long text, judged a piece at a time by a detector that takes long and looks at what is near."""

from collections.abc import Callable, Iterator

from services.safety.detector import Text
from services.safety.stream.rules import Judged

PIECE_CHARS = 16 * 1024
_OVERLAP = 512
"""Characters before a piece that are judged with it again."""
_BEFORE = 128
"""Characters before these that it is understood by."""


def judged_by_pieces(
    text: Text, reach: int, judge: Callable[[Text], list[Judged]]
) -> Iterator[list[Judged]]:
    """Yield what is found in each piece; together they find what is found in the text as a whole.

    A piece begins behind a blank, and never within what was found in the one before.

    Args:
        text: may be short.
        reach: the most characters that one finding takes.
        judge: looks at one piece.
    """
    raw, start = text.raw, 0
    while True:
        # Whatever begins in the piece is seen to its end, and as much again behind it.
        end = start + PIECE_CHARS + 2 * reach
        found = [one for one in _judged(text, start, end, judge) if one.end > start]
        if end >= len(raw):
            yield found
            return
        cut = _behind_blank(raw, start + PIECE_CHARS, reach)
        for one in reversed(found):
            cut = one.start if start < one.start < cut < one.end else cut
        yield [one for one in found if one.start < cut]
        start = cut


def _judged(
    text: Text, start: int, end: int, judge: Callable[[Text], list[Judged]]
) -> list[Judged]:
    """Judge a piece, with a little before it: a label before its value."""
    first = max(0, start - _OVERLAP)
    before = text.raw[max(0, first - _BEFORE) : first] or text.before
    found = judge(Text(text.raw[first:end], text.source, before))
    return [_shifted(one, first) for one in found]


def _behind_blank(raw: str, position: int, reach: int) -> int:
    blank = max(
        raw.rfind(" ", position - reach, position), raw.rfind("\n", position - reach, position)
    )
    return blank + 1 or position


def _shifted(one: Judged, by: int) -> Judged:
    start, end = one.start + by, one.end + by
    return one._replace(start=start, end=end, finding=one.finding._replace(start=start, end=end))
