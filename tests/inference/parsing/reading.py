"""Reads texts with a parser, whole or in pieces, and puts together what is shown of them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import pairwise

from hypothesis import strategies as st

from services.inference.parsing.source import Kind, Parser, Part, Reading, Source

Read = Callable[[Source], Reading[None]]


@dataclass
class Shown:
    """What callers get of a text."""

    text: str = ""
    reasoning: str = ""
    calls: list[tuple[str, str]] = field(default_factory=list)
    """Names and arguments."""

    def add(self, part: Part) -> None:
        match part.kind:
            case Kind.TEXT:
                self.text += part.shown
            case Kind.REASONING:
                self.reasoning += part.shown
            case Kind.CALL:
                self.calls.append((part.shown, ""))
            case Kind.ARGUMENTS if part.shown:
                name, arguments = self.calls[-1]
                self.calls[-1] = (name, arguments + part.shown)


def parts(read: Read, pieces: Iterable[str]) -> list[Part]:
    parser = Parser(read)
    return [part for piece in pieces for part in parser.push(piece)] + parser.finish()


def shown(read: Read, *pieces: str) -> Shown:
    whole = Shown()
    for part in parts(read, pieces):
        whole.add(part)
    return whole


def raw(read: Read, *pieces: str) -> str:
    return "".join(part.raw for part in parts(read, pieces))


def cut(text: str, cuts: Iterable[int]) -> list[str]:
    """Cut a text at places, which may be the same or beyond its end."""
    places = [0, *sorted(min(each, len(text)) for each in cuts), len(text)]
    return [text[start:end] for start, end in pairwise(places)]


def alternating(*fragments: str) -> st.SearchStrategy[str]:
    """Texts made of fragments, and of anything between them."""
    anything = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
    return st.lists(st.one_of(st.sampled_from(fragments), anything), max_size=14).map("".join)


CUTS = st.lists(st.integers(0, 200), max_size=12)
