"""Values of which one is to be written, in the words of a JSON Schema."""

from collections.abc import Iterable
from typing import Any


def one_of(values: Iterable[Any]) -> dict[str, Any]:
    """Return the schema of these values.

    XGrammar 0.1 mixes up values that stand in one rule: `"a"` and `"ab"` let `"abb"` through.
    Behind a choice of one, each has a rule of its own.
    """
    return {"anyOf": [{"anyOf": [{"const": value}]} for value in values]}
