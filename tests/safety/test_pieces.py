"""Long texts judged in pieces: what is found is what the whole text gives."""

from hypothesis import given, settings
from hypothesis import strategies as st

from catenary.config.v1 import safety_pb2
from services.safety import pieces
from services.safety.detector import Source, Text
from services.safety.pieces import PIECE_CHARS, judged_by_pieces
from services.safety.pii.detector import pii
from services.safety.profile import BLOCK
from services.safety.stream.rules import Judged
from tests.safety.toys import Words

PII = pii(safety_pb2.PiiDetector(ignore=["person", "location", "date"]))
SAID = (
    "my card is 4111 1111 1111 1111, ",
    "write to anna.smith@mail.example.\n",
    "IBAN DE89 3704 0044 0532 0130 00 ",
    "the meeting is in the large room and takes an hour or two, ",
    "word " * 40,
    "x" * 300,
    "+49 30 901820 ",
)


def judge(text: Text) -> list[Judged]:
    return sorted(Judged(one.start, one.end, BLOCK, one) for one in PII.find(text))


def by_pieces(raw: str, before: str = "") -> list[Judged]:
    text = Text(raw, Source.USER, before)
    return [one for found in judged_by_pieces(text, PII.reach, judge) for one in found]


@settings(deadline=None, max_examples=25)
@given(st.lists(st.sampled_from(SAID), min_size=1, max_size=20), st.integers(0, 1200))
def test_what_is_found_in_pieces_is_what_is_found_in_the_whole(said: list[str], shift: int) -> None:
    # So long that what was drawn lies about the first cut.
    fill = "all that was said is well known to everybody here. " * 400
    raw = fill[: PIECE_CHARS - shift] + " " + "".join(said) + fill[:2000] + "".join(said)
    assert by_pieces(raw) == judge(Text(raw, Source.USER))


def test_a_piece_knows_what_stands_before_it() -> None:
    seen: list[Text] = []

    def note(text: Text) -> list[Judged]:
        seen.append(text)
        return []

    raw = "word " * PIECE_CHARS
    assert not any(judged_by_pieces(Text(raw, Source.USER, "before"), 100, note))
    assert seen[0].before == "before"
    assert all(text.before and text.before + text.raw in raw for text in seen[1:])
    assert max(len(text.raw) for text in seen) <= PIECE_CHARS + 200 + 512


def test_a_text_without_end_or_blank_is_cut_all_the_same() -> None:
    toy = Words("toy", ["x" * 100_000])
    raw = "x" * 100_000
    found = list(
        judged_by_pieces(
            Text(raw, Source.USER),
            16,
            lambda text: [Judged(0, len(text.raw), BLOCK, one) for one in toy.find(text)],
        )
    )
    assert len(found) == -(-(100_000 - 32) // pieces.PIECE_CHARS)
