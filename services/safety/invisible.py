"""Characters that are not seen, or that turn text around; and where they are in their right."""

import re
import unicodedata

KINDS = {
    # Soft hyphen, grapheme joiner, fillers, zero-width ones, word joiner, invisible operators.
    "zero_width": (
        "\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200d\u2060-\u2065\u3164\ufeff\uffa0"
    ),
    "variation_selector": "\ufe00-\ufe0f\U000e0100-\U000e01ef",
    "tag": "\U000e0000-\U000e007f",
    "direction": "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069",
    "private_use": "\ue000-\uf8ff\U000f0000-\U0010ffff",
    # Also deprecated format characters, annotations, and halves of characters.
    "control": (
        "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\u206a-\u206f\ufff9-\ufffb\ud800-\udfff"
    ),
}
"""The members of each kind, as in a character class."""

ANY = re.compile(f"[{''.join(KINDS.values())}]")
"""One character of any kind."""

RUN = re.compile("|".join(f"(?P<{kind}>[{members}]+)" for kind, members in KINDS.items()))
"""One run of characters of one kind, its group."""

_JOINERS = frozenset("\u200c\u200d")
# With a selector they are emoji.
_KEYS = frozenset("#*0123456789")
# A selector after a sign says how it looks: as text, as an emoji, or which variant of it.
_MOST_SELECTORS = 1
# Flags of regions are spelt in tags after a black flag: two letters, and three or four more.
_BLACK_FLAG, _END_OF_TAGS, _MOST_TAGS = "\U0001f3f4", "\U000e007f", 7
# They show text in an order that it does not have, in any script.
_OVERRIDES = frozenset("\u202d\u202e")
# How far around a mark or an isolate something right-to-left has to stand.
_NEAR = 64
_RIGHT_TO_LEFT = re.compile(
    "[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]"
)
# Scripts whose letters joiners join or keep apart: Arabic and its kin, the Indic ones, Mongolian.
_JOINED = re.compile(
    "[\u0600-\u08ff\u0900-\u0dff\u0f00-\u109f\u1780-\u18af\ufb50-\ufdff\ufe70-\ufefc]"
)
_HANGUL = re.compile("[\u1100-\u11ff\u3131-\u318e\ua960-\ua97f\uac00-\ud7ff]")


def rightful(text: str, run: re.Match[str], before: str = "") -> bool:
    """Tell whether a run is what the script or the emoji around it needs."""
    start, end = run.span()
    previous = text[start - 1 : start] or before[-1:]
    following = text[end : end + 1]
    match run.lastgroup:
        case "zero_width":
            return _rightful_width(run[0], previous, following)
        case "variation_selector":
            return len(run[0]) <= _MOST_SELECTORS and _bears_selector(previous)
        case "tag":
            ends = run[0].endswith(_END_OF_TAGS) and len(run[0]) <= _MOST_TAGS
            return ends and previous == _BLACK_FLAG
        case "direction":
            around = before[-_NEAR:] + text[max(0, start - _NEAR) : end + _NEAR]
            single = len(run[0]) == 1 and run[0] not in _OVERRIDES
            return single and _RIGHT_TO_LEFT.search(around) is not None
        case _:
            return False


def _rightful_width(run: str, previous: str, following: str) -> bool:
    if run == "\ufeff":
        return not previous
    if run == "\u00ad":
        return previous.isalpha() and following.isalpha()
    if run in _JOINERS and previous:
        joined = _JOINED.match(previous) is not None
        return joined or (run == "\u200d" and _is_sign(previous) and _is_sign(following))
    return run in "\u115f\u1160\u3164\uffa0" and _HANGUL.match(previous + following) is not None


def _bears_selector(character: str) -> bool:
    return character in _KEYS or character > "\u2e7f" or _is_sign(character)


def _is_sign(character: str) -> bool:
    """Tell an emoji, or what changes one: its selector, its skin."""
    return bool(character) and (
        unicodedata.category(character) in {"So", "Sk", "Sm"} or character in "\ufe0f\u203c\u2049"
    )
