"""Regular expressions: what XGrammar would pass over in silence is refused by name."""

import pytest

from services.errors import MeshError
from services.inference.form import form
from tests.inference.asking import asking

FINE = [
    *("^a$", "^a|b$", "^", r"a\$b|\^", "[$^|]", "[^^]|b", "(a|)", "(?:a|b|)c", "((a|)|b)"),
    *(r"\(|a", "a\n|b", r"[\]|]$", r"a\x00b", "a{2}|b", "größe", "(", "[" * 60_000),
]
WRONG = [
    *(("a$b", "anchors"), ("a^b", "anchors"), ("z^", "anchors"), ("(^a|b)", "anchors")),
    *(("(a$)", "anchors"), ("[^]^", "anchors")),
    *(("a|", "empty choice"), ("|a", "empty choice"), ("a||b", "empty choice")),
    *(("(|a)", "empty choice"), ("(?:|a)", "empty choice"), ("^|a$", "empty choice")),
    *(("a|$", "empty choice"), ("a\0b", "U+0000")),
]


@pytest.mark.parametrize("expression", FINE)
def test_what_is_heeded_is_passed_on(expression: str) -> None:
    request = asking()
    request.response_format.regex = expression
    wanted = form(request)
    assert wanted is not None
    assert wanted.regex == expression


@pytest.mark.parametrize(("expression", "problem"), WRONG)
def test_what_would_be_passed_over_is_refused(expression: str, problem: str) -> None:
    request = asking()
    request.response_format.regex = expression
    with pytest.raises(MeshError, match=r"response_format\.regex") as caught:
        form(request)
    assert problem in caught.value.violations[0].description
