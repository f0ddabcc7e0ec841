"""What a request's texts become: what looks like a placeholder in the end is nobody's value."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catenary.config.v1.safety_pb2 import SAFETY_ACTION_PSEUDONYMISE, SAFETY_ACTION_REDACT
from services.safety.detector import Finding, Source, Text
from services.safety.passages import Passage, Piece
from services.safety.pseudonyms import Pseudonyms
from services.safety.restore import placeholders
from services.safety.rewriting import rewrite
from services.safety.stream.rules import Judged

VALUE, UNSEEN = "ada@x.org", "\u200b"
BITS = st.sampled_from(
    [VALUE, UNSEEN, "[EMAIL_1]", "[EM", "AIL_1]", "[", "]", "_1", "EMAIL", "\\", " ", "[EMAIL_2]"]
)
TEXTS = st.lists(st.lists(BITS, max_size=8).map("".join), min_size=1, max_size=3)


def judged(text: str) -> list[Judged]:
    found: list[Judged] = []
    for wanted, category, action in (
        (VALUE, "email", SAFETY_ACTION_PSEUDONYMISE),
        (UNSEEN, "zero_width", SAFETY_ACTION_REDACT),
    ):
        at = text.find(wanted)
        while at >= 0:
            end = at + len(wanted)
            found.append(Judged(at, end, action, Finding(at, end, "toy", category, 1.0)))
            at = text.find(wanted, end)
    return found


def rewritten(texts: Sequence[str], source: Source) -> tuple[list[str], Pseudonyms]:
    written = list(texts)
    pseudonyms = Pseudonyms()

    def passage(index: int, raw: str) -> Passage:
        def write(changed: Sequence[str | None]) -> None:
            written[index] = raw if changed[0] is None else changed[0]

        return Passage(Text(raw, source), [Piece(0, len(raw))], write)

    passages = [passage(index, raw) for index, raw in enumerate(texts)]
    rewrite(passages, list(map(judged, texts)), pseudonyms)
    return written, pseudonyms


@given(TEXTS)
def test_what_goes_up_means_what_was_said(texts: list[str]) -> None:
    written, pseudonyms = rewritten(texts, Source.USER)
    assert not any(VALUE in text for text in written)
    said = [text.replace(UNSEEN, "") for text in texts]
    # What is whole only when something is gone is no value that was found.
    assert [pseudonyms.restore(text) for text in written] == said


@pytest.mark.parametrize("forged", ["[EMAIL_1\u200b]", "[EM\u200bAIL_1]", "\u200b[EMAIL_1]"])
def test_what_becomes_a_placeholder_is_hidden_as_one(forged: str) -> None:
    [_, document], pseudonyms = rewritten([f"I am {VALUE}", f"see {forged}"], Source.DOCUMENT)
    assert document == "see [TEXT_1]"
    assert pseudonyms.restore(document) == "see [EMAIL_1]"


def test_a_document_makes_no_address_the_callers() -> None:
    said = f"at https://a.example/{VALUE}"
    for source, comes_back in ((Source.USER, said), (Source.DOCUMENT, None)):
        [written], pseudonyms = rewritten([said], source)
        assert [one.name for one in placeholders(written)] == ["EMAIL_1"]
        assert pseudonyms.restore(written) == (comes_back or written)
