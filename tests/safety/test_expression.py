"""How long the matches of an expression may be."""

import pytest
import re2

from services.safety.expression import UNBOUNDED, width


@pytest.mark.parametrize(
    ("expression", "characters"),
    [
        ("", 0),
        ("abc", 3),
        ("ab|c|", 2),
        ("a?b{2}c{1,3}", 6),
        ("(?:ab|c){3}", 6),
        ("(?P<name>a|bb)?(?<other>c)", 3),
        ("(?i)a(?s-i:.)", 2),
        (r"^\bA\B\z$", 1),
        (r"\A\d\D\w\W\s\S", 6),
        (r"[abc][^abc][]a][^]a][a\]b][[:alpha:]]", 6),
        (r"\pL\p{Greek}\PN\P{Latin}\x41\x{10FFFF}\012\.\*", 9),
        (r"\Qa.b*\E{2}", 5),
        (r"\Qa.b*", 4),
        ("((a{2}){3}){2}", 12),
        ("a{0}", 0),
        (".{0,50}é😀", 52),
        ("a{2,3}?", 3),
    ],
)
def test_the_longest_match(expression: str, characters: int) -> None:
    re2.compile(expression)
    assert width(expression) == characters


@pytest.mark.parametrize(
    "expression", ["a*", "a+", "a{2,}", "a*?", "(ab?)+", "x(?:a|b*)", "[ab]+", r"\d+x"]
)
def test_no_longest_match(expression: str) -> None:
    re2.compile(expression)
    assert width(expression) >= UNBOUNDED
