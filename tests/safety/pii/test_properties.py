"""Cards and IBANs in any text; and the bounds on time and memory."""

import sys
from types import FrameType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catenary.config.v1 import safety_pb2
from services.safety.detector import Source, Text
from services.safety.pii import pii
from services.safety.pii.checks import luhn, verhoeff
from services.safety.pii.finance import IBAN_LENGTHS

DETECTOR = pii(safety_pb2.PiiDetector())
PROSE = st.text(alphabet=st.characters(blacklist_categories=["Nd", "Nl", "No"]), max_size=60)
SEPARATOR = st.sampled_from(["", " ", "-", ".", "\u200b"])


def spans(text: str, category: str) -> list[str]:
    findings = DETECTOR.find(Text(text, Source.USER))
    return [text[one.start : one.end] for one in findings if one.category == category]


@st.composite
def cards(draw: st.DrawFn) -> str:
    front = draw(st.sampled_from(["4", "51", "55"])) + draw(
        st.text("0123456789", min_size=14, max_size=14)
    )
    front = front[:15]
    return next(front + last for last in "0123456789" if luhn(front + last))


@st.composite
def ibans(draw: st.DrawFn) -> str:
    country = draw(st.sampled_from(sorted(IBAN_LENGTHS)))
    account = draw(
        st.text(
            "0123456789", min_size=IBAN_LENGTHS[country] - 4, max_size=IBAN_LENGTHS[country] - 4
        )
    )
    number = int("".join(str(int(character, 36)) for character in f"{account}{country}00"))
    return f"{country}{98 - number % 97:02d}{account}"


@settings(deadline=None)
@given(PROSE, cards(), SEPARATOR, PROSE)
def test_a_card_is_found_whole_in_any_text(
    before: str, card: str, separator: str, after: str
) -> None:
    number = separator.join(card[start : start + 4] for start in range(0, 16, 4))
    assert spans(f"{before} | {number} | {after}", "credit_card") == [number]


@settings(deadline=None)
@given(cards(), st.integers(0, 15), st.integers(1, 9))
def test_a_card_with_one_wrong_figure_is_none(card: str, place: int, more: int) -> None:
    wrong = card[:place] + str((int(card[place]) + more) % 10) + card[place + 1 :]
    assert spans(f"we counted {wrong} of them", "credit_card") == []


@settings(deadline=None)
@given(PROSE, ibans(), st.sampled_from([4, 40]), PROSE)
def test_an_iban_is_found_whole_in_any_text(before: str, iban: str, size: int, after: str) -> None:
    number = " ".join(iban[start : start + size] for start in range(0, len(iban), size))
    assert number in spans(f"{before} | {number} | {after}", "iban")


@settings(deadline=None)
@given(st.text(max_size=300))
def test_findings_lie_in_the_text_apart_and_in_order(text: str) -> None:
    last = 0
    for one in DETECTOR.find(Text(text, Source.USER)):
        assert last <= one.start < one.end <= len(text)
        assert 0 <= one.score <= 1
        last = one.end


@given(st.text("0123456789", min_size=11, max_size=11))
def test_verhoeff_has_one_right_last_figure(front: str) -> None:
    assert sum(verhoeff(front + last) for last in "0123456789") == 1


BAIT = [
    "1",
    "1 ",
    "12 ",
    "1234 ",
    "1-",
    "a",
    "A",
    "a@",
    "a.",
    "@",
    "::",
    "DE44 ",
    "(",
    "+1 ",
    "http://",
    "Ann ",
    "\n",
    "password ",
    "\ud800",
    "\u202e",
]


def calls(text: str) -> int:
    """Return how many calls Python makes for a text. What is inside RE2 is linear by its design."""
    count = 0

    def counted(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal count
        count += event.endswith("call")

    sys.setprofile(counted)
    try:
        DETECTOR.find(Text(text, Source.USER))
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("bait", BAIT)
def test_the_work_grows_no_faster_than_the_text(bait: str) -> None:
    few, many = 500, 4_000
    calls(bait * many)
    assert calls(bait * many) < 10 * calls(bait * few) + 1_000


def test_a_megabyte_of_figures_is_read_in_bounded_time() -> None:
    assert spans("1" * 1_000_000, "credit_card") == []


def test_ten_thousand_findings() -> None:
    text = "4111 1111 1111 1111, " * 10_000
    assert len(spans(text, "credit_card")) == 10_000
