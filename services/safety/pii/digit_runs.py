"""Cards and IBANs, whatever stands between their characters."""

from collections.abc import Iterator

import re2

from services.safety.pii.candidates import Candidate
from services.safety.pii.context import Context
from services.safety.pii.finance import IBAN_LENGTHS, card, iban

_GROUPS = re2.compile(rb"\d+")
_SHORTEST, _LONGEST = 12, 19
_JOIN = re2.compile(rb"[ \-./_\t\n\r\x01]{1,2}| [\-./_] ")
# As in lists: then a word has to tell of a card.
_COMMA = b","
# Digits one by one or in pairs are read from the first of them only, which bounds the work.
_SMALL = 3
_BETWEEN = frozenset(b" -./_\t\n\r\x01")
_CARD_WORDS = re2.compile(
    rb"(?i)card|visa|master|amex|american express|discover|diners|jcb|maestro|payment|credit|cc\b"
)
# Those whose beginning is an issuer's and whose length is that issuer's.
_ISSUED = re2.compile(
    rb"4(?:\d{12}|\d{15}|\d{18})|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|3[47]\d{13}|"
    rb"3(?:0[0-5]|[689]\d)\d{11,13}|35\d{14}|6(?:011|5\d\d|4[4-9]\d)\d{12}|62\d{14,17}|(?:2131|1800)\d{11}"
)
_IBAN = re2.compile(rb"(?i)(?:\b|_)([A-Z]{2}\d{2})")


def cards(context: Context) -> Iterator[Candidate]:
    """Yield the numbers of cards that are right by their check digit."""
    plain = context.plain
    groups = [match.span() for match in _GROUPS.finditer(plain)]
    index = 0
    while index < len(groups):
        found = _card_from(plain, groups, index)
        end = groups[index][1]
        is_listed = found is None and plain[end : end + 1] == _COMMA
        if is_listed:
            found = _card_from(plain, groups, index, _COMMA)
        if found is None:
            index += 1
            continue
        last, number = found
        start, end = groups[index][0], groups[last][1]
        if context.holds(_CARD_WORDS, start, end):
            yield Candidate(start, end, "credit_card", 1.0, checked=True)
        elif is_listed:
            index += 1
            continue
        elif _ISSUED.fullmatch(number):
            yield Candidate(start, end, "credit_card", 0.9, checked=True)
        elif not (plain[start - 1 : start].isalpha() or plain[start - 1 : start] == b"+"):
            yield Candidate(start, end, "credit_card", 0.6, checked=True)
        index = last + 1


def _card_from(
    plain: bytes, groups: list[tuple[int, int]], first: int, sign: bytes = b""
) -> tuple[int, bytes] | None:
    """Return the last group and the digits of the longest card that begins with a group."""
    start, end = groups[first]
    if plain[start] not in b"123456":
        return None
    small = end - start < _SMALL
    if small and first and _may_join(plain[groups[first - 1][1] : start], sign):
        return None
    number = plain[start:end]
    longest = None
    last = first
    while len(number) <= _LONGEST:
        if len(number) >= _SHORTEST and card(number.decode()):
            longest = last, number
        last += 1
        if last == len(groups) or not _may_join(plain[end : groups[last][0]], sign):
            break
        size = groups[last][1] - groups[last][0]
        if (small and groups[last][0] - end > 1) or (
            b"\n" in plain[end : groups[last][0]] and size < _SMALL
        ):
            break
        if small != (size < _SMALL) and len(number) < _SHORTEST:
            break
        end = groups[last][1]
        number += plain[groups[last][0] : end]
    return longest


def _may_join(between: bytes, sign: bytes) -> bool:
    return between == sign or _JOIN.fullmatch(between) is not None


def ibans(context: Context) -> Iterator[Candidate]:
    """Yield the IBANs that are right by their country's length and their check digits."""
    plain = context.plain
    for match in _IBAN.finditer(plain):
        start = match.start(1)
        length = IBAN_LENGTHS.get(match.group(1)[:2].decode().upper(), 0)
        number, end = b"", start
        while len(number) < length and end < len(plain):
            if plain[end : end + 1].isalnum():
                number += plain[end : end + 1]
            elif plain[end] not in _BETWEEN or plain[end - 1] in _BETWEEN:
                break
            end += 1
        whole = end == len(plain) or not plain[end : end + 1].isalnum()
        if length and whole and iban(number.decode().upper()):
            yield Candidate(start, end, "iban", 1.0, checked=True)
