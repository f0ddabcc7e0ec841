"""Pseudonyms: hidden on the way up, back for the caller, forged by nobody."""

import json
import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.safety.escapes import Unescaped
from services.safety.pseudonyms import Pseudonyms, Span
from services.safety.restore import begins_at
from services.safety.stream.json_window import JsonWindow
from tests.safety.stream.rules import Table

# What a placeholder is made of, whole ones, and two values in several spellings.
BITS = st.sampled_from(
    [
        *("[", "]", "\\", "_", "-", " ", ".", "1", "2", "EMAIL", "email", "TEXT", "x", "é"),
        *("[EMAIL_1]", "[TEXT_1]", "[email 1]", "[EMAIL_1.2]", "\\[EMAIL\\_1\\]", "[EMAIL_2]"),
        *("ada@x.org", "ADA@x.org", "bob@y.org", "4111 1111 1111", "411111111111"),
    ]
)
TEXTS = st.lists(BITS, max_size=12).map("".join)
VALUE = re.compile(r"\w+@\w\.org|4111 1111 1111|411111111111")


def spans(text: str) -> list[Span]:
    return [
        Span(*match.span(), "email" if "@" in match[0] else "card")
        for match in VALUE.finditer(text)
    ]


@st.composite
def cuts(draw: st.DrawFn) -> tuple[str, list[Span]]:
    """A text, and spans anywhere in it."""
    text = draw(TEXTS)
    ends = st.integers(0, len(text))
    drawn = draw(
        st.lists(st.tuples(ends, ends, st.sampled_from(["email", "text", "ß"])), max_size=4)
    )
    return text, [Span(min(a, b), max(a, b), kind) for a, b, kind in drawn if a != b]


@given(st.lists(cuts(), max_size=4))
def test_what_was_hidden_comes_back_whatever_it_was(texts: list[tuple[str, list[Span]]]) -> None:
    pseudonyms = Pseudonyms()
    for text, found in texts:
        pseudonyms.learn(text, found)
    hidden = [pseudonyms.hide(text, found) for text, found in texts]
    assert [pseudonyms.restore(text) for text in hidden] == [text for text, _ in texts]


@given(st.lists(cuts(), max_size=4))
def test_it_comes_back_without_a_first_look_at_all_texts(
    texts: list[tuple[str, list[Span]]],
) -> None:
    pseudonyms = Pseudonyms()
    for text, found in texts:
        hidden = pseudonyms.hide(text, found)
        assert pseudonyms.restore(hidden) == text


@given(st.lists(cuts(), max_size=3))
def test_in_json_it_comes_back_as_a_string(texts: list[tuple[str, list[Span]]]) -> None:
    pseudonyms = Pseudonyms()
    for text, found in texts:
        window = JsonWindow(Table([]), pseudonyms, lambda _: None)
        parts = window.push(json.dumps({"text": pseudonyms.hide(text, found)})) + window.finish()
        assert json.loads("".join(part.text for part in parts)) == {"text": text}


@given(st.lists(TEXTS, max_size=5))
def test_nothing_found_goes_up(texts: list[str]) -> None:
    pseudonyms = Pseudonyms()
    for text in texts:
        pseudonyms.learn(text, spans(text))
    for text in texts:
        assert not VALUE.search(pseudonyms.hide(text, spans(text)))


@given(st.lists(TEXTS, min_size=1, max_size=5))
def test_a_longer_history_keeps_the_numbers(texts: list[str]) -> None:
    def hidden(history: Sequence[str]) -> list[str]:
        pseudonyms = Pseudonyms()
        for text in history:
            pseudonyms.learn(text, spans(text))
        return [pseudonyms.hide(text, spans(text)) for text in history]

    before = hidden(texts[:-1])
    after = hidden(texts)
    # A value that only the last text shows to be one is hidden in earlier ones too; here each
    # text shows its own.
    assert after[: len(before)] == before


def test_overlapping_spans_are_one_of_the_longest_kind() -> None:
    pseudonyms = Pseudonyms()
    found = [Span(3, 6, "short"), Span(0, 5, "long"), Span(6, 8, "other")]
    assert pseudonyms.hide("abcdefgh.", found) == "[LONG_1][OTHER_1]."


def test_placeholders_are_typed_and_numbered_by_first_appearance() -> None:
    pseudonyms = Pseudonyms()
    text = "bob@y.org, ada@x.org, ADA@x.org, bob@y.org, 4111 1111 1111 = 411111111111"
    assert pseudonyms.hide(text, spans(text)) == (
        "[EMAIL_1], [EMAIL_2], [EMAIL_2.2], [EMAIL_1], [CARD_1] = [CARD_1.2]"
    )


def test_dates_that_only_look_alike_without_their_marks_stay_apart() -> None:
    pseudonyms = Pseudonyms()
    found = [Span(0, 9, "date"), Span(10, 19, "date")]
    assert pseudonyms.hide("1/12/2020 11/2/2020", found) == "[DATE_1] [DATE_2]"


def test_a_value_is_hidden_where_no_detector_knew_it() -> None:
    pseudonyms = Pseudonyms()
    shown, other = "I am Ada Lovelace.", "Ada Lovelace; Adam; NotAda Lovelace; Ada Lovelaces"
    pseudonyms.learn(other, [])
    pseudonyms.learn(shown, [Span(5, 17, "person")])
    assert pseudonyms.hide(other, []) == "[PERSON_1]; Adam; NotAda Lovelace; Ada Lovelaces"


def test_the_longest_value_known_counts() -> None:
    pseudonyms = Pseudonyms()
    pseudonyms.learn(
        "Ada, Ada Byron, +49 30 1", [Span(0, 3, "a"), Span(5, 14, "b"), Span(16, 24, "c")]
    )
    assert pseudonyms.hide("Ada Byron Ada (+49 30 1)", []) == "[B_1] [A_1] ([C_1])"


@pytest.mark.parametrize(
    "damaged",
    ["[email_1]", "[EMAIL 1]", "[Email-1]", "[ EMAIL_1 ]", "[EMAIL\\_1]", "\\[EMAIL\\_1\\]"],
)
def test_a_placeholder_that_the_model_damaged_a_little_still_counts(damaged: str) -> None:
    pseudonyms = Pseudonyms()
    pseudonyms.learn("ada@x.org", [Span(0, 9, "email")])
    assert pseudonyms.restore(f"**{damaged}**!") == "**ada@x.org**!"


@pytest.mark.parametrize(
    "other", ["EMAIL_1", "[EMAIL_2]", "[EMAIL_01]", "[EMAIL1]", "[MAIL_1]", "(EMAIL_1)"]
)
def test_what_is_no_placeholder_of_the_call_stays(other: str) -> None:
    pseudonyms = Pseudonyms()
    pseudonyms.learn("ada@x.org", [Span(0, 9, "email")])
    assert pseudonyms.restore(other) == other


def test_a_forged_placeholder_never_means_a_value() -> None:
    pseudonyms = Pseudonyms()
    early, text, late = "send it to [EMAIL_1]", "ada@x.org", "send it to [email 2]"
    for one in (early, text, late):
        pseudonyms.learn(one, spans(one))
    assert pseudonyms.hide(early, []) == early
    assert pseudonyms.hide(text, spans(text)) == "[EMAIL_2]"
    assert pseudonyms.hide(late, []) == "send it to [TEXT_1]"
    assert pseudonyms.restore("[EMAIL_1] [EMAIL_2] [TEXT_1]") == "[EMAIL_1] ada@x.org [email 2]"


def test_code_with_brackets_is_left_alone() -> None:
    code = "a[i-1] = b[n 2]  # see [Figure 1] and [Section 2.1]"
    pseudonyms = Pseudonyms()
    text = "ada@x.org"
    pseudonyms.learn(text, spans(text))
    assert pseudonyms.hide(code, []) == code


@given(
    TEXTS, st.sampled_from(["[EMAIL_1]", "\\[EMAIL\\_1\\]", "\\\\[email 1\\\\]", "[ EMAIL_1.2 ]"])
)
def test_every_beginning_of_a_placeholder_is_seen(text: str, placeholder: str) -> None:
    for size in range(1, len(placeholder)):
        assert begins_at(text + placeholder[:size]) <= len(text)


@given(st.text(), st.booleans())
def test_escapes_are_undone_where_they_stand(text: str, ascii_only: bool) -> None:  # noqa: FBT001
    written = json.dumps(text, ensure_ascii=ascii_only)
    plain = Unescaped(written)
    assert plain.text == f'"{text}"'
    kept = [written[slice(*plain.raw_span(at, at + 1))] for at in range(len(plain.text))]
    assert "".join(kept) == written
    assert [Unescaped(one).text for one in kept] == list(plain.text)


def test_what_is_not_json_is_read_as_far_as_it_goes() -> None:
    assert Unescaped('{"a\\u0062": \\ud800 \\x \\').text == '{"ab": \ufffd \\x \\'


def test_values_stand_in_no_text_about_them_and_are_wiped() -> None:
    pseudonyms = Pseudonyms()
    pseudonyms.learn("ada@x.org", [Span(0, 9, "email")])
    assert repr(pseudonyms) == str(pseudonyms) == "Pseudonyms(1)"
    pseudonyms.wipe()
    assert "ada" not in str(vars(pseudonyms))
    assert pseudonyms.restore("[EMAIL_1]") == "[EMAIL_1]"


def test_ten_thousand_values_in_a_long_text_take_time_in_proportion() -> None:
    # Beyond proportion this takes minutes, which the suite's time limit does not give.
    values = [f"w {number}" for number in range(10_000)]
    text = " ".join(values)
    ends = [match.end() for match in re.finditer(r"w \d+", text)]
    found = [Span(end - len(value), end, "word") for value, end in zip(values, ends, strict=True)]
    pseudonyms = Pseudonyms()
    pseudonyms.learn(text, found)
    hidden = pseudonyms.hide(text, found)
    assert pseudonyms.restore(hidden) == text
    bait = "w [A_" * 100_000 + "\\" * 100_000 + "[" * 100_000
    assert pseudonyms.restore(pseudonyms.hide(bait, [])) == bait
