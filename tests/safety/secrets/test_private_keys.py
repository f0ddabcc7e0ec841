"""Private keys in blocks, in texts and in streams."""

from base64 import b64encode
from hashlib import shake_256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.safety.detector import Source, Text
from services.safety.pseudonyms import Pseudonyms
from services.safety.secrets.detector import secrets
from services.safety.stream.window import Window
from tests.safety.stream.rules import REDACT, Table

DETECTOR = secrets()
KINDS = ("", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED ")
BODY = b64encode(shake_256(b"a key").digest(1500)).decode()
LINES = [BODY[at : at + 64] for at in range(0, len(BODY), 64)]


def block(kind: str = "", end: str = "\n") -> str:
    word = "PRIVATE" + " KEY"
    return end.join([f"-----BEGIN {kind}{word}-----", *LINES, f"-----END {kind}{word}-----"])


def covered(text: str) -> str:
    """Return a text with all that is found in it left out."""
    left = list(text)
    for one in DETECTOR.find(Text(text, Source.USER)):
        assert one.category == "private_key"
        assert 0 < one.end - one.start <= DETECTOR.reach
        left[one.start : one.end] = [""] * (one.end - one.start)
    return "".join(left)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\\n", '" +\n"'])
def test_a_block_is_found_to_its_end(kind: str, end: str) -> None:
    assert covered(f"Here it is: {block(kind, end)}\nThat was it.") == "Here it is: \nThat was it."


def test_a_block_with_headers_is_found_to_its_end() -> None:
    headers = "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,1F77CE6D2BB6B1853763\n\n"
    text = block("RSA ").replace(LINES[0], headers + LINES[0])
    assert covered(text + "\nThat was it.") == "\nThat was it."


def test_a_block_that_is_cut_off_is_found_as_far_as_it_goes() -> None:
    assert covered(block()[:700]) == ""


def test_certificates_and_public_keys_are_no_secrets() -> None:
    for word in ("CERTIFICATE", "PUBLIC KEY", "RSA PUBLIC KEY", "CERTIFICATE REQUEST"):
        text = block().replace("PRIVATE" + " KEY", word)
        assert DETECTOR.find(Text(text, Source.USER)) == []


@settings(max_examples=10)
@given(st.lists(st.integers(1, 80), min_size=1, max_size=20))
def test_no_line_of_a_key_leaves_a_stream_however_it_is_cut(sizes: list[int]) -> None:
    text = f"Your key: {block('RSA ')}\nKeep it well.\n"
    pieces: list[str] = []
    at = 0
    while at < len(text):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(text[at : at + size])
        at += size

    def said(pieces: list[str]) -> str:
        window = Window(Table([(DETECTOR, REDACT)]), Pseudonyms(), lambda _: None)
        parts = [part for piece in pieces for part in window.push(piece)]
        return "".join(part.text for part in [*parts, *window.finish()])

    whole = said([text])
    assert said(pieces) == whole
    assert whole.startswith("Your key: ")
    assert whole.endswith("Keep it well.\n")
    assert not any(line in whole for line in LINES)
