"""The detector of secrets: one pass tells which rules may match, and only those are tried."""

from collections.abc import Iterable, Iterator, Sequence

import re2

from services.safety.detector import Finding, Text
from services.safety.secrets.credentials import CREDENTIALS
from services.safety.secrets.found import Found
from services.safety.secrets.growing import growing_from
from services.safety.secrets.named import named
from services.safety.secrets.patterns import compiled, encoded, options
from services.safety.secrets.private_keys import private_keys
from services.safety.secrets.rule import SURE, THRESHOLD
from services.safety.secrets.tokens import TOKENS
from services.safety.stream.opening import last_word

PIECE = 512
"""The most characters of one finding; a longer secret is found in pieces, and known by the first.

So it is known in a stream, too, before the rest has come: no rule needs more than that.
"""
_RULES = (*TOKENS, *CREDENTIALS)
_EXPRESSIONS = tuple(compiled(rule.pattern) for rule in _RULES)

_LONG_RUN = compiled(r"[0-9A-Za-z_.:/|!+-]{24}")
"""What rules without letters of their own need, which no filter knows them by."""


class Secrets:
    """Finds keys, tokens and passwords.

    Every expression is RE2's, so that the time is linear in a text's length.
    """

    name = "secrets"
    threshold = THRESHOLD
    reach = PIECE

    def __init__(self) -> None:
        self._filter = re2.Filter()
        for rule in _RULES:
            self._filter.Add(rule.pattern.encode("latin-1"), options())
        self._filter.Compile()
        self._loose = frozenset(self._filter.Match(b"", potential=True) or ())

    def find(self, text: Text) -> Sequence[Finding]:
        """Return the secrets in a text, in order; of one that lies in another only the other."""
        # What begins before the text may go on in it.
        shift = len(text.before)
        data = encoded(text.before + text.raw)
        found = sorted(self._found(data), key=lambda one: (one[0], -one[1]))
        return [
            Finding(max(0, at - shift), min(at + PIECE, end) - shift, self.name, category, score)
            for start, end, category, score in _outermost(found)
            for at in range(start, end, PIECE)
            if min(at + PIECE, end) > shift
        ]

    def open_from(self, tail: str) -> int:
        """Tell from where on a stream's tail waits: the last word, or more that is not over."""
        return min(growing_from(tail), last_word(tail))

    def _found(self, data: bytes) -> Iterator[Found]:
        """Yield what the rules find, in the order of the rules."""
        tried = set(self._filter.Match(data, potential=True) or ())
        if _LONG_RUN.search(data) is None:
            tried -= self._loose
        for index in sorted(tried):
            rule = _RULES[index]
            for match in _EXPRESSIONS[index].finditer(data):
                start, end = _secret(match)
                score = rule.score
                if rule.check:
                    score = rule.check(data[start : min(end, start + PIECE)].decode("latin-1")) or 0
                if score:
                    yield Found(start, end, rule.category, score)
        yield from named(data)
        for start, end in private_keys(data):
            yield Found(start, end, "private_key", SURE)


def secrets() -> Secrets:
    """Return the detector of secrets."""
    return Secrets()


def _secret(match: re2._Match) -> tuple[int, int]:
    """Return the span of the first group that took part, or of all where there is no group."""
    groups = range(1, match.re.groups + 1)
    start, end = match.span(next((group for group in groups if match.start(group) >= 0), 0))
    return start, end


def _outermost(found: Iterable[Found]) -> Iterator[Found]:
    """Drop what lies in another; the other takes its name where that is surer.

    Of rules that are as sure the first counts: those that know a form come first.
    """
    outer: Found | None = None
    for one in found:
        if outer is not None and one.end <= outer.end:
            if one.score > outer.score:
                outer = outer._replace(category=one.category, score=one.score)
            continue
        if outer is not None:
            yield outer
        outer = one
    if outer is not None:
        yield outer
