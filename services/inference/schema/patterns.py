"""Regular expressions for the inside of JSON strings.

XGrammar takes a `pattern` for all that stands between the quotes, as it is: a dot or a negated
class would let a quote through, and end the string. Here is the part of ECMA 262's expressions that
can be written so that it never does. The whole string has to match: more than JSON Schema asks.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

_Ranges = Sequence[tuple[int, int]]
"""Code points, from the first to the last."""

_UNSAFE: _Ranges = [(0, 0x1F), (0x22, 0x22), (0x5C, 0x5C)]
"""What cannot stand in a JSON string as it is."""

_ASCII = 0x7F
_LAST = 0x10FFFF
_DIGITS: _Ranges = [(0x30, 0x39)]
_WORDS: _Ranges = [*_DIGITS, (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A)]
_SPACES: _Ranges = [
    *((0x09, 0x0D), (0x20, 0x20), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A)),
    *((0x2028, 0x2029), (0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000), (0xFEFF, 0xFEFF)),
]
_LINE_ENDS: _Ranges = [(0x0A, 0x0A), (0x0D, 0x0D), (0x2028, 0x2029)]
_CLASSES = {"d": _DIGITS, "w": _WORDS, "s": _SPACES}
_CONTROLS = {"t": "\t", "n": "\n", "v": "\v", "f": "\f", "r": "\r", "0": "\0"}

_ATOM = re.compile(
    r"""(?s)
    (?P<set>\[(?P<not>\^?)(?P<members>(?:\\.|[^\]\\])+)\])
    | (?P<escape>\\.)
    | (?P<open>\((?:\?:|(?!\?)))
    | (?P<any>\.)
    | (?P<literal>[^\\\[\](){}|*+?^$])
    """,
    re.VERBOSE,
)
_COUNT = re.compile(r"[*+?]|\{\d+(?:,\d*)?\}")
_MEMBER = re.compile(r"(?s)\\(?P<class>[dwsDWS])|(?P<first>\\?.)(?:-(?P<last>\\?.))?")
_MAX_CHOICES = 64
_MAX_DEPTH = 32
_MAX_CHARS = 1024


class _UnheldError(Exception):
    """There is no such expression."""


def of_length(least: int, most: int | None) -> str:
    """Return the expression of all strings of so many characters."""
    return f"{_written([(0, _LAST)])}{{{least},{'' if most is None else most}}}"


def of_text(text: str) -> str:
    """Return the expression of one text, without what cannot stand in a JSON string as it is."""
    return "".join(_written([(ord(character), ord(character))]) for character in text)


def inside_json(pattern: str) -> Sequence[str]:
    """Return expressions of strings in JSON that match `pattern`; none where none are found.

    There are several because XGrammar 0.1 mixes up the choices that one expression holds.
    """
    if len(pattern) > _MAX_CHARS:
        return []
    try:
        choices, end = _choices(pattern, 0, 0)
    except _UnheldError:
        return []
    return choices if end == len(pattern) and all(choices) else []


def _choices(pattern: str, at: int, depth: int) -> tuple[list[str], int]:
    """Read choices up to the end of their group; return them, none with a choice inside it."""
    found: list[str] = []
    written = [""]
    if depth > _MAX_DEPTH:
        raise _UnheldError
    while at < len(pattern) and pattern[at] != ")":
        if pattern[at] == "|":
            found += written
            written = [""]
            at += 1
        elif pattern[at] in "^$":
            # Where the whole has to match, an anchor at its ends says nothing new.
            if depth or not _is_outer(pattern, at):
                raise _UnheldError
            at += 1
        else:
            atoms, at = _atoms(pattern, at, depth)
            if len(found) + len(written) * len(atoms) > _MAX_CHOICES:
                raise _UnheldError
            written = [before + atom for before in written for atom in atoms]
    return found + written, at


def _is_outer(pattern: str, at: int) -> bool:
    if pattern[at] == "$":
        return pattern[at + 1 : at + 2] in {"", "|"}
    return at == 0 or (pattern[at - 1] == "|" and pattern[at - 2 : at - 1] != "\\")


def _atoms(pattern: str, at: int, depth: int) -> tuple[list[str], int]:
    """Read a character or a group, and how often it stands there; return its choices."""
    atom = _ATOM.match(pattern, at)
    if atom is None:
        raise _UnheldError
    at = atom.end()
    if atom["open"]:
        choices, at = _choices(pattern, at, depth + 1)
        if at == len(pattern):
            raise _UnheldError
        atoms = [f"({choice})" if choice else "" for choice in choices]
        at += 1
    else:
        atoms = [_written(list(_characters(atom)))]
    count = _COUNT.match(pattern, at)
    if count is None:
        return atoms, at
    if len(atoms) > 1 or not atoms[0]:
        raise _UnheldError
    return [atoms[0] + count[0]], count.end()


def _characters(atom: re.Match[str]) -> Iterable[tuple[int, int]]:
    if atom["set"]:
        found = [each for member in _MEMBER.finditer(atom["members"]) for each in _in(member)]
        return _others(found) if atom["not"] else found
    if atom["any"]:
        return _others(_LINE_ENDS)
    member = _MEMBER.fullmatch(atom[0])
    return [] if member is None else _in(member)


def _in(member: re.Match[str]) -> Iterator[tuple[int, int]]:
    """Give what a member of a class stands for."""
    if name := member["class"]:
        ranges = _CLASSES[name.lower()]
        yield from ranges if name.islower() else _others(ranges)
    else:
        yield _code(member["first"]), _code(member["last"] or member["first"])


def _code(text: str) -> int:
    if len(text) > 1 and text[1].isalnum() and text[1] not in _CONTROLS:
        raise _UnheldError
    return ord(_CONTROLS.get(text[1], text[1]) if len(text) > 1 else text)


def _others(ranges: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Give all code points but these."""
    begin = 0
    for first, last in sorted(ranges):
        if begin < first:
            yield begin, first - 1
        begin = max(begin, last + 1)
    if begin <= _LAST:
        yield begin, _LAST


def _written(ranges: _Ranges) -> str:
    """Write what of the code points can stand in a JSON string.

    XGrammar is at home in ASCII: beyond it stands all, one character, or nothing.
    """
    safe = list(_others([*_others(ranges), *_UNSAFE]))
    if len(safe) == 1 and safe[0][0] == safe[0][1] > _ASCII:
        return chr(safe[0][0])
    if safe and safe[-1][0] <= _ASCII + 1 and safe[-1][1] == _LAST:
        return f"[^{_members(_others(safe))}]"
    if not safe or safe[0][0] > _ASCII:
        raise _UnheldError
    return f"[{_members(safe)}]"


def _members(ranges: Iterable[tuple[int, int]]) -> str:
    ascii_only = [(first, min(last, _ASCII)) for first, last in ranges if first <= _ASCII]
    return "".join(
        _plain(first) if first == last else f"{_plain(first)}-{_plain(last)}"
        for first, last in ascii_only
    )


def _plain(code: int) -> str:
    return chr(code) if chr(code).isalnum() else f"\\u{code:04x}"
