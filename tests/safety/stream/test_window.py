"""The filter's promise, against the plainest definition of it."""

import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.safety.detector import Finding, Text
from services.safety.pseudonyms import Pseudonyms, Span
from services.safety.stream.marks import mark
from services.safety.stream.rules import Judged
from services.safety.stream.window import Part, Window
from tests.safety.stream.rules import (
    ALLOW,
    BLOCK,
    REDACT,
    TABLES,
    Action,
    Growing,
    Table,
    Toy,
    cut_texts,
    toys,
)

HELD_AT_MOST = 62 + 16 + 16 + 2 * 64
"""The longest reach, its stride twice, and the way to the next look."""


def stream(
    table: Table,
    pieces: Sequence[str],
    pseudonyms: Pseudonyms | None = None,
    before: str = "",
) -> tuple[list[Part], Window, list[Judged]]:
    told: list[Judged] = []
    window = Window(table, pseudonyms or Pseudonyms(), told.append, before)
    parts: list[Part] = []
    for piece in pieces:
        parts += window.push(piece)
    return parts + window.finish(), window, told


def said(parts: Sequence[Part]) -> str:
    return "".join(part.text for part in parts)


def table_of(pairs: Sequence[tuple[int, Action]], *more: tuple[Toy, Action]) -> Table:
    return Table([*((toys()[index], action) for index, action in pairs), *more])


def acting(told: Sequence[Judged]) -> list[tuple[str, int]]:
    return [(one.finding.category, one.action) for one in told]


@given(cut_texts(), TABLES, st.booleans(), st.sampled_from(["", "ab", "111 111 ", "x" * 500]))
def test_the_stream_equals_the_whole_however_it_is_cut(
    pieces: list[str],
    pairs: list[tuple[int, Action]],
    whole_blocks: bool,  # noqa: FBT001
    before: str,
) -> None:
    harm = (Toy("harm", "harm", 0), BLOCK if whole_blocks else ALLOW)
    pseudonyms = Pseudonyms()
    pseudonyms.learn("Ada", [Span(0, 3, "text")])
    looks = [Toy("looks", "b a", 3), Toy("looks", "b a", 3)]
    cut = stream(table_of(pairs, harm, (looks[0], REDACT)), pieces, pseudonyms, before)
    text = "".join(pieces)
    whole = stream(table_of(pairs, harm, (looks[1], REDACT)), [text], pseudonyms, before)
    assert said(cut[0]) == said(whole[0])
    assert cut[1].blocked == whole[1].blocked
    # Detectors are even shown the very same, so that it does not matter what they look at.
    assert looks[0].seen == looks[1].seen
    assert acting(cut[2]) == acting(whole[2])


@given(cut_texts(), TABLES)
def test_all_that_is_found_is_gone_and_nothing_else(
    pieces: list[str], pairs: list[tuple[int, Action]]
) -> None:
    # With hooks that answer for less than all the toy may find, only the promise above holds.
    pairs = [(index, action) for index, action in pairs if index not in {3, 5, 6}]
    text = "".join(pieces)
    spans = [
        (match.start(), match.end(1), action)
        for index, action in pairs
        for match in re.finditer(f"(?=({toys()[index].pattern}))", text)
        if action != ALLOW
    ]
    parts, window, _ = stream(table_of(pairs), pieces)
    assert (window.blocked is not None) == any(action == BLOCK for *_, action in spans)
    kept = {at for part in parts if not part.changed for at in range(part.start, part.end)}
    gone = {at for start, end, _ in spans for at in range(start, end)}
    assert not kept & gone
    if window.blocked is None:
        assert kept | gone == set(range(len(text)))
    assert [part.text for part in parts if not part.changed] == [
        text[part.start : part.end] for part in parts if not part.changed
    ]


@given(cut_texts(), TABLES)
def test_what_is_held_is_bounded(pieces: list[str], pairs: list[tuple[int, Action]]) -> None:
    window = Window(table_of(pairs), Pseudonyms(), lambda _: None)
    for piece in pieces:
        window.push(piece)
        if window.blocked:
            return
        assert window.end - window.left <= HELD_AT_MOST
        assert len(window._seen.text) <= HELD_AT_MOST + 128 + 512 + 128


@given(cut_texts())
def test_without_rules_only_the_last_word_waits(pieces: list[str]) -> None:
    window = Window(Table([]), Pseudonyms(), lambda _: None)
    for piece in pieces:
        window.push(piece)
        assert window.end - window.left < 8 + 64


@given(
    st.lists(
        st.sampled_from(
            ["[TEXT_1]", "[text 1]", "\\[TEXT\\_1\\]", "[TEXT_2]", "a", " ", "[", "]", "b a", "\\"]
        )
    )
)
def test_placeholders_turn_back_wherever_they_are_cut(bits: list[str]) -> None:
    text = "".join(bits)
    pseudonyms = Pseudonyms()
    pseudonyms.learn("Ada", [Span(0, 3, "text")])
    parts, window, _ = stream(Table([]), list(text), pseudonyms)
    assert said(parts) == pseudonyms.restore(text)
    assert window.left == len(text)


def test_what_is_found_inside_of_a_placeholder_is_none() -> None:
    pseudonyms = Pseudonyms()
    pseudonyms.learn("Ada", [Span(0, 3, "text")])
    table = Table(
        [(Toy("names", "TEXT", 4), REDACT), (Toy("pairs", r"\S+=\[TEXT_\d\]", 12), REDACT)]
    )
    parts, *_ = stream(table, ["say [TEXT_1], not a=[TEXT_1] or TEXT"], pseudonyms)
    assert said(parts) == f"say Ada, not {mark('pairs')} or {mark('names')}"


def test_text_leaves_as_soon_as_nothing_may_begin_in_it() -> None:
    table = Table([(Growing("hooked", "secret word", 11, beginning=r"\bsecret\s?"), BLOCK)])
    window = Window(table, Pseudonyms(), lambda _: None)
    left = [
        said(window.push(piece))
        for piece in ("plain old text ", "with a secret ", "gardener of ", "x")
    ]
    assert left == ["plain old text ", "with a ", "secret gardener of ", ""]
    assert said(window.finish()) == "x"


def test_the_worst_action_counts_where_findings_overlap() -> None:
    table = Table(
        [
            (Toy("allowed", "abcdef", 6), ALLOW),
            (Toy("some", "bc", 2), REDACT),
            (Toy("more", "cde", 3), REDACT),
        ]
    )
    parts, _, told = stream(table, ["x abcdef y"])
    assert said(parts) == f"x a{mark('more')}f y"
    assert [one.finding.category for one in told] == ["allowed", "some", "more"]
    blocking = Table([(Toy("some", "abc", 3), REDACT), (Toy("more", "cde", 3), BLOCK)])
    parts, window, _ = stream(blocking, ["x abcdef y"])
    assert said(parts) == "x "
    assert window.blocked is not None
    assert window.blocked.finding.category == "more"


def test_a_finding_that_never_ends_is_cut_and_stays_one() -> None:
    table = Table([(Toy("endless", "(?<!c)c+|(?<=^)c+", 32), REDACT)])
    parts, _, told = stream(table, ["begin ", "c" * 100_000, " end"])
    assert said(parts) == f"begin {mark('endless')} end"
    assert len(told) == 1


def test_what_may_grow_waits_until_it_is_longer_than_anything_may_be() -> None:
    reach, stride, step = 32, 16, 64
    window = Window(Table([(Toy("endless", "c+", reach), REDACT)]), Pseudonyms(), lambda _: None)
    left = []
    for _ in range(200):
        window.push("c")
        left.append(window.left)
    assert left[reach + stride - 1] == 0
    assert all(1 + at - there <= reach + stride + step for at, there in enumerate(left))


@pytest.mark.parametrize("blank", ["\n", ""])
def test_a_long_finding_keeps_its_beginning_in_sight(blank: str) -> None:
    class Block(Toy):
        def find(self, text: Text) -> list[Finding]:
            shift = len(text.before)
            return [
                Finding(max(0, match.start() - shift), match.end() - shift, "key", "key", 1.0)
                for match in re.finditer(self.pattern, text.before + text.raw)
                if match.end() > shift
            ]

    pattern = rf"KEY (?:[0-9a-f]{{64}}{blank})*[0-9a-f]*"
    table = Table([(Block("key", pattern, 64), REDACT)])
    lines = ("0123456789abcdef" * 4 + blank) * 400
    after = f", and then {lines[:64]}"
    parts, *_ = stream(table, list(f"a KEY {lines}{after}"))
    assert said(parts) == f"a {mark('key')}{after}"


def test_a_phrase_that_began_before_is_found() -> None:
    table = Table([(Toy("phrase", "one two", 7), BLOCK)])
    parts, window, _ = stream(table, ["wo three"], before="it was one t")
    assert said(parts) == ""
    assert window.blocked


def test_a_finding_whose_beginning_has_left_is_told_and_its_rest_is_gone() -> None:
    table = Table([(Growing("pair", "aaa 1bb", 8, beginning=""), REDACT)])
    parts, _, told = stream(table, ["aaa 1bb ccc"])
    assert said(parts) == f"aaa {mark('pair')} ccc"
    assert acting(told) == [("pair", REDACT)]


def test_what_is_only_told_holds_nothing_back() -> None:
    waits = Growing("waits", "zzz", 8, beginning="bbb ?")
    table = Table([(Growing("told", "aaabbb", 6), ALLOW), (waits, REDACT)])
    window = Window(table, Pseudonyms(), lambda _: None)
    assert said(window.push("aaabbb ")) == "aaa"


def test_a_sentence_waits_for_its_verdict() -> None:
    table = Table([(Toy("harm", "harm", 0), BLOCK)])
    window = Window(table, Pseudonyms(), lambda _: None)
    first = (
        "This sentence goes on and on, so that it is judged for itself, and it says nothing " * 2
    )
    first = f"{first.rstrip()} whatsoever. "
    assert said(window.push(first[:-8])) == ""
    assert said(window.push(first[-8:])) == first
    assert said(window.push(first.replace("nothing", "harm"))) == ""
    assert window.blocked


@pytest.mark.parametrize(
    "character",
    ["a", " ", "1", "c", "A ", "1 ", "b a", "[", "]", "\u6f22", "\u3002", "Ab ", "\n", "<a", "\\"],
)
def test_many_characters_take_time_in_proportion(character: str) -> None:
    # Beyond proportion this takes hours, which the suite's time limit does not give.
    table = table_of([(index, REDACT) for index in range(7)])
    pseudonyms = Pseudonyms()
    pseudonyms.learn("Ada", [Span(0, 3, "text")])
    text = character * (10_000 // len(character))
    for pieces in ([text], [text[at : at + 7] for at in range(0, len(text), 7)]):
        window = Window(table, pseudonyms, lambda _: None)
        for piece in pieces:
            window.push(piece)
        window.finish()
        assert window.left == len(text)


def test_the_longest_finding_is_gone_wherever_it_begins() -> None:
    found = f"b{'a' * 60}c"
    for before in range(150):
        table = Table([(Toy("spread", r"b[^b]{20,60}c", len(found)), REDACT)])
        parts, *_ = stream(table, [f"{'x' * before}{found} and so on"])
        assert said(parts) == f"{'x' * before}{mark('spread')} and so on"
