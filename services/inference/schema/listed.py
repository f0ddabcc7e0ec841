"""Values of which one is to be written, in the words of a JSON Schema."""

import re
from collections.abc import Iterable
from math import isfinite
from typing import Any

from services.inference.schema.patterns import of_text

_MISREAD = re.compile("[\\x80-\\xff][0-9A-Fa-f]")
"""What XGrammar 0.1 reads as another character, in the grammar that it has itself written."""
_NEVER_PLAIN = re.compile(r'[\x00-\x1f"\\]')
_SMALLEST, _LARGEST = -(2**63), 2**63 - 1


def one_of(values: Iterable[Any]) -> dict[str, Any]:
    """Return the schema of these values, each of which can be written.

    XGrammar 0.1 mixes up values that stand in one rule: `"a"` and `"ab"` let `"abb"` through.
    Behind a choice of one, each has a rule of its own.
    """
    return {"anyOf": [{"anyOf": [_exactly(value)]} for value in values]}


def can_be_written(value: Any) -> bool:
    """Tell whether a guide can hold to a value: larger integers, for example, become rounded."""
    match value:
        case bool() | None:
            return True
        case int():
            return _SMALLEST <= value <= _LARGEST
        case float():
            return isfinite(value)
        case str():
            return not (_MISREAD.search(value) and _NEVER_PLAIN.search(value))
    inside = [*value, *value.values()] if isinstance(value, dict) else value
    # Only a text that is all there is can be said otherwise.
    return all(
        can_be_written(each) and not (isinstance(each, str) and _MISREAD.search(each))
        for each in inside
    )


def _exactly(value: Any) -> dict[str, Any]:
    if isinstance(value, str) and _MISREAD.search(value):
        return {"type": "string", "pattern": of_text(value)}
    return {"const": value}
