"""What a value looks like: random, or a word, or something that stands for a value."""

import re

import re2

from services.safety.forms.likeness import looks_like_words

_PARTS = re.compile(r"[0-9A-Za-z]+")
_CHUNKS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|[0-9]+")
_LETTERS = re.compile(r"[A-Za-z]{2,}")
_UUID = re.compile(r"[0-9a-z]{8}(?:-[0-9a-z]{4}){3}-[0-9a-z]{12}", re.IGNORECASE)
_HEX = re.compile(r"[0-9a-f]+|[0-9A-F]+")
_SIZE = re.compile(r"[0-9]+x[0-9]+")

_SHORTEST = 8
"""Characters of a part that can be told to be random."""
_LONG = 16
"""Letters and digits in one part this long are no name."""
_MIXED_GROUP = 3.5
_LETTER_GROUP = 2.7
"""Characters of the groups of small letters, capitals and digits: more in words than at random."""
_GROUPS = 3
"""Parts that mix letters and digits, of a key that is written in groups."""
_OPAQUE = 10
_OPAQUE_NUMBER = 15
"""Characters of a part that is no word, and of one that is a number."""
_FEW = 2
"""Different characters of a line of stars, of dashes, of crosses."""
_REPEATED = re.compile(r"(.)\1{11}")

_STANDS_FOR = re2.compile(
    r"(?i)^(?:"
    # A variable or a template, whole or begun.
    r"[$%<].*|#\{.*|\{[^{}]*\}|\{\{[^{}]*\}\}|\[.*|\(.*"
    # A call, a member or an item of something.
    r"|[a-z_][\w.]*[(\[].*|[\w.]+(?:->|::).*"
    r"|(?:os|process|env|self|this|config|requests?|req|params|args|settings|secrets?|ctx)\..*"
    # A word for no value.
    r"|none|null|nil|true|false|undefined|todo|tbd|n/?a|yes|no|empty|void|str(?:ing)?|int|bytes|text"
    r"|value|optional|required|default|change_?me|hidden|redacted|token|key"
    r")$"
    r"|\b(?:your|insert|enter|replace|put|add)[ _-](?:[\w -]{0,40}[ _-])?"
    r"(?:here|key|token|secret|password|pass)\b"
    r"|placeholder|goes[ _-]here|<[^<>]+>|\$\{[^{}]*\}$|[\"'] ?[+%] |%[sd]\b|\.\.\."
    r"|(?:^|[^a-z])(?:dummy|sample|mock)|fake|not[ _-]?a[ _-]?(?:real|pass|secret|key)"
)


def random(value: str) -> bool:
    """Tell whether a value looks made by chance: one part, several together, or a UUID in it."""
    if _UUID.search(value):
        return True
    parts = _PARTS.findall(value)
    digits = _digits(value)
    return any(_random(part, digits) for part in parts) or _grouped(parts, digits)


def first_random(value: str) -> int:
    """Return where the first random part of a value begins, or the UUID in it; 0 where none is."""
    if uuid := _UUID.search(value):
        return uuid.start()
    digits = _digits(value)
    parts = (part for part in _PARTS.finditer(value) if _random(part.group(), digits))
    return next((part.start() for part in parts), 0)


def opaque(value: str) -> bool:
    """Tell whether a value may be a key where everything else says so: letters and digits."""
    return any(
        len(part) >= (_OPAQUE_NUMBER if part.isdigit() else _OPAQUE) and _digits(part)
        for part in _PARTS.findall(value)
    )


def worded(value: str) -> bool:
    """Tell whether most letters of a value stand in words."""
    runs = _LETTERS.findall(value)
    return sum(len(run) if looks_like_words(run) else -len(run) for run in runs) > 0


def stands_for(value: str) -> bool:
    """Tell whether a value only says where a value belongs: a variable, an expression, a blank."""
    blank = len(set(value)) <= _FEW or _REPEATED.search(value) is not None
    return blank or _STANDS_FOR.search(value) is not None


def _random(part: str, digits: int) -> bool:
    """Tell whether a part is random, in a value of so many digits."""
    if len(part) < _SHORTEST or part.isdigit() or _SIZE.fullmatch(part):
        return False
    is_long, is_hex = len(part) >= _LONG, _HEX.fullmatch(part) is not None
    if is_long and is_hex:
        return True
    group = len(part) / len(_CHUNKS.findall(part))
    if part.isalpha():
        return not worded(part) if is_long else group <= _LETTER_GROUP
    if is_long:
        return digits > 1 or not worded(part)
    return digits > 1 and (is_hex or group <= _MIXED_GROUP)


def _grouped(parts: list[str], digits: int) -> bool:
    """Tell whether parts are the groups of one key."""
    mixed = [part for part in parts if not part.isdigit() and not part.isalpha()]
    return len(mixed) >= _GROUPS < digits and sum(map(len, parts)) >= _LONG


def _digits(value: str) -> int:
    return sum(character.isdigit() for character in value)
