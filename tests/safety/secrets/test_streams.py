"""Secrets in an answer that streams: what is found in the whole of it does not leave a piece."""

import json
import re
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from hashlib import shake_256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.safety.detector import Source, Text
from services.safety.pseudonyms import Pseudonyms
from services.safety.secrets.credentials import CREDENTIALS
from services.safety.secrets.detector import secrets
from services.safety.secrets.rule import Rule
from services.safety.secrets.tokens import TOKENS
from services.safety.stream.marks import mark
from services.safety.stream.window import Part, Window
from tests.safety.secrets.test_private_keys import block
from tests.safety.stream.rules import REDACT, Table

DETECTOR = secrets()
CUTS = (1, 7, 30, 1_000_000)
LETTERS = urlsafe_b64encode(shake_256(b"letters").digest(30_000)).decode().replace("-", "_")
# What may stand behind the last repeat of an expression: nothing that has to be there.
ENDS = re.compile(
    r"(?:[)][*?]?|\\b|x\{0,\}|=\{0,2\}|\|[^()]*|\(\?:[^()]*\)[*?]|\(\?:\[\^[^]]*\]\|\$\))*"
)


def parts_of(text: str, size: int) -> Sequence[Part]:
    window = Window(Table([(DETECTOR, REDACT)]), Pseudonyms(), lambda _: None)
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    return [*(part for piece in pieces for part in window.push(piece)), *window.finish()]


def agree(text: str) -> None:
    """Check that what leaves a stream is what the detector leaves of the whole text."""
    gone = {at for one in DETECTOR.find(Text(text, Source.ANSWER)) for at in range(*one[:2])}
    assert gone
    for size in CUTS:
        parts = parts_of(text, size)
        kept = {at for part in parts if not part.changed for at in range(part.start, part.end)}
        assert kept == set(range(len(text))) - gone


def web_token(header: object, payload: int, *more: int) -> str:
    head = urlsafe_b64encode(json.dumps(header).encode()).decode().rstrip("=")
    return ".".join([head, *(LETTERS[:size] for size in (payload, *more))])


@pytest.mark.parametrize("payload", [40, 500, 640, 1200, 20_000])
@pytest.mark.parametrize("before", ["", "It is ", "Authorization: Bearer ", "plain words " * 20])
@pytest.mark.parametrize(
    "header",
    [
        {"alg": "HS256"},
        {"typ": "JWT", "kid": "k" * 300, "alg": "RS256"},
        {"alg": "RS256", "x5c": [LETTERS[:3000]]},
    ],
)
def test_a_web_token_leaves_no_stream_however_long(
    header: object, payload: int, before: str
) -> None:
    text = f"{before}{web_token(header, payload, 43)}. That is it, and plain words follow."
    agree(text)
    told = "".join(part.text for part in parts_of(text, 7))
    assert told.startswith(before + mark("jwt"))
    assert told.endswith(" That is it, and plain words follow.")


def test_an_encrypted_web_token_is_found_to_its_end() -> None:
    agree(f"See {web_token({'alg': 'dir', 'enc': 'A256GCM'}, 700, 16, 900, 22)} here.")
    agree(f"See {web_token({'alg': 'dir', 'enc': 'A256GCM'}, 0, 16, 900, 22)} here.")


def test_one_token_after_another_is_known_by_its_own_beginning() -> None:
    token = web_token({"alg": "HS256"}, 1500, 43)
    agree("\n".join(["Tokens:", "AKIA" + "Z" * 16, token, "ghp_" + "a1B2" * 9, token, token]))


def test_a_value_behind_its_name_leaves_no_stream_however_long() -> None:
    agree(f"payments_api_key: {LETTERS[:5000]}\nThat is all.")


def test_a_long_value_is_known_by_its_first_characters_alone() -> None:
    text = f"Authorization: token {'abcdefgh' * 70}12ab34"
    # As a bearer's token it would need figures.
    assert {one.category for one in DETECTOR.find(Text(text, Source.ANSWER))} == {"api_key"}


@pytest.mark.parametrize("rule", [*TOKENS, *CREDENTIALS], ids=lambda rule: rule.category)
def test_no_rule_needs_what_stands_behind_a_repeat_without_end(rule: Rule) -> None:
    repeats = re.finditer(r"(?<!\\)[*+]|\{\d+,\}", re.sub(r"\[\^?\]?[^]]*\]", "x", rule.pattern))
    for repeat in repeats:
        assert ENDS.fullmatch(repeat.string, repeat.end())


@pytest.mark.parametrize(
    "text",
    [
        'my_password = "three green birds" # that is it',
        "api_key: 'three green birds again'\nand so on",
        "The pass phrase: \"nothing\", but the passphrase is 'three more birds'. So it is.",
        'if ("m{{h}o)p${e]nob(ody[finds>-_$#thisone}}" == password) { go on }',
        'new DirectoryEntry("LDAP://EXAMPLE.COM",\n   "ME@EXAMPLE.COM",\n   "Zq7Heron!4");\nmore',
    ],
)
@pytest.mark.parametrize("before", ["", "These are the settings that you need: "])
def test_a_password_with_blanks_around_or_in_it_leaves_no_stream(before: str, text: str) -> None:
    agree(before + text)


@pytest.mark.parametrize("kind", ["", "RSA ", "OPENSSH "])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\\n", '" +\n"'])
@pytest.mark.parametrize("size", [90, 1000, 100_000])
def test_nothing_of_a_private_key_leaves_a_stream(kind: str, end: str, size: int) -> None:
    # Cut off at most sizes: then all that may belong to it is gone.
    agree(f"Here it is: {block(kind, end)[:size]}")


@settings(max_examples=25)
@given(
    st.lists(
        st.sampled_from(
            [
                "plain words, ",
                "and then\n",
                '"',
                "password = ",
                '"blue Heron 42!" ',
                "== password ",
                "AKIA" + "Z" * 16 + " ",
                web_token({"alg": "HS256"}, 800, 43) + " ",
                "token: " + LETTERS[:700] + "\n",
                block("EC ") + "\n",
                block("RSA ", "\\n"),
                "(see below) ",
                "' ",
            ]
        ),
        max_size=12,
    )
)
def test_what_leaves_is_the_same_for_every_cut(bits: list[str]) -> None:
    text = "".join(bits)
    assert len({"".join(part.text for part in parts_of(text, size)) for size in CUTS}) == 1
