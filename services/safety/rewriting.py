"""Puts placeholders and marks in the place of what was found in a request."""

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from catenary.config.v1.safety_pb2 import SAFETY_ACTION_REDACT
from services.safety.detector import Source
from services.safety.passages import Passage
from services.safety.profile import REWRITING, Action
from services.safety.pseudonyms import Pseudonyms, Span
from services.safety.stream.marks import mark
from services.safety.stream.rules import Judged


class Change(NamedTuple):
    """Characters of a text that may not go on as they are."""

    start: int
    end: int
    action: Action
    category: str


def rewrite(
    passages: Sequence[Passage], found: Sequence[Sequence[Judged]], pseudonyms: Pseudonyms
) -> None:
    """Write every passage back without what was found in it and is to be changed.

    Args:
        passages: of a request that nobody else holds.
        found: what was found in each.
        pseudonyms: learns what the placeholders stand for.
    """
    split = [
        [_blotted(passage.text.raw, start, end, changes) for start, end in passage.pieces]
        for passage, changes in zip(passages, map(changes_of, found), strict=True)
    ]
    # All is learnt before the first text is hidden: a value may be found in a later one alone.
    for passage, pieces in zip(passages, split, strict=True):
        for text, hidden in pieces:
            pseudonyms.learn(text, hidden, is_setup=passage.is_setup)
    for passage, pieces in zip(passages, split, strict=True):
        is_callers = passage.text.source in {Source.USER, Source.SYSTEM}
        texts = [pseudonyms.hide(*piece, is_callers=is_callers) for piece in pieces]
        changed = [
            None if text == passage.text.raw[start:end] else text
            for text, (start, end) in zip(texts, passage.pieces, strict=True)
        ]
        if any(text is not None for text in changed):
            passage.write(changed)


def changes_of(found: Sequence[Judged]) -> list[Change]:
    """Join what overlaps; of its actions the most severe counts, and the longest's category."""
    joined: list[Change] = []
    longest = 0
    for start, end, action, finding, *_ in sorted(found):
        if action not in REWRITING or start == end:
            continue
        if not joined or start >= joined[-1].end:
            joined.append(Change(start, end, action, finding.category))
            longest = end - start
            continue
        last = joined[-1]
        category = finding.category if end - start > longest else last.category
        longest = max(longest, end - start)
        joined[-1] = Change(last.start, max(last.end, end), max(last.action, action), category)
    return joined


def _blotted(
    raw: str, start: int, end: int, changes: Sequence[Change]
) -> tuple[str, Sequence[Span]]:
    """Return the characters from `start` to `end` with marks, and what in them is to be hidden.

    What looks like a placeholder is looked for in what comes of it: it may be whole only now.
    """
    pieces: list[str] = []
    hidden: list[Span] = []
    copied, moved = start, -start
    for index in range(bisect_right(changes, start, key=_end), len(changes)):
        change = changes[index]
        if change.start >= end:
            break
        first, last = max(change.start, start), min(change.end, end)
        if change.action == SAFETY_ACTION_REDACT:
            told = mark(change.category)
            pieces += raw[copied:first], told
            copied, moved = last, moved + len(told) - (last - first)
        else:
            hidden.append(Span(first + moved, last + moved, change.category))
    pieces.append(raw[copied:end])
    return "".join(pieces), hidden


def _end(change: Change) -> int:
    return change.end
