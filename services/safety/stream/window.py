"""Lets one text through as it comes, without what is found in it."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from catenary.config.v1.safety_pb2 import SAFETY_ACTION_ALLOW, SAFETY_ACTION_BLOCK
from services.safety.addresses import Place, followed
from services.safety.detector import Source, Text
from services.safety.forms.growing import END
from services.safety.pseudonyms import Pseudonyms
from services.safety.stream.marks import mark
from services.safety.stream.opening import opening, stride
from services.safety.stream.rules import Judged, Rules
from services.safety.stream.seen import Seen

_LEAST_STEP = 12
"""Characters between two looks at a text at least: looking costs the same for one as for many."""
_BEGINNING = 48
"""The first characters are looked at word by word: whoever waits sees them as soon as can be."""
_MOST_STEP = 64
"""Characters between two looks at a text at most, however long its words are."""
_OVERLAP = 64
"""Characters before what is judged that are judged with it again: a label before its value."""
_PLAIN = re.compile(r"[a-z\s.,;:!?'\"()-]*")
"""Text in which nothing is that a label would make a value of."""
_LEAST_SENTENCE = 96
_MOST_SENTENCE = 256
"""Characters that are judged as a whole: a sentence or several, or a piece of a long one."""
_SENTENCE_CONTEXT = 96
"""Characters before it that are judged with it."""

# The first blank behind a word. A run of blanks is no reason to look again and again.
_STEP = re.compile(r"(?<=[^\s\u3001\u3002\uff0c\uff01\uff1f])[\s\u3001\u3002\uff0c\uff01\uff1f]")
_SENTENCE_END = re.compile(r"[.!?\u2026:;][\"')\]*_\u00bb\u201d\u2019]*\s|[\n\u3002\uff01\uff1f]")


class Part(NamedTuple):
    """Something that may leave."""

    start: int
    end: int
    """The characters of the text that it stands for."""
    text: str
    changed: bool
    """It is not what stood there."""


class _Hit(NamedTuple):
    """Characters that do not pass as they are."""

    start: int
    end: int
    judged: Judged | None
    """None for a placeholder."""
    value: str = ""
    """What the placeholder stands for."""
    goes_on: bool = False
    """It began in what was dealt with before."""

    @property
    def action(self) -> int:
        """What is done; a placeholder is put back, and nothing worse."""
        return self.judged.action if self.judged else SAFETY_ACTION_ALLOW

    @property
    def acts(self) -> bool:
        """Tell whether something else leaves, or nothing."""
        return self.judged is None or self.judged.action > SAFETY_ACTION_ALLOW


class Window:
    """The part of one text that is known and has not left.

    Everything is decided at places that the text alone sets, never how it was cut into pieces: at
    the first blank behind a word, or within a word that is very long. There all that has not left
    is judged, as far back as a finding may have begun that is not over.
    """

    def __init__(
        self,
        rules: Rules,
        pseudonyms: Pseudonyms,
        on_finding: Callable[[Judged], None],
        before: str = "",
        *,
        in_json: bool = False,
    ) -> None:
        self.blocked: Judged | None = None
        """What has ended the text; nothing leaves any more."""
        self._rules = rules
        self._pseudonyms = pseudonyms
        self._on_finding = on_finding
        self._in_json = in_json
        self._opening = opening(rules.detectors)
        reach = max((detector.reach for detector in rules.detectors), default=0)
        self._judges = reach > 0
        self._judges_whole = any(not detector.reach for detector in rules.detectors)
        self._stride = stride(reach)
        self._reach = reach
        # Every position is one in the whole text, what stood before it being below 0.
        self._seen = Seen(before)
        self._place = self._followed(Place(), before)
        """Where the text goes on behind what left."""
        self.end = 0
        """How many characters came."""
        self.left = 0
        """How many characters were dealt with: they left, or something stands for them."""
        self._step = self._scanned = 0
        self._sentence = 0
        self._told_whole: set[tuple[str, str]] = set()
        self._judged_from = self._seen.base
        self._is_cut = False
        """What was found last goes on behind what was dealt with."""
        self._mark = ""
        self._waits_until = self._paused = 0

    def push(self, piece: str) -> list[Part]:
        """Take the next piece; return what may leave now."""
        self._seen.text += piece
        self.end += len(piece)
        parts: list[Part] = []
        while not self.blocked and (step := self._next_step()):
            self._step = step
            self._look(step, parts)
        sentence = self._sentence - _SENTENCE_CONTEXT if self._judges_whole else self.left
        self._seen.forget(self._judged_from, sentence)
        return parts

    def pause(self) -> list[Part]:
        """Return what may leave now that the text may have ended: all but what more could change.

        What comes then is judged with what stands before it.
        """
        parts: list[Part] = []
        if not self.blocked and self.left < self.end and self._paused < self.end:
            self._paused = self.end
            self._look(self.end, parts, is_over=True)
        return parts

    def finish(self) -> list[Part]:
        """Return what may leave now that the text has ended."""
        parts: list[Part] = []
        if not self.blocked and self.left < self.end:
            self._look(self.end, parts, is_over=True, is_last=True)
        return parts

    def _next_step(self) -> int:
        """Return where the text is looked at next, or 0 if that has not come."""
        latest = self._step + _MOST_STEP
        least = _LEAST_STEP if self._step >= _BEGINNING else 1
        first = max(self._step + least - 1, self._scanned)
        base = self._seen.base
        found = _STEP.search(self._seen.text, first - base, min(latest, self.end) - base)
        if found:
            return found.end() + base
        if self.end >= latest:
            return latest
        self._scanned = self.end
        return 0

    def _look(
        self, end: int, parts: list[Part], *, is_over: bool = False, is_last: bool = False
    ) -> None:
        if self._judges_whole:
            self._judge_sentence(end, is_last=is_over)
            # A block is found before anything of its sentence leaves.
            if self.blocked or (self._rules.holds_sentences and self._sentence < end):
                return
        tail = self._seen.slice(self.left, end)
        opened = len(tail)
        if not is_last:
            ended = tail + END if is_over else tail
            opened = min(opened, self._opening(ended), self._pseudonyms.begins_at(tail))
        if opened and (is_over or end >= self._waits_until):
            is_plain = self.left > 0 and not self._is_cut and _PLAIN.fullmatch(tail)
            hits = self._hits(self.left if is_plain else self._judged_from, end)
            bound = end if is_last else self._bound(self.left + opened, end, hits)
            if bound > self.left:
                self._release(bound, hits, parts)
            else:
                self._waits_until = end + self._stride

    def _hits(self, start: int, end: int) -> list[_Hit]:
        """Find what does not pass as it is, and what is only counted, in order."""
        raw = self._seen.slice(start, end)
        restored = self._pseudonyms.restored(
            raw[self.left - start :], json=self._in_json, place=self._place
        )
        hits = [
            _Hit(self.left + one, self.left + other, None, value) for one, other, value in restored
        ]
        if self._judges:
            text = Text(raw, Source.ANSWER, self._seen.before(start))
            judged = [
                _Hit(start + one.start, start + one.end, one) for one in self._rules.judged(text)
            ]
            hits = _without_placeholders_found(judged, hits)
        ahead = [
            hit._replace(start=max(hit.start, self.left), goes_on=hit.start < self.left)
            for hit in hits
            if hit.end > max(hit.start, self.left)
        ]
        return sorted(ahead, key=lambda hit: (hit.start, hit.end))

    def _bound(self, opened: int, end: int, hits: Sequence[_Hit]) -> int:
        """Return up to where all is decided: before the first hit that may grow on.

        One that is longer than any may be does not wait: it is cut, and goes on behind the cut.
        """
        bound = opened
        for hit in reversed(hits):
            may_grow = end - hit.start < self._reach + self._stride
            if hit.start < bound < hit.end and hit.acts and may_grow:
                bound = hit.start
        return bound

    def _release(self, bound: int, hits: Sequence[_Hit], parts: list[Part]) -> None:
        judged_from = max(self._seen.base, bound - _OVERLAP)
        is_cut = False
        passed = self.left
        for cluster in _clusters(hits, bound):
            worst = max(cluster, key=lambda hit: (hit.action, hit.end - hit.start))
            start, last = cluster[0].start, max(hit.end for hit in cluster)
            end = min(last, bound)
            if start > passed:
                parts.append(Part(passed, start, self._seen.slice(passed, start), changed=False))
            if worst.action == SAFETY_ACTION_BLOCK:
                self.blocked = worst.judged
                self._tell(hits, start + 1)
                self.left = start
                return
            parts.append(Part(start, end, self._stands_for(worst, start, end), changed=True))
            passed = end
            if last > bound:
                judged_from = min(judged_from, max(start, bound - self._reach))
                is_cut = True
        if bound > passed:
            parts.append(Part(passed, bound, self._seen.slice(passed, bound), changed=False))
        self._tell(hits, bound)
        self._place = self._followed(self._place, self._seen.slice(self.left, bound))
        self.left, self._judged_from, self._is_cut = bound, judged_from, is_cut

    def _followed(self, place: Place, text: str) -> Place:
        return followed(place, text) if self._pseudonyms else place

    def _tell(self, hits: Sequence[_Hit], bound: int) -> None:
        """Tell what was found before a position, and was not told when its beginning left."""
        for hit in hits:
            if hit.judged is None or not (hit.start < bound or hit.judged is self.blocked):
                continue
            if not hit.goes_on or (hit.acts and not self._is_cut):
                self._on_finding(hit.judged)

    def _stands_for(self, hit: _Hit, start: int, end: int) -> str:
        if hit.judged is None:
            return hit.value
        told = mark(hit.judged.finding.category)
        goes_on = start == self._seen.changed_end and told == self._mark
        self._seen.change(start, end, goes_on=goes_on)
        self._mark = told
        return "" if goes_on else told

    def _judge_sentence(self, end: int, *, is_last: bool) -> None:
        """Judge what came since the last sentence, with a little before it, if it is one."""
        size = end - self._sentence
        least = self._sentence + _LEAST_SENTENCE
        is_whole = size >= _MOST_SENTENCE or _SENTENCE_END.search(self._seen.slice(least - 1, end))
        if not size or not (is_last or is_whole):
            return
        text = Text(self._seen.slice(self._sentence - _SENTENCE_CONTEXT, end), Source.ANSWER)
        for judged in self._rules.judged_whole(text):
            if judged.action == SAFETY_ACTION_BLOCK:
                self.blocked = judged
                self._on_finding(judged)
                return
            kind = (judged.finding.detector, judged.finding.category)
            if kind not in self._told_whole:
                self._told_whole.add(kind)
                self._on_finding(judged)
        self._sentence = end


def _clusters(hits: Sequence[_Hit], bound: int) -> Iterator[Sequence[_Hit]]:
    """Give the hits before a position that change something, those together that overlap."""
    cluster: list[_Hit] = []
    end = 0
    for hit in hits:
        if hit.start >= bound or not hit.acts:
            continue
        if cluster and hit.start >= end:
            yield cluster
            cluster = []
        end = max(end, hit.end)
        cluster.append(hit)
    if cluster:
        yield cluster


def _without_placeholders_found(judged: Sequence[_Hit], placeholders: Sequence[_Hit]) -> list[_Hit]:
    """Keep placeholders from being found, and from being put into what goes away with more."""
    if not placeholders:
        return list(judged)
    outside = [
        hit
        for hit in judged
        if not any(one.start <= hit.start and hit.end <= one.end for one in placeholders)
    ]
    left = [
        one
        for one in placeholders
        if not any(hit.acts and hit.start < one.end and one.start < hit.end for hit in outside)
    ]
    return outside + left
