"""The parts of the stock clients that need no Triton: tensors, texts, tokens."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing
from tritonclient.grpc import service_pb2

from services.inference.stock import tensors
from services.inference.stock.tensors import Outputs
from services.inference.stock.text import OpenText
from services.inference.stock.tokens import Tokens
from tests.inference.triton import POCKET

TEXTS = st.lists(st.text(st.characters(exclude_categories=["Cs"])))
STOPS = st.lists(st.text("ab", min_size=1, max_size=4), max_size=3)


@given(TEXTS)
def test_texts_come_back_as_they_were(values: list[str]) -> None:
    assert tensors.decode("BYTES", tensors.encode("BYTES", values)) == values


@given(st.binary())
def test_bytes_that_are_no_texts_are_refused_or_read(data: bytes) -> None:
    try:
        values = tensors.decode("BYTES", data)
    except ValueError:
        return
    assert sum(4 for _ in values) <= len(data)


@given(st.lists(st.integers(0, 2**64 - 1)))
def test_numbers_come_back_as_they_were(values: list[int]) -> None:
    assert tensors.decode("UINT64", tensors.encode("UINT64", values)) == values


def test_what_does_not_fit_a_type_is_refused() -> None:
    for datatype, values in (("INT32", [2**31]), ("INT32", ["1"]), ("BF16", [1.0])):
        with pytest.raises(ValueError, match="type"):
            tensors.encode(datatype, values)
    for datatype, data in (("INT32", b"123"), ("BYTES", struct.pack("<I", 5) + b"four")):
        with pytest.raises(ValueError, match=r"elements|element"):
            tensors.decode(datatype, data)


def test_numbers_are_read_wherever_they_stand() -> None:
    response = service_pb2.ModelInferResponse()
    for name, datatype, shape, values in (
        ("as_text", "BYTES", [1], ["17"]),
        ("no_dimension", "UINT32", [], [18]),
        ("none", "BYTES", [1], ["None"]),
    ):
        response.outputs.add(name=name, datatype=datatype, shape=shape)
        response.raw_output_contents.append(tensors.encode(datatype, values))
    outputs = Outputs.read(response)
    assert [outputs.integer(name) for name in ("as_text", "no_dimension", "none", "absent")] == [
        17,
        18,
        None,
        None,
    ]
    assert outputs.word("none") == ""
    assert outputs.text("none") == "None"


def cut(text: str, stops: list[str]) -> str:
    """Return the text before the stop text that is complete first."""
    for end in range(len(text) + 1):
        starts = [end - len(stop) for stop in stops if text[:end].endswith(stop)]
        if starts:
            return text[: min(starts)]
    return text


@given(st.text("abc"), STOPS, st.lists(st.integers(1, 3)))
def test_text_in_any_pieces_ends_at_its_first_stop_text(
    text: str, stops: list[str], sizes: list[int]
) -> None:
    new, whole = OpenText(stops), OpenText(stops)
    given_new = given_whole = ""
    at = 0
    for size in [*sizes, len(text)]:
        given_new += new.add(text[at : at + size])
        at = min(at + size, len(text))
        given_whole += whole.replace(text[:at])
        # What has been given out is never more than there will be.
        assert cut(text, stops).startswith(given_new)
    assert given_new + new.finish() == given_whole + whole.finish() == cut(text, stops)


@given(st.text(), st.lists(st.integers(1, 4)))
def test_a_cumulative_text_cut_inside_characters_comes_out_whole(
    text: str, sizes: list[int]
) -> None:
    data = text.encode(errors="replace")
    opened, shown, at = OpenText([]), "", 0
    for size in [*sizes, len(data)]:
        at = min(at + size, len(data))
        shown += opened.replace(data[:at].decode(errors="replace"))
    assert shown + opened.finish() == data.decode()


@given(st.text("ab", max_size=6), st.text("ab", min_size=2, max_size=4))
def test_an_engine_may_take_back_what_it_showed_of_a_stop_text(head: str, stop: str) -> None:
    text = cut(head + stop, [stop])
    opened, shown = OpenText([stop]), ""
    for end in range(len(text) + len(stop)):
        shown += opened.replace((head + stop)[:end])
    # Its last response ends before the stop text.
    shown += opened.replace(text)
    assert shown + opened.finish() == text


def test_a_text_that_changes_is_refused() -> None:
    opened = OpenText([])
    opened.replace("one")
    with pytest.raises(ValueError, match="not what it was"):
        opened.replace("two")


async def test_what_the_tokenizer_adds_is_not_sent_twice() -> None:
    tokenizer = Tokenizer.from_file(str(POCKET / "tokenizer.json"))
    plain = Tokens.of(tokenizer)
    assert plain.bare("<|begin|><|user|>Hi") == "<|begin|><|user|>Hi"
    tokenizer.post_processor = TemplateProcessing(
        single="<|begin|> $A", special_tokens=[("<|begin|>", 1)]
    )
    adding = Tokens.of(tokenizer)
    assert adding.bare("<|begin|><|user|>Hi") == "<|user|>Hi"
    assert await adding.count("Hi") == await plain.count("Hi")
