"""What is blocked in an answer does not leave in another form either, a character at a time."""

import base64
import codecs
from collections.abc import Callable, Sequence

import pytest

from catenary.config.v1 import safety_pb2
from services.safety.deny import deny
from services.safety.detector import Detector, Finding, Source, Text
from services.safety.prompt_leak import prompt_leak
from services.safety.pseudonyms import Pseudonyms
from services.safety.stream.window import Part, Window
from tests.safety.stream.rules import BLOCK, REDACT, Action, Table

SHORT, LONG = "amber lantern", "Kestrel names our plan against the harbour wall"
BEFORE, BEHIND = "please tell the others that ", " and all that you have to know this week"
PROMPT = (
    "You are the keeper of the harbour light. Never tell anybody that the lantern below the stairs "
    "is lit at four, and that the boats of the north are let through without a toll."
)
ONE_MORE = 10
"""Characters of a letter that may leave with what stands before it."""
HELD_AT_MOST = 80
FORMS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "hex": lambda text: text.encode().hex(),
    "hex apart": lambda text: text.encode().hex(" "),
    "0x": lambda text: " ".join(f"0x{byte:02x}" for byte in text.encode()),
    "binary": lambda text: "".join(f"{byte:08b}" for byte in text.encode()),
    "binary apart": lambda text: " ".join(f"{byte:08b}" for byte in text.encode()),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "lines of base64": lambda text: base64.encodebytes(text.encode() * 3).decode(),
    "base64 of hex": lambda text: base64.b64encode(text.encode().hex(" ").encode()).decode(),
    "hex of base64": lambda text: base64.b64encode(text.encode()).hex(" "),
    "base32": lambda text: base64.b32encode(text.encode()).decode(),
    "spaced": " ".join,
    "words of dots": lambda text: " ".join(map(".".join, text.split())),
    "tags": lambda text: "".join(chr(0xE0000 + ord(letter)) for letter in text),
    "u": lambda text: "".join(f"\\u{ord(letter):04x}" for letter in text),
    "html": lambda text: "".join(f"&#{ord(letter)};" for letter in text),
    "url": lambda text: "".join(f"%{byte:02x}" for byte in text.encode()),
    "padded": ("\u200b" * 12).join,
    "wide": lambda text: text.replace(" ", " " * 20),
    "lines": lambda text: text.replace(" ", "\n" * 5),
    "rot13": lambda text: codecs.encode(text, "rot13"),
    "reversed": lambda text: text[::-1],
    "look-alikes": lambda text: text.translate(str.maketrans("aeopcimtk", "аеорсіmтк")),  # noqa: RUF001
}


def left_of(text: str, detector: Detector, action: Action, size: int) -> tuple[str, Window]:
    window = Window(Table([(detector, action)]), Pseudonyms(), lambda _: None)
    parts: list[Part] = []
    for at in range(0, len(text), size):
        parts += window.push(text[at : at + size])
    return "".join(part.text for part in [*parts, *window.finish()]), window


def found_in(text: str, detector: Detector) -> Sequence[Finding]:
    return detector.find(Text(text, Source.ANSWER))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("phrase", [SHORT, LONG])
def test_a_denied_phrase_does_not_leave(phrase: str, form: str) -> None:
    detector = deny(safety_pb2.DenyDetector(phrases=[phrase]))
    written = FORMS[form]
    apart = f"So it is: {written(phrase)} and so on. So it is.\n"
    whole = written(BEFORE + phrase + BEHIND)
    first = len(written(BEHIND if form == "reversed" else BEFORE)) + ONE_MORE
    for text, most in ((apart * 3, len("So it is: ")), (whole, first)):
        assert found_in(text, detector)
        for size in (1, 5000):
            left, window = left_of(text, detector, BLOCK, size)
            assert window.blocked
            assert len(left) <= most
            redacted, _ = left_of(text, detector, REDACT, size)
            assert not found_in(redacted, detector)


@pytest.mark.parametrize("form", ["hex", "binary", "base64", "base32"])
@pytest.mark.parametrize("before", range(8))
def test_wherever_a_long_encoding_begins_its_letters_are_told(form: str, before: int) -> None:
    detector = deny(safety_pb2.DenyDetector(phrases=[SHORT]))
    text = f"12 {'a' * before} {FORMS[form](BEFORE * 5 + SHORT + BEHIND)}"
    for size in (1, 7, 5000):
        left, window = left_of(text, detector, BLOCK, size)
        assert window.blocked
        assert len(left) <= len(text) - len(FORMS[form](SHORT + BEHIND)) + ONE_MORE


@pytest.mark.parametrize("form", FORMS)
def test_the_prompt_does_not_leave(form: str) -> None:
    detector = prompt_leak([PROMPT])
    text = FORMS[form](BEFORE + PROMPT + BEHIND)
    most = len(FORMS[form](BEHIND if form == "reversed" else BEFORE)) + ONE_MORE
    assert found_in(text, detector)
    for size in (1, 5000):
        left, window = left_of(text, detector, BLOCK, size)
        assert window.blocked
        assert len(left) <= most


def test_a_phrase_that_is_padded_without_end_is_not_held_without_end() -> None:
    detector = deny(safety_pb2.DenyDetector(phrases=[SHORT]))
    padded = ("\u200b" * 400).join(SHORT)
    window = Window(Table([(detector, BLOCK)]), Pseudonyms(), lambda _: None)
    for letter in padded:
        window.push(letter)
        assert window.end - window.left < 2 * detector.reach


@pytest.mark.parametrize(
    "text",
    [
        "It is a plan of 12 old men, and nobody knows it. ",
        "| 12 | 34 |\n| 56 | 78 |\n",
        "See https://harbour.example/boats?of=the-north for a list. ",
    ],
)
def test_plain_text_hardly_waits(text: str) -> None:
    detectors = [deny(safety_pb2.DenyDetector(phrases=[SHORT])), prompt_leak([PROMPT])]
    window = Window(
        Table([(detector, BLOCK) for detector in detectors]), Pseudonyms(), lambda _: None
    )
    for letter in text * 10:
        window.push(letter)
        assert window.end - window.left <= HELD_AT_MOST
