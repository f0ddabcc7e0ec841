"""A tiny notation for many wordings of one question.

`(a|b)` is one of, `[a|b]` is one of or nothing, `{name}` is a named pattern and `*` the subject.
"""

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several sequences."""

    options: tuple["Sequence", ...]


@dataclass(frozen=True, slots=True)
class Name:
    """A named pattern."""

    name: str


Sequence = tuple["str | Choice | Name", ...]
SUBJECT = Name("*")
CLOSING = {"(": ")", "[": "]"}


@cache
def parse(pattern: str) -> Sequence:
    """Return the parts of a pattern.

    Raises:
        ValueError: a bracket is not closed, or one closes that was not opened.
    """
    choice, rest = parse_options(pattern, "")
    if rest:
        message = f"unexpected {rest[0]!r} in {pattern!r}"
        raise ValueError(message)
    return choice.options[0] if len(choice.options) == 1 else (choice,)


def parse_options(text: str, closing: str) -> tuple[Choice, str]:
    """Read alternatives up to `closing`; return them, and what follows it."""
    options: list[Sequence] = []
    parts: list[str | Choice | Name] = []
    while text and text[0] not in ")]":
        if text[0] == "|":
            options.append(tuple(parts))
            parts = []
            text = text[1:]
        else:
            part, text = parse_part(text)
            parts.append(part)
    if text[:1] != closing:
        message = f"expected {closing or 'the end'!r} before {text!r}"
        raise ValueError(message)
    return Choice((*options, tuple(parts))), text[1:]


def parse_part(text: str) -> tuple["str | Choice | Name", str]:
    """Read one bracket, name, subject or literal; return it, and what follows."""
    if text[0] in CLOSING:
        choice, rest = parse_options(text[1:], CLOSING[text[0]])
        return (Choice((*choice.options, ())) if text[0] == "[" else choice), rest
    if text[0] == "*":
        return SUBJECT, text[1:]
    if text[0] == "{":
        name, _, rest = text[1:].partition("}")
        return Name(name), rest
    literal = re.match(r"[^()\[\]{}|*]+", text)
    if literal is None:
        message = f"unexpected {text[0]!r} before {text!r}"
        raise ValueError(message)
    return literal[0], text[literal.end() :]


def wording(pattern: str, names: Mapping[str, str], chance: random.Random) -> str:
    """Return one wording of `pattern`, drawn by `chance`, its spaces tidied."""
    text = "".join(draw(parse(pattern), names, chance))
    return re.sub(r" +([,.?!:])", r"\1", " ".join(text.split()))


def draw(sequence: Sequence, names: Mapping[str, str], chance: random.Random) -> list[str]:
    """Return the literals of one wording."""
    texts: list[str] = []
    for part in sequence:
        if isinstance(part, str):
            texts.append(part)
        elif isinstance(part, Choice):
            texts += draw(chance.choice(part.options), names, chance)
        else:
            texts += draw(parse(names[part.name]), names, chance)
    return texts


def expression(pattern: str, names: Mapping[str, str]) -> str:
    """Return a regular expression that matches every wording, spaces taken loosely."""
    return "".join(translate(part, names) for part in parse(pattern))


def translate(part: "str | Choice | Name", names: Mapping[str, str]) -> str:
    """Return the regular expression of one part."""
    if isinstance(part, str):
        return re.sub(r"(\\? )+", r"\\s*", re.escape(part))
    if isinstance(part, Choice):
        options = ("".join(translate(each, names) for each in option) for option in part.options)
        return f"(?:{'|'.join(options)})"
    return expression(names[part.name], names)
