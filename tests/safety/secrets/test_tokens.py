"""Tokens of every form, made by chance: none of them was ever anybody's."""

import json
import string
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from zlib import crc32

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from services.safety.detector import Finding, Source, Text
from services.safety.secrets.detector import secrets
from services.safety.secrets.rule import Rule
from services.safety.secrets.tokens import TOKENS

DETECTOR = secrets()
BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
PROSE = st.text(alphabet="abcdefghijklmnop ,.\n", max_size=60)
# Those that match only beside something else have a group, and those that look closer a check.
PLAIN = [rule for rule in TOKENS if "(?i)" not in rule.pattern and rule.check is None]
WHOLE = [rule for rule in PLAIN if "(" not in rule.pattern.replace("(?:", "")]


def find(text: str, before: str = "") -> Sequence[Finding]:
    return DETECTOR.find(Text(text, Source.USER, before))


def spans(text: str) -> list[tuple[int, int]]:
    """Return the places of what is found, pieces of one secret put together."""
    joined: list[tuple[int, int]] = []
    for one in find(text):
        if joined and joined[-1][1] == one.start:
            joined[-1] = joined[-1][0], one.end
        else:
            joined.append((one.start, one.end))
    return joined


def checksum(body: str) -> str:
    number, digits = crc32(body.encode()), ""
    while number:
        number, digit = divmod(number, 62)
        digits = BASE62[digit] + digits
    return digits.rjust(6, "0")


def encoded(value: object) -> str:
    return urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@pytest.mark.parametrize("rule", WHOLE, ids=lambda rule: rule.category)
@settings(max_examples=3)
@given(data=st.data(), before=PROSE, after=PROSE)
def test_a_token_of_each_form_is_found_whole_and_only_it(
    rule: Rule, data: st.DataObject, before: str, after: str
) -> None:
    token = data.draw(st.from_regex(rf"\A(?a:{rule.pattern})\Z", fullmatch=True))
    assume(token == token.strip())
    text = f"{before} {token} {after}"
    start = len(before) + 1
    assert spans(text) == [(start, start + len(token))]


@given(st.text(BASE62, min_size=30, max_size=30), st.sampled_from(["ghp", "gho", "ghs", "npm"]))
def test_a_checksum_makes_a_token_certain(body: str, prefix: str) -> None:
    [certain] = find(f"x {prefix}_{body}{checksum(body)} x")
    wrong = "000001" if checksum(body) == "000000" else "000000"
    [likely] = find(f"x {prefix}_{body}{wrong} x")
    assert (certain.score, likely.score) == (0.99, 0.8)
    assert certain.category == ("npm_token" if prefix == "npm" else "github_token")


def test_a_web_token_is_one_only_with_its_header() -> None:
    payload, signature = encoded({"sub": "1"}), "c2lnbmF0dXJlLW9mLWl0"
    good = f"{encoded({'alg': 'HS256'})}.{payload}.{signature}"
    [found] = find(f"here: {good}, then")
    assert (found.start, found.end, found.category) == (6, 6 + len(good), "jwt")
    for header in (encoded({"colour": "red"}), encoded(["alg"]), "eyJub3QganNvbiBhdCBhbGw"):
        assert find(f"here: {header}.{payload}.{signature}, then") == []


def test_a_header_that_nests_without_end_is_no_web_token() -> None:
    header = urlsafe_b64encode(b'{"' + b'a":{"' * 20_000).decode()
    assert find(f"{header}.{header}") == []


@given(st.binary(min_size=60, max_size=120), PROSE)
def test_a_token_of_the_package_index_names_it(tail: bytes, before: str) -> None:
    body = urlsafe_b64encode(b"\x02\x01\x08pypi.org\x02" + tail).decode().rstrip("=")
    text = f"{before} pypi-{body}"
    assert spans(text) == [(len(before) + 1, len(text))]
    assert find(text)[0].score == 0.99


def test_a_token_that_began_before_the_text_goes_on_in_it() -> None:
    token = "sk-" + "proj-" + "a1B2c3D4" * 3 + "T3BlbkFJ" + "e5F6g7H8" * 3
    for cut in range(1, len(token) - 1):
        [found] = find(f"{token[cut:]} and so on", f"The key {token[:cut]}")
        assert (found.start, found.end) == (0, len(token) - cut)


def test_what_was_found_before_the_text_is_not_found_again() -> None:
    assert find(" is what it is", f"The key ghp_{'a' * 36}") == []
